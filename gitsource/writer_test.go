package gitsource_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

var writtenAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// noWait keeps count instead of time.
func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func writer(m *gitsource.Mirror) *gitsource.Writer {
	return gitsource.NewWriter(m, gitsource.WriterConfig{
		Identity: gitsource.Identity{Name: "Sluice", Email: "sluice@example.com"},
		Sleep:    noWait,
	})
}

// setting proposes a file's content, decided by what is there.
func setting(path, content string) gitsource.Proposal {
	return gitsource.Proposal{
		Branch: "main", Time: writtenAt,
		Decide: func(tip gitsource.TipView) (gitsource.Plan, error) {
			return gitsource.Plan{
				Message: "set " + path,
				Edits:   []gitsource.Edit{gitsource.SetFile{Path: path, Content: []byte(content)}},
			}, nil
		},
	}
}

func (r repo) git(args ...string) string {
	r.t.Helper()
	out, err := r.Git(args...)
	require.NoError(r.t, err)
	return out
}

func TestWriteCommitsExactlyThePlan(t *testing.T) {
	r := newRepo(t)
	base := r.commitFiles("main", map[string]gittest.File{
		"prod/a/release.yaml": {Content: "digest: old\r\n"},
		"prod/a/run.sh":       {Mode: "100755", Content: "x"},
		"prod/b/release.yaml": {Content: "other"},
	})
	m := r.mirror()
	sha, err := writer(m).Write(t.Context(), gitsource.Proposal{
		Branch: "main", Time: writtenAt,
		Decide: func(tip gitsource.TipView) (gitsource.Plan, error) {
			assert.Equal(t, base, tip.SHA)
			data, err := tip.ReadFile("prod/a/release.yaml")
			if err != nil {
				return gitsource.Plan{}, err
			}
			return gitsource.Plan{
				Message:  "promote a",
				Trailers: []gitsource.Trailer{{Key: "Release", Value: "prod/a"}},
				Edits: []gitsource.Edit{
					gitsource.SetFile{Path: "prod/a/release.yaml", Content: []byte(strings.Replace(string(data), "old", "new", 1))},
					gitsource.SetFile{Path: "prod/a/run.sh", Content: []byte("y")},
					gitsource.SetFile{Path: "deep/new/file", Content: []byte("z")},
				},
			}, nil
		},
	})
	require.NoError(t, err)
	assert.Equal(t, sha, r.git("rev-parse", "main"))
	assert.Equal(t, base, r.git("rev-parse", "main^"))
	assert.Equal(t, "A\tdeep/new/file\nM\tprod/a/release.yaml\nM\tprod/a/run.sh", r.git("diff", "--name-status", "main^", "main"))
	assert.Equal(t, "digest: new\r\n", readFile(t, m, tip(t, m), "prod/a/release.yaml"))
	assert.Contains(t, r.git("ls-tree", "main", "prod/a/run.sh"), "100755")
	assert.Equal(t, "Sluice <sluice@example.com> 1772366400", r.git("log", "-1", "--format=%cn <%ce> %ct"))
	assert.Equal(t, "Release: prod/a", r.git("log", "-1", "--format=%(trailers)"))
	r.git("fsck", "--strict")
	assert.Equal(t, sha, tip(t, m))
}

func TestWriteCreatesABranchOnlyWhenAllowed(t *testing.T) {
	for name, prepare := range map[string]func(r repo){
		"beside another branch":  func(r repo) { r.commit("main", map[string]string{"a": "1"}) },
		"in an empty repository": func(repo) {},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			prepare(r)
			w := writer(r.mirror())
			p := setting("evidence/one.json", "{}")
			p.Branch = "sluice/audit"
			_, err := w.Write(t.Context(), p)
			require.ErrorIs(t, err, gitsource.ErrNoBranch)
			p.Create = true
			first, err := w.Write(t.Context(), p)
			require.NoError(t, err)
			assert.Equal(t, first, r.git("rev-list", "sluice/audit"))
			p = setting("evidence/two.json", "{}")
			p.Branch, p.Create = "sluice/audit", true
			second, err := w.Write(t.Context(), p)
			require.NoError(t, err)
			assert.Equal(t, second+"\n"+first, r.git("rev-list", "sluice/audit"))
			assert.Equal(t, "evidence/one.json\nevidence/two.json", r.git("ls-tree", "-r", "--name-only", "sluice/audit"))
			r.git("fsck", "--strict")
		})
	}
}

