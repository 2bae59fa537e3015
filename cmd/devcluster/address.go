package main

import (
	"errors"
	"net/netip"
)

// An addressPool hands out pod addresses from 10.244.0.0/16. Addresses are used in
// turn, so that one that was just given back is not reused while somebody may still
// believe in its old owner. It is not safe for concurrent use.
type addressPool struct {
	network netip.Prefix
	used    map[string]bool
	last    netip.Addr
}

func newAddressPool() *addressPool {
	network := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, 0, 0}), 16)
	return &addressPool{network: network, used: map[string]bool{}, last: network.Addr()}
}

func (p *addressPool) take() (string, error) {
	for range 1 << (32 - p.network.Bits()) {
		p.last = p.last.Next()
		if !p.network.Contains(p.last) {
			p.last = p.network.Addr().Next()
		}
		if ip := p.last.String(); !p.used[ip] {
			p.used[ip] = true
			return ip, nil
		}
	}
	return "", errors.New("no free pod address")
}

func (p *addressPool) claim(ip string) { p.used[ip] = true }
func (p *addressPool) give(ip string)  { delete(p.used, ip) }
