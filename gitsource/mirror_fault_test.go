package gitsource_test

import (
	"context"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

func TestLastGoodStaysReadableThroughServerFaults(t *testing.T) {
	held := make(chan struct{})
	t.Cleanup(func() { close(held) }) // after the parallel parts
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = io.WriteString(w, "0008NAK\n")
		line := []byte("1005\x01" + strings.Repeat("x", 4096))
		for range 2000 {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	for name, fault := range map[string]gittest.Fault{
		"refused":       {Status: http.StatusServiceUnavailable},
		"not found":     {Status: http.StatusNotFound},
		"reset":         {CutBefore: true},
		"half listing":  {On: gittest.Refs, Half: true},
		"half pack":     {On: gittest.Pack, Half: true},
		"no pack":       {On: gittest.Pack, CutAfter: true},
		"hanging":       {On: gittest.Refs, Hold: held},
		"hanging pack":  {On: gittest.Pack, Hold: held},
		"web page":      {Answer: http.NotFoundHandler()},
		"garbage":       {Answer: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })},
		"endless pack":  {On: gittest.Pack, Answer: endless},
		"redirect away": {Answer: http.RedirectHandler("http://127.0.0.1:1/repo.git/info/refs", http.StatusFound)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			good := r.commit("main", map[string]string{"a": "1"})
			cfg := r.config()
			cfg.MaxPackBytes = 1 << 20
			m := open(t, cfg)
			tip(t, m)
			next := r.commit("main", map[string]string{"a": "2"})
			r.Inject(fault)

			ctx, cancel := context.WithCancel(t.Context())
			if fault.Hold != nil {
				cancel()
			}
			_, err := m.Tip(ctx)
			cancel()
			require.Error(t, err)
			assert.Less(t, len(err.Error()), 600)
			assert.Equal(t, "1", readFile(t, m, good, "a"))
			leftovers, globErr := filepath.Glob(filepath.Join(cfg.Dir, "*.git", "objects", "pack", "tmp_*"))
			require.NoError(t, globErr)
			assert.Empty(t, leftovers)

			r.ClearFaults()
			assert.Equal(t, next, tip(t, m))
			assert.Equal(t, "2", readFile(t, m, next, "a"))
		})
	}
}

func TestAHangingServerIsLeftWhenTheContextEnds(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	m := r.mirror()
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan struct{})
	defer close(held)
	arrived := make(chan struct{})
	r.Inject(gittest.Fault{On: gittest.Pack, Times: 1, Answer: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		close(arrived)
		select {
		case <-held:
		case <-req.Context().Done():
		}
	})})
	go func() {
		<-arrived
		cancel()
	}()
	_, err := m.Tip(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestForcePushIsSeenAsRewrittenHistory(t *testing.T) {
	r := newRepo(t)
	base := r.commit("main", map[string]string{"a": "1"})
	mark := r.commit("main", map[string]string{"a": "2"})
	m := r.mirror()
	tip(t, m)
	r.branch("main", base)
	forced := r.commit("main", map[string]string{"a": "evil"})

	assert.Equal(t, forced, tip(t, m))
	_, err := m.Range(mark, forced)
	require.ErrorIs(t, err, gitsource.ErrRewritten)
	ok, err := m.IsAncestor(mark, forced)
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Equal(t, "2", readFile(t, m, mark, "a"))

	r.branch("main", base) // a replay of an old state
	assert.Equal(t, base, tip(t, m))
	_, err = m.Range(mark, base)
	require.ErrorIs(t, err, gitsource.ErrRewritten)
}

func TestDeletedBranchAndEmptiedRepositoryKeepTheLastGood(t *testing.T) {
	for name, destroy := range map[string]func(r repo) error{
		"branch deleted":     func(r repo) error { return r.DeleteBranch("main") },
		"repository emptied": func(r repo) error { return r.Empty() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			sha := r.commit("main", map[string]string{"a": "1"})
			r.commit("other", map[string]string{"a": "1"})
			m := r.mirror()
			tip(t, m)
			require.NoError(t, destroy(r))

			_, err := m.Tip(t.Context())
			require.ErrorIs(t, err, gitsource.ErrNoBranch)
			assert.Equal(t, "1", readFile(t, m, sha, "a"))
			r.branch("main", sha)
			assert.Equal(t, sha, tip(t, m))
		})
	}
}

