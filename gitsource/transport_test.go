package gitsource_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/sluice-cd/sluice/gitsource"
)

func TestHTTPSTrustsTheGivenAuthorityOnly(t *testing.T) {
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1"})
	srv := httptest.NewUnstartedServer(http.StripPrefix("/r.git", r.Handler()))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it would report the distrust
	srv.StartTLS()
	defer srv.Close()
	cfg := gitsource.Config{URL: srv.URL + "/r.git", Branch: "main", Dir: t.TempDir()}
	_, err := open(t, cfg).Tip(t.Context())
	require.Error(t, err)

	cfg.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	require.NoError(t, os.WriteFile(cfg.CAFile, block, 0o600))
	cfg.Dir = t.TempDir()
	assert.Equal(t, sha, tip(t, open(t, cfg)))
}

func TestSSHReadsAndWritesWithPinnedHostKeys(t *testing.T) {
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1"})
	private, public := sshKey(t)
	addr, hostKey := serveSSH(t, r.Dir, public)
	hosts := filepath.Join(t.TempDir(), "known_hosts")
	require.NoError(t, os.WriteFile(hosts, []byte(knownhosts.Line([]string{addr}, hostKey)+"\n"), 0o600))
	cfg := gitsource.Config{
		URL: "ssh://git@" + addr + "/any.git", Branch: "main", Dir: t.TempDir(),
		Auth: gitsource.Auth{SSHKeyFile: private, KnownHostsFile: hosts},
	}
	m := open(t, cfg)
	assert.Equal(t, sha, tip(t, m))
	written, err := writer(m).Write(t.Context(), setting("a", "2"))
	require.NoError(t, err)
	assert.Equal(t, written, tip(t, m))
	assert.Equal(t, "2", readFile(t, m, written, "a"))

	t.Run("another host key is refused", func(t *testing.T) {
		_, other := sshKey(t)
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(other))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(hosts, []byte(knownhosts.Line([]string{addr}, key)+"\n"), 0o600))
		_, err = m.Tip(t.Context())
		require.Error(t, err)
	})
	t.Run("another client key is refused", func(t *testing.T) {
		require.NoError(t, os.WriteFile(hosts, []byte(knownhosts.Line([]string{addr}, hostKey)+"\n"), 0o600))
		stranger, _ := sshKey(t)
		cfg.Auth.SSHKeyFile, cfg.Dir = stranger, t.TempDir()
		_, err := open(t, cfg).Tip(t.Context())
		require.Error(t, err)
	})
}

// serveSSH runs git's own commands in dir for the holder of one key.
func serveSSH(t *testing.T, dir, allowed string) (addr string, hostKey ssh.PublicKey) {
	t.Helper()
	client, _, _, _, err := ssh.ParseAuthorizedKey([]byte(allowed))
	require.NoError(t, err)
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	host, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(client.Marshal()) {
			return nil, io.EOF
		}
		return &ssh.Permissions{}, nil
	}}
	cfg.AddHostKey(host)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveSSHConn(conn, cfg, dir)
		}
	}()
	return l.Addr().String(), host.PublicKey()
}

func serveSSHConn(conn net.Conn, cfg *ssh.ServerConfig, dir string) {
	_, channels, requests, err := ssh.NewServerConn(conn, cfg)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for nc := range channels {
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		go func() {
			for req := range reqs {
				ok := req.Type == "exec"
				_ = req.Reply(ok, nil)
				if !ok {
					continue
				}
				command, _, _ := strings.Cut(string(req.Payload[4:]), " ")
				status := make([]byte, 4)
				cmd := exec.Command(command, dir) // what git asks for, on loopback
				cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
				in, err := cmd.StdinPipe() // Run would wait for the client to hang up
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(in, ch) }()
				if cmd.Run() != nil {
					binary.BigEndian.PutUint32(status, 1)
				}
				_, _ = ch.SendRequest("exit-status", false, status)
				_ = ch.Close()
			}
		}()
	}
}
