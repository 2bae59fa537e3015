package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
)

const appRoute = "POST /app/installations/{id}/access_tokens"

// appWorld has an App and a client that is it.
func appWorld(t *testing.T) (*world, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	opts := options()
	opts.Apps = append(opts.Apps, forgetest.App{Slug: "sluice-app", ID: 77, InstallationID: 88, PublicKey: &key.PublicKey})
	w := worldOf(t, opts)
	w.client = newClient(t, w, asApp(t, key))
	return w, key
}

func asApp(t *testing.T, key *rsa.PrivateKey) func(*github.Config) {
	path := writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	return func(cfg *github.Config) {
		cfg.TokenFile, cfg.AppID, cfg.InstallationID, cfg.PrivateKeyFile = "", 77, 88, path
	}
}

func TestAnAppActsAsItsBotWithATokenThatIsKept(t *testing.T) {
	w, _ := appWorld(t)
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, forge.Status{Context: "c", State: forge.StatusPending}))
	_, err := w.client.OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)

	assert.Equal(t, "sluice-app[bot]", w.repo.Statuses(w.main)[0].Creator)
	assert.Equal(t, 1, w.forge.Requests()[appRoute])
}

func TestAnAppHasATokenForGitToo(t *testing.T) {
	w, _ := appWorld(t)
	token, err := w.client.Token(t.Context())
	require.NoError(t, err)
	again, err := w.client.Token(t.Context())
	require.NoError(t, err)
	assert.Equal(t, token, again)
	assert.Equal(t, 1, w.forge.Requests()[appRoute])

	mirror, err := gitsource.Open(t.Context(), gitsource.Config{
		URL: w.forge.CloneURL(repoName), Branch: "main", Dir: t.TempDir(), Auth: gitsource.Auth{Token: w.client.Token},
	})
	require.NoError(t, err)
	defer mirror.Close()
	pushed, err := writerWith(mirror, nil).Write(t.Context(), always("main", gitsource.SetFile{Path: "a", Content: []byte("2")}))
	require.NoError(t, err, "a push shows who asks; reading is free here")
	assert.Equal(t, pushed, w.git(t, "rev-parse", "main"))
}

func TestWithoutAnAppThereIsNoTokenForGit(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.Token(t.Context())
	assert.ErrorContains(t, err, "no App is configured")
}

func TestAnAppWithTheWrongKeyIsRejected(t *testing.T) {
	w, _ := appWorld(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)

	_, err = newClient(t, w, asApp(t, other)).OpenPullRequests(t.Context(), "main")
	var rejected *forge.RejectedError
	require.ErrorAs(t, err, &rejected)
	assert.Equal(t, 401, rejected.Code)
	assert.ErrorContains(t, err, "installation token was refused")
}

func TestAnAppsTokenRequestIsRepeatedAndNeverRedirected(t *testing.T) {
	w, key := appWorld(t)
	var foreign atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { foreign.Add(1) }))
	defer elsewhere.Close()

	w.forge.Inject(forgetest.Fault{On: appRoute, Status: 307, Header: map[string]string{"Location": elsewhere.URL}, Times: 1})
	_, err := newClient(t, w, asApp(t, key)).OpenPullRequests(t.Context(), "main")
	var rejected *forge.RejectedError
	assert.ErrorAs(t, err, &rejected)
	assert.Zero(t, foreign.Load())

	w.forge.Inject(forgetest.Fault{On: appRoute, Status: 502, Times: 2})
	_, err = newClient(t, w, asApp(t, key)).OpenPullRequests(t.Context(), "main")
	assert.NoError(t, err)

	for _, fault := range []forgetest.Fault{{On: appRoute, Status: 502}, {On: appRoute, Truncate: true}, {On: appRoute, Half: true}} {
		w.forge.Inject(fault)
		_, err = newClient(t, w, asApp(t, key)).OpenPullRequests(t.Context(), "main")
		var transient *forge.TransientError
		assert.ErrorAs(t, err, &transient)
		w.forge.ClearFaults()
	}
}

func TestATokenIsReadAnewForEveryRequest(t *testing.T) {
	w := newWorld(t)
	path := writeFile(t, "t-carol")
	client := newClient(t, w, func(cfg *github.Config) { cfg.TokenFile = path })
	status := forge.Status{Context: "c", State: forge.StatusPending}
	var rejected *forge.RejectedError
	require.ErrorAs(t, client.SetStatus(t.Context(), w.main, status), &rejected, "carol may not write")

	require.NoError(t, os.WriteFile(path, []byte("\n t-alice \n"), 0o600))
	require.NoError(t, client.SetStatus(t.Context(), w.main, status))
	assert.Equal(t, "alice", w.repo.Statuses(w.main)[0].Creator)
}

func TestAnUnreadableTokenIsTransientAndSendsNothing(t *testing.T) {
	w := newWorld(t)
	for name, path := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "none"), "directory": t.TempDir(), "empty": writeFile(t, " \n"),
		"two lines": writeFile(t, token+"\nX-Evil: 1"), "binary": writeFile(t, "\x00\x01"),
	} {
		client := newClient(t, w, func(cfg *github.Config) { cfg.TokenFile = path })
		_, err := client.OpenPullRequests(t.Context(), "main")
		var transient *forge.TransientError
		require.ErrorAs(t, err, &transient, name)
		assert.NotContains(t, err.Error(), "canary", name)
	}
	assert.Empty(t, w.forge.Requests())
}

func TestConfigurationIsCheckedBeforeAnythingIsSent(t *testing.T) {
	good := github.Config{Repository: repoName, TokenFile: "/run/secrets/token"}
	_, err := github.New(good)
	require.NoError(t, err)
	notAKey := writeFile(t, "secret that is no key")
	for want, change := range map[string]func(*github.Config){
		"use https":                     func(c *github.Config) { c.BaseURL = "http://ghe.example/api/v3" },
		"want https":                    func(c *github.Config) { c.BaseURL = "ftp://ghe.example/" },
		"want https://HOST/PATH":        func(c *github.Config) { c.BaseURL = "https://ghe.example/?x=y" },
		"carries credentials":           func(c *github.Config) { c.BaseURL = "https://user:" + token + "@ghe.example/" },
		"cannot be parsed":              func(c *github.Config) { c.BaseURL = "https://user:" + token + "@ghe.example:x/%zz" },
		"want owner/name":               func(c *github.Config) { c.Repository = "environments" },
		"not both":                      func(c *github.Config) { c.AppID = 1 },
		"set a token file, or an App's": func(c *github.Config) { c.TokenFile = "" },
		"its installation id":           func(c *github.Config) { c.TokenFile, c.AppID = "", 1 },
		"read private key": func(c *github.Config) {
			c.TokenFile, c.AppID, c.InstallationID, c.PrivateKeyFile = "", 1, 2, "/nonexistent"
		},
		"not a PEM-encoded RSA key": func(c *github.Config) { c.TokenFile, c.AppID, c.InstallationID, c.PrivateKeyFile = "", 1, 2, notAKey },
	} {
		cfg := good
		change(&cfg)
		_, err := github.New(cfg)
		assert.ErrorContains(t, err, want)
		if err != nil {
			assert.NotContains(t, err.Error(), token)
			assert.NotContains(t, err.Error(), "secret that")
		}
	}
}
