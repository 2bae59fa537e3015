package gitsource_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

func shas(commits []gitsource.Commit) []string {
	var out []string
	for _, c := range commits {
		out = append(out, c.SHA)
	}
	return out
}

func TestCommitSaysWhatGitSays(t *testing.T) {
	r := newRepo(t)
	_, err := r.Commit("main", "first\n\nbody\n", "Ada <ada@example.com>", map[string]string{"a": "1"})
	require.NoError(t, err)
	r.branch("feature", "main")
	r.commit("feature", map[string]string{"b": "1"})
	r.commit("main", map[string]string{"c": "1"})
	sha, err := r.Merge("main", "feature", gittest.MergeCommit, "merge it", "Bob <bob@example.com>")
	require.NoError(t, err)
	m := r.mirror()
	tip(t, m)

	c, err := m.Commit(sha)
	require.NoError(t, err)
	assert.Equal(t, strings.Fields(r.git("log", "-1", "--format=%P", sha)), c.Parents)
	assert.Equal(t, r.git("rev-parse", sha+"^{tree}"), c.Tree)
	assert.Equal(t, []string{"Bob", "bob@example.com", "Bob", "bob@example.com", "merge it"},
		[]string{c.Author, c.Email, c.Committer, c.CommitterEmail, c.Message})
	assert.Equal(t, r.git("log", "-1", "--format=%ct", sha), fmt.Sprint(c.Time.Unix()))

	for _, bad := range []string{"", "main", sha[:12], strings.ToUpper(sha), strings.Repeat("1", 40)} {
		_, err := m.Commit(bad)
		require.ErrorIs(t, err, gitsource.ErrUnknownCommit, bad)
	}
}

func TestRangeFollowsFirstParents(t *testing.T) {
	r := newRepo(t)
	first := r.commit("main", map[string]string{"a": "1"})
	r.branch("feature", "main")
	inner := r.commit("feature", map[string]string{"b": "1"})
	second := r.commit("main", map[string]string{"c": "1"})
	merged := r.merge("main", "feature", gittest.MergeCommit)
	m := r.mirror()
	tip(t, m)

	got, err := m.Range(first, merged)
	require.NoError(t, err)
	assert.Equal(t, []string{second, merged}, shas(got))
	got, err = m.Range("", merged)
	require.NoError(t, err)
	assert.Equal(t, []string{first, second, merged}, shas(got))
	got, err = m.Range(merged, merged)
	require.NoError(t, err)
	assert.Empty(t, got)
	_, err = m.Range(inner, merged)
	require.ErrorIs(t, err, gitsource.ErrRewritten, "an ancestor, but not through first parents")
	_, err = m.Range(merged, first)
	require.ErrorIs(t, err, gitsource.ErrRewritten)
	_, err = m.Range(first, strings.Repeat("1", 40))
	require.ErrorIs(t, err, gitsource.ErrUnknownCommit)
}

// TestMergeBasesAgreeWithGit compares on random graphs, whose commit times do
// not follow their order.
func TestMergeBasesAgreeWithGit(t *testing.T) {
	r := newRepo(t)
	seed := rand.New(rand.NewPCG(1, 2)) // repeatable
	var all []string
	var in strings.Builder
	for i := range 40 {
		who := fmt.Sprintf("T <t@example.com> %d +0000", 1_700_000_000+seed.IntN(1000))
		fmt.Fprintf(&in, "commit refs/heads/r%d\nmark :%d\nauthor %s\ncommitter %s\ndata 1\nx\n", i, i+1, who, who)
		for n, p := range pick(seed, i) {
			verb := "merge"
			if n == 0 {
				verb = "from"
			}
			fmt.Fprintf(&in, "%s :%d\n", verb, p+1)
		}
		fmt.Fprintf(&in, "M 644 inline f%d\ndata 1\nx\n", i)
	}
	runStdin(t, r.Dir, in.String(), "fast-import", "--quiet")
	m := r.mirror()
	refs := []string{}
	for i := range 40 {
		refs = append(refs, fmt.Sprintf("refs/heads/r%d", i))
		all = append(all, r.git("rev-parse", refs[i]))
	}
	r.branch("main", all[0])
	tip(t, m)
	_, err := m.Fetch(t.Context(), refs...)
	require.NoError(t, err)
	for range 60 {
		a, b := all[seed.IntN(len(all))], all[seed.IntN(len(all))]
		out, _ := r.Git("merge-base", "--all", a, b) // fails when there is none
		want := strings.Fields(out)
		slices.Sort(want)
		got, err := m.MergeBases(a, b)
		require.NoError(t, err)
		assert.ElementsMatch(t, want, got)
		_, notAncestor := r.Git("merge-base", "--is-ancestor", a, b)
		is, err := m.IsAncestor(a, b)
		require.NoError(t, err)
		assert.Equal(t, notAncestor == nil, is)
	}
}