func TestADamagedMirrorHealsAtStart(t *testing.T) {
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			first := r.commit("main", map[string]string{"a": "1", "d/e": strings.Repeat("text ", 500)})
			cfg := r.config()
			m := open(t, cfg)
			tip(t, m)
			sha := r.commit("main", map[string]string{"a": "2"})
			tip(t, m)
			m.Close()
			damage(t, filepath.Join(cfg.Dir, "1.git"))

			again := open(t, cfg)
			assert.Equal(t, sha, tip(t, again))
			assert.Equal(t, "2", readFile(t, again, sha, "a"))
			assert.Equal(t, "1", readFile(t, again, first, "a"))
			generations, err := os.ReadDir(cfg.Dir)
			require.NoError(t, err)
			assert.Len(t, generations, 1)
		})
	}
}

// damages are what a crash, a full disk or a bad disk leaves behind.
func damages() map[string]func(t *testing.T, dir string) {
	each := func(pattern string, change func(path string) error) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			require.NoError(t, os.Chmod(files[0], 0o600))
			require.NoError(t, change(files[0]))
		}
	}
	empty := func(path string) error { return os.Truncate(path, 0) }
	half := func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()/2)
	}
	flip := func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		return os.WriteFile(path, data, 0o600)
	}
	return map[string]func(t *testing.T, dir string){
		"empty branch file": each("refs/heads/main", empty),
		"lost branch file":  each("refs/heads/main", os.Remove),
		"missing pack":      each("objects/pack/*.pack", os.Remove),
		"missing index":     each("objects/pack/*.idx", os.Remove),
		"empty pack":        each("objects/pack/*.pack", empty),
		"truncated pack":    each("objects/pack/*.pack", half),
		"flipped bit":       each("objects/pack/*.pack", flip),
		"damaged index":     each("objects/pack/*.idx", flip),
		"truncated index":   each("objects/pack/*.idx", half),
		"half clone":        each(".", func(dir string) error { return os.Remove(filepath.Join(dir, "sluice-packs")) }),
		"no objects":        each("objects", os.RemoveAll),
		"nothing":           each(".", os.RemoveAll),
	}
}

func TestUnrecordedPacksAreDroppedAtStart(t *testing.T) {
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1"})
	cfg := r.config()
	m := open(t, cfg)
	tip(t, m)
	m.Close()
	folder := filepath.Join(cfg.Dir, "1.git", "objects", "pack")
	for _, name := range []string{"tmp_pack_1", "pack-" + strings.Repeat("1", 40) + ".pack"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600))
	}
	again := open(t, cfg)
	assert.Equal(t, sha, tip(t, again))
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Len(t, entries, 2)
}

func TestAPackThatIsTooLargeIsRefused(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	cfg := r.config()
	cfg.MaxPackBytes = 4096
	m := open(t, cfg)
	tip(t, m)
	r.commit("main", map[string]string{"bomb": strings.Repeat("0", 1<<20)}) // packs to a kilobyte
	_, err := m.Tip(t.Context())
	require.ErrorContains(t, err, "more than allowed")
}

func TestAServerThatLeavesObjectsOutIsNotBelieved(t *testing.T) {
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1"})
	m := r.mirror()
	tip(t, m)
	bad := r.commit("main", map[string]string{"a": "2"})
	blob, err := r.Git("rev-parse", bad+":a")
	require.NoError(t, err)
	// Lie about the tip: a commit whose blob the served repository lacks.
	require.NoError(t, os.RemoveAll(filepath.Join(r.Dir, "objects", blob[:2], blob[2:])))

	_, err = m.Tip(t.Context())
	require.Error(t, err)
	assert.Equal(t, "1", readFile(t, m, sha, "a"))
}

func TestErrorsNeverRepeatCredentials(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	cfg := r.config()
	cfg.Auth.Token = func(context.Context) (string, error) { return "s3cret-token", nil }
	m := open(t, cfg)
	r.Inject(gittest.Fault{Answer: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, password, _ := req.BasicAuth()
		http.Error(w, "\x1b[31mno "+password+" "+req.Header.Get("Authorization"), http.StatusForbidden)
	})})
	_, err := m.Tip(t.Context())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "s3cret-token")
	assert.NotContains(t, err.Error(), base64.StdEncoding.EncodeToString([]byte("x-access-token:s3cret-token")))
	assert.NotContains(t, err.Error(), "\x1b")
}