func TestNothingToDoIsDecidedByContent(t *testing.T) {
	r := newRepo(t)
	before := r.commit("main", map[string]string{"a": "1"})
	w := writer(r.mirror())
	_, err := w.Write(t.Context(), setting("a", "1"))
	require.ErrorIs(t, err, gitsource.ErrNothingToDo)
	_, err = w.Write(t.Context(), gitsource.Proposal{Branch: "main", Decide: func(gitsource.TipView) (gitsource.Plan, error) {
		return gitsource.Plan{}, nil
	}})
	require.ErrorIs(t, err, gitsource.ErrNothingToDo)
	assert.Equal(t, before, r.git("rev-parse", "main"))
}

func TestRestoreDirIsByteForByteAndLeavesControlAlone(t *testing.T) {
	r := newRepo(t)
	good := r.commitFiles("main", map[string]gittest.File{
		"prod/a/release.yaml": {Content: "digest: good\n"},
		"prod/a/run":          {Mode: "100755", Content: "x"},
		"prod/a/sub/x":        {Content: "x"},
		"prod/a/control.yaml": {Content: "old control\n"},
		"prod/b/release.yaml": {Content: "b1"},
	})
	r.commitFiles("main", map[string]gittest.File{
		"prod/a/release.yaml": {Content: "digest: bad\n"},
		"prod/a/run":          {Delete: true},
		"prod/a/extra":        {Content: "x"},
		"prod/a/control.yaml": {Content: "new control\n"},
		"prod/b/release.yaml": {Content: "b2"},
	})
	m := r.mirror()
	want, err := func() (string, error) { tip(t, m); return m.TreeHashWithout(good, "prod/a", "control.yaml") }()
	require.NoError(t, err)
	restore := gitsource.RestoreDir{Dir: "prod/a", Commit: good, Except: []string{"control.yaml"}}
	_, err = writer(m).Write(t.Context(), gitsource.Proposal{
		Branch: "main", Time: writtenAt,
		Decide: func(v gitsource.TipView) (gitsource.Plan, error) {
			if now, err := v.TreeHashWithout("prod/a", "control.yaml"); err != nil || now == want {
				return gitsource.Plan{}, err
			}
			return gitsource.Plan{Message: "roll back", Edits: []gitsource.Edit{
				restore, gitsource.SetFile{Path: "prod/a/control.yaml", Content: []byte("hold\n")},
			}}, nil
		},
	})
	require.NoError(t, err)
	got, err := m.TreeHashWithout(tip(t, m), "prod/a", "control.yaml")
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, "hold", r.git("cat-file", "blob", "main:prod/a/control.yaml"))
	assert.Equal(t, "b2", r.git("cat-file", "blob", "main:prod/b/release.yaml"))

	t.Run("a directory that was not there goes away but keeps what is excepted", func(t *testing.T) {
		r.commit("main", map[string]string{"prod/c/release.yaml": "1", "prod/c/control.yaml": "1", "prod/d/release.yaml": "1"})
		_, err := writer(m).Write(t.Context(), gitsource.Proposal{
			Branch: "main", Time: writtenAt,
			Decide: func(gitsource.TipView) (gitsource.Plan, error) {
				return gitsource.Plan{Message: "undo", Edits: []gitsource.Edit{
					gitsource.RestoreDir{Dir: "prod/c", Commit: good, Except: []string{"control.yaml"}},
					gitsource.RestoreDir{Dir: "prod/d", Commit: good},
				}}, nil
			},
		})
		require.NoError(t, err)
		assert.Equal(t, "prod/c/control.yaml", r.git("ls-tree", "-r", "--name-only", "main", "prod/c", "prod/d"))
	})
}

