package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/audit"
	"github.com/sluice-cd/sluice/reconciler/release"
)

var at = time.Date(2026, 3, 2, 9, 30, 0, 123456789, time.UTC)

type world struct {
	*gittest.Server
	t       *testing.T
	main    string // the followed branch's tip
	key     string // the signing key's file
	signers string // the allowed signers file
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Server: gittest.New(t), t: t}
	var err error
	w.main, err = w.Commit("main", "begin", "", map[string]string{"sluice.yaml": "x"})
	require.NoError(t, err)
	w.key, w.signers = w.newKey()
	return w
}

func (w *world) newKey() (keyFile, signersFile string) {
	w.t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(w.t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	require.NoError(w.t, err)
	key, err := ssh.NewPublicKey(public)
	require.NoError(w.t, err)
	dir := w.t.TempDir()
	keyFile, signersFile = filepath.Join(dir, "key"), filepath.Join(dir, "signers")
	require.NoError(w.t, os.WriteFile(keyFile, pem.EncodeToMemory(block), 0o600))
	require.NoError(w.t, os.WriteFile(signersFile, fmt.Appendf(nil, "sluice@example.com %s", ssh.MarshalAuthorizedKey(key)), 0o600))
	return keyFile, signersFile
}

// ledger is one daemon's.
func (w *world) ledger() *audit.Ledger {
	w.t.Helper()
	mirror, err := gitsource.Open(w.t.Context(), gitsource.Config{URL: w.URL, Branch: "main", Dir: w.t.TempDir()})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { mirror.Close() })
	signer, err := gitsource.NewSSHSigner(w.key)
	require.NoError(w.t, err)
	return &audit.Ledger{Version: "v0.1.0", Writer: gitsource.NewWriter(mirror, gitsource.WriterConfig{
		Identity: gitsource.Identity{Name: "Sluice", Email: "sluice@example.com"}, Signer: signer,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})}
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	out, err := w.Git(args...)
	require.NoError(w.t, err, "git %v", args)
	return out
}

func (w *world) commits() []string { return strings.Fields(w.git("rev-list", audit.Branch)) }

func (w *world) read(path string) []byte {
	w.t.Helper()
	out, err := exec.CommandContext(w.t.Context(), "git", "-C", w.Dir, "cat-file", "blob", audit.Branch+":"+path).Output()
	require.NoError(w.t, err)
	return out
}

func rollout(version string) release.Evidence {
	was := release.Revision{
		ID: "0123abcd", Inputs: strings.Repeat("0", 32), Commit: strings.Repeat("1", 40), Base: strings.Repeat("2", 40),
		BaseTree: strings.Repeat("3", 40), Artifacts: []release.Artifact{{Image: "shop/checkout", Digest: "sha256:aa"}}, Version: "1.42.0",
	}
	now := was
	now.ID, now.Version = "89ef4567", version
	arm := analysis.Arm{Requests: 1200, Errors: 49}
	return release.Evidence{
		Kind: "rollout", Release: "production/checkout", At: at, Outcome: "rolled-back", Reason: "errors <4.1 %> & rising",
		Candidate: &release.Want{Revision: now, Promotion: release.Promotion{Commit: strings.Repeat("4", 40), At: at, PullRequest: 17, ApprovedBy: []string{"alice"}}},
		Previous:  &was, Decision: "d1",
		Gates: []release.Gate{{Name: "approvals", Verdict: "pass", Reason: "2 of 1", Evidence: []string{"https://example.com/1"}}},
		Rollout: &release.Rollout{
			Plan: release.Plan{Steps: []int{5, 100}, Interval: time.Minute}, Began: at, Deadline: at.Add(time.Hour),
			Analysis: analysis.Input{
				Metric: analysis.Metric{Kind: analysis.ErrorRate, Share: 1}, Steps: 2,
				Past:  analysis.State{Step: 1, Done: []float64{0.1 + 0.2}, All: analysis.Window{Candidate: arm, Ticks: 3, Seconds: 15}},
				Ticks: []analysis.Tick{{At: at, Candidate: arm}},
			},
			Verdict:  analysis.Verdict{Metric: analysis.ErrorRate, Outcome: analysis.Fail, Evidence: 812.4000000001, Candidate: arm},
			Rollback: &release.Rollback{ID: "r-1", Cause: release.AnalysisFailed, Measurement: "errors", DetectedAt: at, TrafficBackAt: at.Add(time.Second), Holds: true},
			Moments:  []release.Moment{{At: at, Phase: release.Verifying, Weight: 100, Text: "everything"}},
		},
		Hold: &release.Hold{ID: "r-1", Inputs: now.Inputs, Digests: []string{"sha256:bb"}, Reason: "errors", At: at},
	}
}