// pick chooses up to three distinct earlier commits.
func pick(seed *rand.Rand, i int) []int {
	var out []int
	for range seed.IntN(3) + min(1, i/4) {
		if i > 0 {
			if p := seed.IntN(i); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func TestChangesAreAPlainTreeDiff(t *testing.T) {
	r := newRepo(t)
	from := r.commitFiles("main", map[string]gittest.File{
		"same": {Content: "s"}, "gone": {Content: "g"}, "mod": {Content: "1"}, "mode": {Content: "m"},
		"file-to-dir": {Content: "f"}, "dir-to-file/x": {Content: "d"}, "deep/a/b/c": {Content: "1"}, "kind": {Content: "target"},
	})
	to := r.commitFiles("main", map[string]gittest.File{
		"gone": {Delete: true}, "mod": {Content: "2"}, "mode": {Mode: "100755", Content: "m"},
		"file-to-dir": {Delete: true}, "file-to-dir/y": {Content: "f"}, "dir-to-file/x": {Delete: true}, "dir-to-file": {Content: "d"},
		"deep/a/b/c": {Content: "2"}, "kind": {Mode: "120000", Content: "target"}, "renamed": {Content: "g"},
	})
	m := r.mirror()
	tip(t, m)
	changes, err := m.Changes(from, to)
	require.NoError(t, err)
	var got []string
	zero := strings.Repeat("0", 40)
	for _, c := range changes {
		blob := func(s string) string {
			if s == "" {
				return zero
			}
			return s
		}
		got = append(got, fmt.Sprintf(":%06o %06o %s %s %s", c.OldMode, c.NewMode, blob(c.OldBlob), blob(c.NewBlob), c.Path))
	}
	raw := r.git("diff-tree", "-r", "--no-renames", from, to)
	var want []string
	for line := range strings.Lines(raw) {
		f := strings.Fields(line) // :old new oldblob newblob letter path
		want = append(want, strings.Join([]string{f[0], f[1], f[2], f[3], f[5]}, " "))
	}
	assert.ElementsMatch(t, want, got)

	all, err := m.Changes("", to)
	require.NoError(t, err)
	assert.Len(t, all, len(strings.Fields(r.git("ls-tree", "-r", "--name-only", to))))
}

func TestSubtreeHashesIdentifyDirectories(t *testing.T) {
	r := newRepo(t)
	a := r.commit("main", map[string]string{"p/a/release.yaml": "1", "p/a/control.yaml": "x", "p/b/only": "1"})
	b := r.commit("main", map[string]string{"p/a/control.yaml": "y"})
	c := r.commit("main", map[string]string{"p/a/release.yaml": "2"})
	m := r.mirror()
	tip(t, m)
	hash := func(sha, dir string, except ...string) string {
		t.Helper()
		if except == nil {
			h, err := m.SubtreeHash(sha, dir)
			require.NoError(t, err)
			return h
		}
		h, err := m.TreeHashWithout(sha, dir, except...)
		require.NoError(t, err)
		return h
	}
	assert.Equal(t, r.git("rev-parse", a+":p/a"), hash(a, "p/a"))
	assert.Equal(t, r.git("rev-parse", a+"^{tree}"), hash(a, "."))
	assert.Empty(t, hash(a, "p/none"))
	assert.Empty(t, hash(a, "p/a/release.yaml"))
	assert.Empty(t, hash(a, "p/a/release.yaml/x"))
	assert.NotEqual(t, hash(a, "p/a"), hash(b, "p/a"))
	assert.Equal(t, hash(a, "p/a", "control.yaml"), hash(b, "p/a", "control.yaml"))
	assert.NotEqual(t, hash(b, "p/a", "control.yaml"), hash(c, "p/a", "control.yaml"))
	assert.Equal(t, hash(a, "p/b"), hash(a, "p/b", "control.yaml"))
	assert.Empty(t, hash(a, "p/b", "only"))
	assert.Empty(t, hash(a, "p/none", "x"))
	_, err := m.SubtreeHash(strings.Repeat("1", 40), "p")
	require.ErrorIs(t, err, gitsource.ErrUnknownCommit)
}

func TestReviewedContentIsProvenForEveryKindOfMerge(t *testing.T) {
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		t.Run(string(method), func(t *testing.T) {
			r := newRepo(t)
			r.commit("main", map[string]string{"prod/a": "1", "prod/b": "1"})
			r.branch("feature", "main")
			r.commit("feature", map[string]string{"prod/a": "2"})
			h := r.commitFiles("feature", map[string]gittest.File{"prod/c": {Mode: "100755", Content: "x"}})
			b := r.commit("main", map[string]string{"prod/b": "2"})
			c := r.merge("main", "feature", method)
			edited := r.commit("main", map[string]string{"prod/z": "sneaked in"})
			m := r.mirror()
			tip(t, m)
			_, err := m.Fetch(t.Context(), h)
			require.NoError(t, err)
			base, reason, err := m.OnlyMergeBase(b, h)
			require.NoError(t, err)
			require.Empty(t, reason)

			ok, reason, err := m.SameContent(b, c, base, h)
			require.NoError(t, err)
			assert.True(t, ok, reason)
			ok, reason, err = m.SameContent(b, edited, base, h)
			require.NoError(t, err)
			assert.False(t, ok)
			assert.Equal(t, `"prod/z" changed on the branch but was not part of the review`, reason)
		})
	}
}

func TestUnprovenContentSaysWhichPath(t *testing.T) {
	r := newRepo(t)
	base := r.commit("main", map[string]string{"f": "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "g": "1"})
	r.branch("feature", "main")
	h := r.commit("feature", map[string]string{"f": "one\n2\n3\n4\n5\n6\n7\n8\n9\n"})
	b := r.commit("main", map[string]string{"f": "1\n2\n3\n4\n5\n6\n7\n8\nnine\n"})
	both := r.merge("main", "feature", gittest.Squash)
	r.branch("edited", base)
	edited := r.commit("edited", map[string]string{"f": "evil\n"})
	r.branch("mode", base)
	mode := r.commitFiles("mode", map[string]gittest.File{"f": {Mode: "100755", Content: "one\n2\n3\n4\n5\n6\n7\n8\n9\n"}})
	r.branch("dropped", base)
	dropped := r.commit("dropped", map[string]string{"g": "2"})
	orphan := r.commit("orphan", map[string]string{"f": "1"})
	m := r.mirror()
	tip(t, m)
	_, err := m.Fetch(t.Context(), h, edited, mode, dropped, orphan)
	require.NoError(t, err)
	for name, tc := range map[string]struct{ b, c, reason string }{
		"changed on both sides": {b, both, `"f" was also changed on the base branch: update the branch and have it reviewed again`},
		"edited in the merge":   {base, edited, `"f" is not what was reviewed`},
		"mode changed":          {base, mode, `"f" is not what was reviewed`},
		"dropped in the merge":  {base, dropped, `the reviewed change of "f" did not land`},
		"nothing landed":        {base, base, `the reviewed change of "f" did not land`},
	} {
		ok, reason, err := m.SameContent(tc.b, tc.c, base, h)
		require.NoError(t, err)
		assert.False(t, ok, name)
		assert.Equal(t, tc.reason, reason, name)
	}
	_, reason, err := m.OnlyMergeBase(b, orphan)
	require.NoError(t, err)
	assert.Contains(t, reason, "no common history")
	_, _, err = m.SameContent(base, strings.Repeat("1", 40), base, h)
	require.ErrorIs(t, err, gitsource.ErrUnknownCommit)
}

func TestSeveralMergeBasesAreNotProven(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	r.branch("feature", "main")
	x := r.commit("feature", map[string]string{"b": "1"})
	y := r.commit("main", map[string]string{"c": "1"})
	b := r.merge("main", x, gittest.MergeCommit)
	h := r.merge("feature", y, gittest.MergeCommit)
	m := r.mirror()
	tip(t, m)
	_, err := m.Fetch(t.Context(), h)
	require.NoError(t, err)
	base, reason, err := m.OnlyMergeBase(b, h)
	require.NoError(t, err)
	assert.Empty(t, base)
	assert.Contains(t, reason, "2 merge bases")
}

// putObject stores an object as no well-behaved client would write it.
func putObject(t *testing.T, r repo, kind string, body []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "object")
	require.NoError(t, os.WriteFile(file, body, 0o600))
	return r.git("hash-object", "-t", kind, "--literally", "-w", file)
}

func TestAmbiguousTreesAndCommitsAreMalformed(t *testing.T) {
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1"})
	blob := r.git("rev-parse", sha+":a")
	var raw bytes.Buffer
	for i := 0; i < 40; i += 2 {
		var c byte
		_, err := fmt.Sscanf(blob[i:i+2], "%02x", &c)
		require.NoError(t, err)
		raw.WriteByte(c)
	}
	line := func(mode, name string) string { return mode + " " + name + "\x00" + raw.String() }
	commit := func(tree string) string {
		return putObject(t, r, "commit", []byte("tree "+tree+"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"))
	}
	tree := func(body string) string { return commit(putObject(t, r, "tree", []byte(body))) }
	whole := r.git("rev-parse", sha+"^{tree}")
	refused := 0
	for name, bad := range map[string]string{
		"dot dot":         tree(line("100644", "..")),
		"dot":             tree(line("100644", ".")),
		"slash":           tree(line("100644", "prod/a")),
		"no name":         tree(line("100644", "")),
		"twice":           tree(line("100644", "a") + line("100644", "a")),
		"unsorted":        tree(line("100644", "b") + line("100644", "a")),
		"odd mode":        tree(line("100777", "a")),
		"no mode":         tree("a\x00" + raw.String()),
		"cut short":       tree(line("100644", "a")[:15]),
		"no author":       putObject(t, r, "commit", []byte("tree "+whole+"\ncommitter A <a@b> 1 +0000\n\nx\n")),
		"two authors":     putObject(t, r, "commit", []byte("tree "+whole+"\nauthor A <a@b> 1 +0000\nauthor B <b@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n")),
		"late parent":     putObject(t, r, "commit", []byte("tree "+whole+"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nparent "+sha+"\n\nx\n")),
		"no date":         putObject(t, r, "commit", []byte("tree "+whole+"\nauthor A <a@b>\ncommitter A <a@b> 1 +0000\n\nx\n")),
		"nested brackets": putObject(t, r, "commit", []byte("tree "+whole+"\nauthor A <a<x>@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n")),
		"two signatures":  putObject(t, r, "commit", []byte("tree "+whole+"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\ngpgsig a\ngpgsig b\n\nx\n")),
	} {
		m := r.mirror()
		tip(t, m)
		r.git("update-ref", "refs/heads/bad", bad)
		_, err := m.Fetch(t.Context(), "refs/heads/bad")
		require.Error(t, err, name)
		if !strings.Contains(err.Error(), "remote side") { // git's own server serves most of them
			require.ErrorIs(t, err, gitsource.ErrMalformed, name)
			refused++
		}
		assert.Equal(t, "1", readFile(t, m, sha, "a"))
	}
	assert.Greater(t, refused, 9)
}

// The parser would allocate an index for what the header promises.
func TestAPackThatLiesAboutItsCountIsRefused(t *testing.T) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, err := w.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	body := append([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff\x31"), z.Bytes()...)
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1"})
	m := r.mirror()
	tip(t, m)
	r.commit("main", map[string]string{"a": "2"})
	r.Inject(gittest.Fault{On: gittest.Pack, Answer: packAnswer(body)})
	_, err = m.Tip(t.Context())
	require.ErrorContains(t, err, "more than allowed")
	assert.Equal(t, "1", readFile(t, m, sha, "a"))
}