func TestRedirectsCarryNoCredentials(t *testing.T) {
	r, stranger := newRepo(t), newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	stranger.commit("main", map[string]string{"a": "evil"})
	cfg := r.config()
	cfg.Auth.Token = func(context.Context) (string, error) { return "s3cret-token", nil }
	m := open(t, cfg)
	r.Inject(gittest.Fault{Answer: http.RedirectHandler(stranger.URL+"/info/refs?service=git-upload-pack", http.StatusMovedPermanently)})
	_, err := m.Tip(t.Context())
	require.Error(t, err)
	assert.Empty(t, stranger.Requests())
}

// TestMain doubles as the process that is killed below.
func TestMain(m *testing.M) {
	if dir := os.Getenv("GITSOURCE_FOLLOW_DIR"); dir != "" {
		follow(os.Getenv("GITSOURCE_FOLLOW_URL"), dir)
		return
	}
	os.Exit(m.Run())
}

func follow(url, dir string) {
	m, err := gitsource.Open(context.Background(), gitsource.Config{URL: url, Branch: "main", Dir: dir})
	if err == nil {
		_, err = m.Tip(context.Background())
	}
	if err != nil {
		_, _ = io.WriteString(os.Stderr, err.Error())
	}
}

func TestAProcessKilledInTheMiddleOfAFetchLeavesAMirrorThatWorks(t *testing.T) {
	for name, had := range map[string]bool{"first clone": false, "later fetch": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			sha := r.commit("main", map[string]string{"a": "1"})
			cfg := r.config()
			if had {
				m := open(t, cfg)
				tip(t, m)
				m.Close()
				sha = r.commit("main", map[string]string{"a": "2"})
			}
			reached := make(chan struct{})
			r.Inject(gittest.Fault{On: gittest.Pack, Times: 1, Answer: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.WriteString(w, "0008NAK\n0010\x01PACK\x00\x00\x00\x02\x00\x00\x00")
				_ = http.NewResponseController(w).Flush()
				close(reached)
				<-req.Context().Done()
			})})
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), "GITSOURCE_FOLLOW_URL="+r.URL, "GITSOURCE_FOLLOW_DIR="+cfg.Dir)
			require.NoError(t, cmd.Start())
			<-reached
			require.NoError(t, cmd.Process.Kill())
			require.Error(t, cmd.Wait())

			m := open(t, cfg)
			assert.Equal(t, sha, tip(t, m))
			leftovers, err := filepath.Glob(filepath.Join(cfg.Dir, "*.git", "objects", "pack", "tmp_*"))
			require.NoError(t, err)
			assert.Empty(t, leftovers)
		})
	}
}

func TestCommitsThatOnlyADamagedCopyHadAreFetchedAgain(t *testing.T) {
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1", "b/c": strings.Repeat("x", 100)})
	r.branch("feature", "main")
	head := r.commit("feature", map[string]string{"a": "2"})
	cfg := r.config()
	m := open(t, cfg)
	tip(t, m)
	_, err := m.Fetch(t.Context(), head)
	require.NoError(t, err)
	assert.Equal(t, "2", readFile(t, m, head, "a"))

	packs, err := filepath.Glob(filepath.Join(cfg.Dir, "*.git", "objects", "pack", "*.pack"))
	require.NoError(t, err)
	for _, p := range packs {
		require.NoError(t, os.Truncate(p, 40))
	}
	files, err := m.FS(sha)
	require.NoError(t, err)
	_, err = fs.ReadFile(files, "b/c")
	require.Error(t, err)
	assert.Equal(t, sha, tip(t, m), "cloned again")

	_, err = m.Commit(head)
	require.ErrorIs(t, err, gitsource.ErrUnknownCommit)
	_, err = m.Fetch(t.Context(), head)
	require.NoError(t, err)
	assert.Equal(t, "2", readFile(t, m, head, "a"))
	assert.Equal(t, strings.Repeat("x", 100), readFile(t, m, sha, "b/c"))
}