// decode is strict: what the record says is all that is in the file.
func decode(t *testing.T, data []byte) audit.Record {
	t.Helper()
	var r audit.Record
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&r))
	return r
}

func TestRecordsAreSignedCommitsOnABranchOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	ledger := w.ledger()
	lifted := release.Evidence{Kind: "revocation", Release: "production/checkout", At: at.Add(time.Hour), Outcome: "lifted", Hold: rollout("").Hold}
	require.NoError(t, ledger.Append(t.Context(), "id-1", rollout("1.43.0")))
	require.NoError(t, ledger.Append(t.Context(), "id-2", lifted))

	assert.Equal(t, w.main, w.git("rev-parse", "main"))
	commits := w.commits()
	require.Len(t, commits, 2)
	assert.Empty(t, w.git("log", "-1", "--format=%P", commits[1]), "the branch has a beginning of its own")
	for _, sha := range commits {
		w.git("-c", "gpg.ssh.allowedSignersFile="+w.signers, "verify-commit", sha)
		assert.NotContains(t, w.git("show", "--format=", "--name-status", sha), "\n", "one file each")
	}
	assert.Equal(t, "A\t"+audit.Path("id-2", lifted), w.git("diff", "--name-status", commits[1], commits[0]))
	w.git("fsck", "--strict", "--no-dangling")
	assert.Equal(t, "production/checkout: 1.43.0 rolled-back", w.git("log", "-1", "--format=%s", commits[1]))
	assert.Equal(t, "Release: production/checkout\nArtifact-Digest: sha256:aa\nRollback-Id: r-1\nSluice-Version: v0.1.0",
		w.git("log", "-1", "--format=%(trailers)", commits[1]))

	_, others := w.newKey()
	_, err := w.Git("-c", "gpg.ssh.allowedSignersFile="+others, "verify-commit", commits[0])
	require.Error(t, err, "another key does not verify")
}

func TestRecordIsWhatWentIn(t *testing.T) {
	w := newWorld(t)
	e := rollout("1.43.0")
	require.NoError(t, w.ledger().Append(t.Context(), "id-1", e))
	data := w.read(audit.Path("id-1", e))
	assert.Equal(t, audit.Record{
		APIVersion: "sluice.dev/v1alpha1", Kind: "Evidence", ID: "id-1", Version: "v0.1.0", Spec: e,
	}, decode(t, data))
	assert.Contains(t, string(data), "errors <4.1 %> & rising", "people read it too")

	instance, err := validator.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	schema, err := validator.NewCompiler().Compile("evidence.schema.json")
	require.NoError(t, err)
	assert.NoError(t, schema.Validate(instance))
}

func TestAppendingAgainChangesNothing(t *testing.T) {
	w := newWorld(t)
	ledger := w.ledger()
	for range 2 {
		require.NoError(t, ledger.Append(t.Context(), "id-1", rollout("1.43.0")))
	}
	ledger = w.ledger() // after a crash and an upgrade
	ledger.Version = "v0.2.0"
	require.NoError(t, ledger.Append(t.Context(), "id-1", rollout("1.43.0")))
	assert.Len(t, w.commits(), 1)
}

func TestAppendWhoseReplyWasLostIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	ledger := w.ledger()
	w.Inject(gittest.Fault{On: gittest.Push, Times: 1, CutAfter: true})
	require.NoError(t, ledger.Append(t.Context(), "id-1", rollout("1.43.0")))
	assert.Len(t, w.commits(), 1)
}

func TestRacingDaemonsLoseNothing(t *testing.T) {
	w := newWorld(t)
	const writers = 8
	ledgers := make([]*audit.Ledger, writers)
	for i := range ledgers {
		ledgers[i] = w.ledger()
	}
	errs := make([]error, writers)
	var group sync.WaitGroup
	for i, ledger := range ledgers {
		group.Go(func() {
			// Two of them write each record, as an old and a new leader might.
			errs[i] = ledger.Append(t.Context(), fmt.Sprintf("id-%d", i/2), rollout("1.43.0"))
		})
	}
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	assert.Len(t, w.commits(), writers/2)
	assert.Len(t, strings.Fields(w.git("ls-tree", "-r", "--name-only", audit.Branch)), writers/2)
}