func TestPlansThatReachTooFarAreRefused(t *testing.T) {
	r := newRepo(t)
	before := r.commitFiles("main", map[string]gittest.File{
		"file":  {Content: "x"},
		"link":  {Mode: "120000", Content: "/etc"},
		"sub":   {Mode: "160000", Content: strings.Repeat("1", 40)},
		"dir/x": {Content: "x"},
	})
	w := writer(r.mirror())
	for _, edit := range []gitsource.Edit{
		gitsource.SetFile{Path: "../escape"},
		gitsource.SetFile{Path: "/absolute"},
		gitsource.SetFile{Path: ""},
		gitsource.SetFile{Path: ".git/config"},
		gitsource.SetFile{Path: "a/.GIT/config"},
		gitsource.SetFile{Path: "a\x1b[31m"},
		gitsource.SetFile{Path: "file/below"},
		gitsource.SetFile{Path: "link/passwd"},
		gitsource.SetFile{Path: "link"},
		gitsource.SetFile{Path: "sub"},
		gitsource.SetFile{Path: "sub/x"},
		gitsource.SetFile{Path: "dir"},
		gitsource.DeleteFile{Path: "dir"},
		gitsource.RestoreDir{Dir: "file", Commit: before},
		gitsource.RestoreDir{Dir: ".", Commit: before},
	} {
		_, err := w.Write(t.Context(), gitsource.Proposal{Branch: "main", Decide: func(gitsource.TipView) (gitsource.Plan, error) {
			return gitsource.Plan{Message: "reach", Edits: []gitsource.Edit{edit}}, nil
		}})
		require.ErrorIs(t, err, gitsource.ErrBadPlan, "%#v", edit)
	}
	_, err := w.Write(t.Context(), gitsource.Proposal{Branch: "a..b"})
	require.ErrorIs(t, err, gitsource.ErrBadPlan)
	_, err = w.Write(t.Context(), gitsource.Proposal{Branch: "main", Decide: func(gitsource.TipView) (gitsource.Plan, error) {
		return gitsource.Plan{}, errors.New("no opinion")
	}})
	require.ErrorContains(t, err, "no opinion")
	assert.Equal(t, before, r.git("rev-parse", "main"))
}

func TestDeletingTheLastFileLeavesAnEmptyTree(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	m := r.mirror()
	_, err := writer(m).Write(t.Context(), gitsource.Proposal{Branch: "main", Time: writtenAt, Decide: func(gitsource.TipView) (gitsource.Plan, error) {
		return gitsource.Plan{Message: "empty", Edits: []gitsource.Edit{gitsource.DeleteFile{Path: "a"}}}, nil
	}})
	require.NoError(t, err)
	assert.Empty(t, r.git("ls-tree", "main"))
	f, err := m.FS(tip(t, m))
	require.NoError(t, err)
	entries, err := fs.ReadDir(f, ".")
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestEightRacingWritersLoseAndRepeatNothing(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"log": ""})
	const writers, rounds = 8, 2
	var barrier, done sync.WaitGroup
	barrier.Add(writers)
	for i := range writers {
		w := writer(r.mirror())
		done.Go(func() {
			for round := range rounds {
				first := true
				_, err := w.Write(t.Context(), gitsource.Proposal{
					Branch: "main", Time: writtenAt,
					Decide: func(v gitsource.TipView) (gitsource.Plan, error) {
						data, err := v.ReadFile("log")
						if first && round == 0 { // all decide on the same tip, so all but one lose
							barrier.Done()
							barrier.Wait()
						}
						first = false
						line := fmt.Sprintf("%d.%d\n", i, round)
						return gitsource.Plan{Message: "add " + line, Edits: []gitsource.Edit{
							gitsource.SetFile{Path: "log", Content: append(data, line...)},
						}}, err
					},
				})
				assert.NoError(t, err)
			}
		})
	}
	done.Wait()
	assert.Len(t, strings.Fields(r.git("rev-list", "main")), 1+writers*rounds)
	lines := strings.Fields(r.git("cat-file", "blob", "main:log"))
	assert.Len(t, lines, writers*rounds)
	seen := map[string]bool{}
	for _, l := range lines {
		seen[l] = true
	}
	assert.Len(t, seen, writers*rounds)
}

