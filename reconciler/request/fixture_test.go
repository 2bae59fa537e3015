package request_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest/contract"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/request"
)

const (
	repoName = "acme/environments"
	policy   = `apiVersion: sluice.dev/v1alpha1
kind: Policy
environments:
  - name: dev
  - name: staging
  - name: production
`
	overlay = "resources: [../../services/checkout/base]\n"
)

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func commit(c string) string { return strings.Repeat(c, 40) }

// releaseFile has what an editor of YAML would lose.
func releaseFile(environment, version, image, source, base, rest string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# checkout in %s: \"who\" 'reads' this?\n\napiVersion: sluice.dev/v1alpha1\nkind: Release\n", environment)
	fmt.Fprintf(&b, "artifact:   # one image\n    image: registry.example.com/shop/checkout\n    digest:  '%s'   # moved\n", digest(image))
	fmt.Fprintf(&b, "    version: %q\n    source: {repository: acme/checkout, commit: %s}   # built from\n", version, commit(source))
	if base != "" {
		fmt.Fprintf(&b, "base: %s\n", base)
	}
	return b.String() + rest
}

// A world is an environments repository on a forge.
type world struct {
	t      *testing.T
	forge  *forgetest.Server
	repo   *forgetest.Repository
	client *github.Client
	mirror *gitsource.Mirror
	clerk  *request.Clerk
	base   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	hub := forgetest.New(t, forgetest.Options{
		Users:        []forgetest.User{{Login: "alice", ID: 12, Token: "t-alice"}, {Login: "bob", ID: 13}},
		Repositories: []forgetest.RepositoryOptions{{FullName: repoName, Permissions: map[string]string{"alice": "write", "bob": "write"}}},
	})
	w := &world{t: t, forge: hub, repo: hub.Repository(repoName)}
	w.base = w.push(map[string]string{
		"sluice.yaml":                            policy,
		"services/checkout/base/deployment.yaml": "kind: Deployment\n",
		"dev/checkout/kustomization.yaml":        overlay,
		"staging/checkout/kustomization.yaml":    overlay,
		"production/checkout/kustomization.yaml": overlay,
	})
	w.push(map[string]string{
		"dev/checkout/release.yaml":        releaseFile("dev", "1.43.0", "b", "7", "", "change: standard\n"),
		"staging/checkout/release.yaml":    releaseFile("staging", "1.43.0", "b", "7", w.base, "change: standard\n"),
		"production/checkout/release.yaml": releaseFile("production", "1.42.0", "a", "6", w.base, "change: standard # class\n"),
	})
	secret := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(secret, []byte("t-alice"), 0o600))
	var err error
	w.client, err = github.New(github.Config{
		BaseURL: hub.APIURL(), Repository: repoName, TokenFile: secret, WriteInterval: time.Microsecond, RetryBackoff: time.Microsecond,
		Transport: contract.Transport(t, http.DefaultTransport, "/api/v3"),
	})
	require.NoError(t, err)
	w.mirror, err = gitsource.Open(t.Context(), gitsource.Config{URL: hub.CloneURL(repoName), Branch: "main", Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(w.mirror.Close)
	w.clerk = &request.Clerk{
		Writer: gitsource.NewWriter(w.mirror, gitsource.WriterConfig{
			Pusher: w.client, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		}),
		History: w.mirror, Proposer: w.client, Branch: "main", Repository: repoName, Web: "https://forge.example",
	}
	return w
}

func (w *world) push(files map[string]string) string {
	w.t.Helper()
	sha, err := w.repo.Push("bob", "main", "change", files)
	require.NoError(w.t, err)
	return sha
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	out, err := w.repo.Git().Git(args...)
	require.NoError(w.t, err, "git %v", args)
	return out
}

// at is a file on a branch, byte for byte but for the last line's end.
func (w *world) at(branch, path string) string {
	w.t.Helper()
	return w.git("show", branch+":"+path)
}

func (w *world) merge(number int) string {
	w.t.Helper()
	sha, err := w.repo.Merge("bob", number, gittest.MergeCommit)
	require.NoError(w.t, err)
	return sha
}