func TestNamesFollowFromTheRecord(t *testing.T) {
	e := rollout("1.43.0")
	path := audit.Path("id-1", e)
	assert.Regexp(t, `^evidence/production/checkout/20260302T093000Z-89ef4567-rollout-[0-9a-f]{8}\.json$`, path)
	e.At = at.In(time.FixedZone("elsewhere", 3600))
	assert.Equal(t, path, audit.Path("id-1", e))
	assert.NotEqual(t, path, audit.Path("id-2", e))
	assert.NotContains(t, audit.Path("id-1", release.Evidence{Kind: "rollout", Release: "dev/x", At: at}), "--")
}

func TestCommitsAreDatedWhenItHappenedAndNeverInTheFuture(t *testing.T) {
	w := newWorld(t)
	ledger := w.ledger()
	e := rollout("1.43.0")
	e.At = time.Date(2025, 5, 1, 10, 0, 0, 0, time.UTC)
	require.NoError(t, ledger.Append(t.Context(), "id-1", e))
	assert.Equal(t, "2025-05-01T10:00:00+00:00", strings.Replace(w.git("log", "-1", "--format=%cI", audit.Branch), "Z", "+00:00", 1))
	e.At = time.Now().Add(24 * time.Hour)
	require.NoError(t, ledger.Append(t.Context(), "id-2", e))
	dated, err := time.Parse(time.RFC3339, w.git("log", "-1", "--format=%cI", audit.Branch))
	require.NoError(t, err)
	assert.False(t, dated.After(time.Now()), dated)
	assert.Equal(t, e.At.UTC(), decode(t, w.read(audit.Path("id-2", e))).Spec.At.UTC(), "the record itself is not touched")
}

func TestWhatIsInTheWayIsNeitherBelievedNorOverwritten(t *testing.T) {
	for name, file := range map[string]gittest.File{
		"forged":  {Content: `{"id": "other", "outcome": "stable"}`},
		"same id": {Content: `{"id": "id-1", "spec": {"outcome": "stable"}}`},
		"rubbish": {Content: "x"},
		"symlink": {Mode: "120000", Content: "elsewhere.json"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := rollout("1.43.0")
			tip, err := w.CommitFiles(audit.Branch, "forge", "", map[string]gittest.File{audit.Path("id-1", e): file})
			require.NoError(t, err)
			require.ErrorIs(t, w.ledger().Append(t.Context(), "id-1", e), reconciler.ErrRefused)
			assert.Equal(t, tip, w.git("rev-parse", audit.Branch))
		})
	}
}

func TestRefusalsAreFinalAndFailuresAreNot(t *testing.T) {
	w := newWorld(t)
	ledger := w.ledger()
	e := rollout("1.43.0")
	w.Inject(gittest.Fault{Status: http.StatusBadGateway})
	err := ledger.Append(t.Context(), "id-1", e)
	require.Error(t, err)
	require.NotErrorIs(t, err, reconciler.ErrRefused)
	w.ClearFaults()

	hook := filepath.Join(w.Dir, "hooks", "pre-receive")
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\nexit 1\n"), 0o755))
	require.ErrorIs(t, ledger.Append(t.Context(), "id-1", e), reconciler.ErrRefused)
	require.NoError(t, os.Remove(hook))
	require.NoError(t, ledger.Append(t.Context(), "id-1", e))

	e.Release = "../../escape"
	require.ErrorIs(t, ledger.Append(t.Context(), "id-3", e), reconciler.ErrRefused)
}

func TestHostileTextStaysInTheRecord(t *testing.T) {
	evil := "x\n\nRelease: production/other\x1b[31m\u202e\nApproved-By: mallory"
	w := newWorld(t)
	e := rollout(evil)
	e.Reason, e.Hold.ID = evil, evil
	require.NoError(t, w.ledger().Append(t.Context(), "id-1", e))
	assert.Equal(t, e, decode(t, w.read(audit.Path("id-1", e))).Spec)
	message := w.git("log", "-1", "--format=%B", audit.Branch)
	assert.NotContains(t, message, "\x1b")
	assert.NotContains(t, message, "\u202e")
	assert.Equal(t, "production/checkout", w.git("log", "-1", "--format=%(trailers:key=Release,valueonly)", audit.Branch))
	assert.Empty(t, w.git("log", "-1", "--format=%(trailers:key=Approved-By)", audit.Branch))
}
