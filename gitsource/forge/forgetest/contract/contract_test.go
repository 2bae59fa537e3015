package contract_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge/forgetest/contract"
)

// A recorder stands in for a test.
type recorder struct {
	*testing.T
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

type stub struct {
	code int
	body string
}

func (s stub) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.code, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: io.NopCloser(strings.NewReader(s.body)), Request: req}, nil
}

func TestLiesAreNoticed(t *testing.T) {
	probe := &recorder{T: t}
	if contract.Transport(probe, stub{}, "") == http.RoundTripper(stub{}) {
		t.Skip("GitHub's OpenAPI description is not here")
	}
	const member = "/orgs/acme/teams/payments/memberships/bob"
	const good = `{"url":"https://api.github.com/x","role":"member","state":"active"}`
	for name, c := range map[string]struct {
		method, path, sent, body string
		code                     int
		want                     string
	}{
		"all well":               {"GET", member, "", good, 200, ""},
		"an undocumented error":  {"GET", member, "", `{"message":"x"}`, 418, ""},
		"no such operation":      {"GET", "/repos/a/b/nonsense", "", `{}`, 200, "no such operation"},
		"no such parameter":      {"GET", member + "?invented=1", "", good, 200, "invented"},
		"a field is missing":     {"GET", member, "", `{"url":"https://api.github.com/x","role":"member"}`, 200, "state"},
		"a field is invented":    {"GET", member, "", `{"url":"https://api.github.com/x","role":"member","state":"active","invented":1}`, 200, "invented"},
		"a wrong type":           {"GET", member, "", `{"url":"https://api.github.com/x","role":"member","state":7}`, 200, "state"},
		"not in the enumeration": {"GET", member, "", `{"url":"https://api.github.com/x","role":"member","state":"maybe"}`, 200, "state"},
		"another success":        {"GET", member, "", good, 202, "status 202 is not described"},
		"a wrong request":        {"PUT", "/repos/a/b/pulls/1/merge", `{"merge_method":"octopus"}`, `{"sha":"x","merged":true,"message":"x"}`, 200, "merge_method"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &recorder{T: t}
			transport := contract.Transport(seen, stub{c.code, c.body}, "/api/v3")
			var body io.Reader
			if c.sent != "" {
				body = strings.NewReader(c.sent)
			}
			req, err := http.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1/api/v3"+c.path, body)
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			resp, err := transport.RoundTrip(req)
			require.NoError(t, err)
			raw, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, c.body, string(raw), "the answer stays readable")
			if c.want == "" {
				assert.Empty(t, seen.errors)
			} else {
				assert.Contains(t, strings.Join(seen.errors, "\n"), c.want)
			}
		})
	}
}

// TestMissingDescription runs itself in a process of its own: the description
// is read once.
func TestMissingDescription(t *testing.T) {
	if os.Getenv("CONTRACT_TEST_CHILD") != "" {
		contract.Transport(t, stub{}, "")
		return
	}
	for variable, wantPass := range map[string]bool{"NOTHING": true, "CI": false, "SLUICE_REQUIRE_OPENAPI": false} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMissingDescription$", "-test.v")
		cmd.Env = []string{"CONTRACT_TEST_CHILD=1", variable + "=true", "SLUICE_OPENAPI=" + filepath.Join(t.TempDir(), "none.json")}
		out, err := cmd.CombinedOutput()
		assert.Equal(t, wantPass, err == nil, "%s: %s", variable, out)
		assert.Contains(t, string(out), "OpenAPI description")
	}
}