func TestWritesThroughOneWriterQueueUp(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	w := writer(r.mirror())
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			_, err := w.Write(t.Context(), setting(fmt.Sprintf("f/%d", i), "x"))
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Equal(t, 5, r.Requests()[gittest.Push], "none lost a race")
	assert.Len(t, strings.Fields(r.git("rev-list", "main")), 6)
}

func TestAnAmbiguousPushIsNeverRepeated(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "0"})
	w := writer(r.mirror())
	for i := range 8 {
		r.Inject(gittest.Fault{On: gittest.Push, Times: 1, CutAfter: true})
		sha, err := w.Write(t.Context(), setting("a", fmt.Sprint("x", i)))
		require.NoError(t, err)
		assert.Equal(t, sha, r.git("rev-parse", "main"))
	}
	assert.Len(t, strings.Fields(r.git("rev-list", "main")), 9)
}

func TestAnAmbiguousPushUnderForeignCommitsIsFound(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "0"})
	m := r.mirror()
	tip(t, m)
	decided := 0
	p := setting("a", "1")
	inner := p.Decide
	p.Decide = func(v gitsource.TipView) (gitsource.Plan, error) { decided++; return inner(v) }
	r.Inject(gittest.Fault{On: gittest.Push, Times: 1, CutAfter: true})
	r.Inject(gittest.Fault{On: gittest.Refs, Times: 1}) // the look before the push
	r.Inject(gittest.Fault{On: gittest.Refs, Times: 1, Before: func() {
		_, err := r.Commit("main", "foreign", "", map[string]string{"a": "foreign"})
		assert.NoError(t, err)
	}})
	sha, err := writer(m).Write(t.Context(), p)
	require.NoError(t, err)
	assert.Equal(t, 1, decided, "the commit that landed was recognised below the foreign one")
	assert.Equal(t, sha, r.git("rev-parse", "main^"))
}

func TestAPushThatNeverArrivedIsMadeAgain(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "0"})
	for _, f := range []gittest.Fault{{CutBefore: true}, {Status: 503}, {Status: 502}} {
		f.On, f.Times = gittest.Push, 1
		r.Inject(f)
	}
	sha, err := writer(r.mirror()).Write(t.Context(), setting("a", "1"))
	require.NoError(t, err)
	assert.Equal(t, sha, r.git("rev-parse", "main"))
	assert.Len(t, strings.Fields(r.git("rev-list", "main")), 2)
}

func TestARefusalIsFinal(t *testing.T) {
	r := newRepo(t)
	before := r.commit("main", map[string]string{"a": "0"})
	t.Run("by a hook", func(t *testing.T) {
		hook := filepath.Join(r.Dir, "hooks", "pre-receive")
		require.NoError(t, os.MkdirAll(filepath.Dir(hook), 0o755))
		require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\necho protected branch >&2\nexit 1\n"), 0o755)) // a hook must be executable
		r.ResetRequests()
		_, err := writer(r.mirror()).Write(t.Context(), setting("a", "1"))
		require.ErrorIs(t, err, gitsource.ErrRefused)
		assert.Equal(t, 1, r.Requests()[gittest.Push])
		require.NoError(t, os.Remove(hook))
	})
	for _, status := range []int{401, 403, 404, 422} {
		r.ClearFaults()
		r.ResetRequests()
		r.Inject(gittest.Fault{On: gittest.Push, Status: status})
		_, err := writer(r.mirror()).Write(t.Context(), setting("a", "1"))
		require.ErrorIs(t, err, gitsource.ErrRefused, status)
		assert.Equal(t, 1, r.Requests()[gittest.Push])
	}
	assert.Equal(t, before, r.git("rev-parse", "main"))
}

