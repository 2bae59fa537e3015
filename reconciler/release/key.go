package release

import (
	"fmt"
	"strings"
)

// A Key names a release: one service in one environment.
type Key struct {
	Environment string `json:"environment"`
	Service     string `json:"service"`
}

// String is the release's name as people write it: "production/checkout".
func (k Key) String() string { return k.Environment + "/" + k.Service }

// ParseKey reads a name written as "production/checkout".
func ParseKey(s string) (Key, error) {
	environment, service, ok := strings.Cut(s, "/")
	if !ok || environment == "" || service == "" || strings.Contains(service, "/") {
		return Key{}, fmt.Errorf("read release name %q: want <environment>/<service>", s)
	}
	return Key{Environment: environment, Service: service}, nil
}