func TestAWriterGivesUpAfterTwentyTries(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "0"})
	r.Inject(gittest.Fault{On: gittest.Push, Status: 500})
	var waits []time.Duration
	w := gitsource.NewWriter(r.mirror(), gitsource.WriterConfig{Sleep: func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		return nil
	}})
	_, err := w.Write(t.Context(), setting("a", "1"))
	require.ErrorIs(t, err, gitsource.ErrContended)
	require.Len(t, waits, 19)
	for i, d := range waits {
		assert.LessOrEqual(t, d, min(200*time.Millisecond<<i, 5*time.Second))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Write(ctx, setting("a", "1"))
	require.ErrorIs(t, err, context.Canceled)
}

func sshKey(t *testing.T) (private, public string) {
	t.Helper()
	private = filepath.Join(t.TempDir(), "key")
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sluice", "-f", private).CombinedOutput()
	require.NoError(t, err, string(out))
	data, err := os.ReadFile(private + ".pub")
	require.NoError(t, err)
	return private, strings.TrimSpace(string(data))
}

func TestGitVerifiesSignedCommits(t *testing.T) {
	r := newRepo(t)
	unsigned := r.commit("main", map[string]string{"a": "0"})
	private, public := sshKey(t)
	_, stranger := sshKey(t)
	signer, err := gitsource.NewSSHSigner(private)
	require.NoError(t, err)
	m := r.mirror()
	w := gitsource.NewWriter(m, gitsource.WriterConfig{
		Identity: gitsource.Identity{Name: "Slu<ice>\n", Email: "sluice@example.com"},
		Signer:   signer,
	})
	sha, err := w.Write(t.Context(), setting("a", "1"))
	require.NoError(t, err)

	allowed := filepath.Join(t.TempDir(), "allowed")
	require.NoError(t, os.WriteFile(allowed, []byte("sluice@example.com namespaces=\"git\" "+public+"\n"), 0o600))
	out, err := r.Git("-c", "gpg.ssh.allowedSignersFile="+allowed, "verify-commit", sha)
	require.NoError(t, err, out)

	tip(t, m)
	who, err := m.SignedBy(sha, []byte("# comment\n\nsluice@example.com namespaces=\"git\" "+public+"\n"))
	require.NoError(t, err)
	assert.Equal(t, "sluice@example.com", who)
	_, err = m.SignedBy(sha, []byte("x "+stranger))
	require.ErrorIs(t, err, gitsource.ErrBadSignature)
	_, err = m.SignedBy(sha, []byte("x cert-authority "+public))
	require.ErrorIs(t, err, gitsource.ErrBadSignature)
	_, err = m.SignedBy(unsigned, []byte("x "+public))
	require.ErrorIs(t, err, gitsource.ErrUnsigned)

	t.Run("a changed commit does not verify", func(t *testing.T) {
		raw := r.git("cat-file", "commit", sha)
		forged := strings.Replace(raw, "set a", "set b", 1) + "\n"
		assertForged(t, r, m, forged, public, gitsource.ErrBadSignature)
	})
	t.Run("a commit with a second tree is malformed", func(t *testing.T) {
		raw := r.git("cat-file", "commit", sha)
		tree := raw[:strings.Index(raw, "\n")+1]
		assertForged(t, r, m, strings.Replace(raw, "gpgsig ", tree+"gpgsig ", 1)+"\n", public, gitsource.ErrMalformed)
	})
}

// assertForged puts a commit object into the repository as it is.
func assertForged(t *testing.T, r repo, m *gitsource.Mirror, raw, public string, want error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "commit")
	require.NoError(t, os.WriteFile(file, []byte(raw), 0o600))
	sha := r.git("hash-object", "-t", "commit", "--literally", "-w", file)
	r.git("update-ref", "refs/heads/forged", sha)
	_, err := m.Fetch(t.Context(), "refs/heads/forged")
	if err == nil {
		_, err = m.SignedBy(sha, []byte("x "+public))
	}
	require.ErrorIs(t, err, want)
}

func TestSigningKeysAreChecked(t *testing.T) {
	_, err := gitsource.NewSSHSigner("/nowhere")
	require.Error(t, err)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("s3cret"), 0o600))
	_, err = gitsource.NewSSHSigner(file)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "s3cret")
}
