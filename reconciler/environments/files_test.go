package environments_test

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// problem polls and returns why production cannot be used.
func (w *world) problem() string {
	w.t.Helper()
	return w.poll().Releases[production].Problem
}

func TestInputsAreWhatRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.record.Releases[production].Inputs
	extra := w.push("main", map[string]string{"services/checkout/base/extra/readme.md": "another base\n"})
	same := map[string]map[string]string{
		"a comment and the version": {unproven: "# comment\n" + file{digest: "one", source: w.built, base: w.base, version: "9.9"}.String()},
		"the change class":          {unproven: w.file("one").String() + "change: breaking\n"},
		"a control file":            holding("bad"),
		"the newest base":           {"services/checkout/base/deployment.yaml": deployment + "# unpinned\n"},
	}
	for name, files := range same {
		w.push("main", files)
		assert.Equal(t, before, w.poll().Releases[production].Inputs, name)
		assert.Empty(t, w.record.Releases[production].Changes, name)
	}
	other := map[string]map[string]string{
		"the digest":                 w.promotion("two"),
		"the pinned base":            {unproven: file{digest: "one", source: w.built, base: extra}.String()},
		"one byte of the overlay":    {unproven: w.file("one").String(), production + "/kustomization.yaml": overlay(3) + "\n"},
		"a file beside what is used": {production + "/kustomization.yaml": overlay(3), production + "/note.txt": "x"},
	}
	seen := map[string]string{before: "before"}
	for name, files := range other {
		w.push("main", files)
		inputs := w.poll().Releases[production].Inputs
		assert.Empty(t, seen[inputs], name)
		seen[inputs] = name
	}
}

func TestBaseHasToBeAStateOfTheBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("evil", map[string]string{"services/checkout/base/deployment.yaml": "evil: true\n"}, map[string]string{"services/checkout/base/deployment.yaml": deployment, "docs/note.md": "n\n"})
	inner := w.must(w.repo.Git().SHA(p.head + "~1"))
	p.merge(gittest.MergeCommit)
	require.NoError(t, w.repo.Branch("alice", "aside", "main"))
	aside := w.push("aside", map[string]string{"docs/note.md": "aside\n"})
	empty := w.must(w.repo.Git().Commit("empty", "no services", "", map[string]string{"x": "1"}))
	w.poll()
	for base, message := range map[string]string{
		"":                      "base is missing",
		aside:                   "not a commit of branch main",
		inner:                   "not a commit of branch main",
		strings.Repeat("1", 40): "not a commit of branch main",
		empty:                   "not a commit of branch main",
	} {
		w.push("main", map[string]string{unproven: file{digest: "two", source: w.built, base: base}.String()})
		assert.Contains(t, w.problem(), message, base)
		assert.Contains(t, w.problem(), unproven)
	}
	w.push("main", w.promotion("two"))
	assert.Empty(t, w.problem())
}

func TestBaseWithoutTheServiceIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", map[string]string{"production/cart/release.yaml": w.file("cart").String(), "dev/cart/release.yaml": file{digest: "cart", source: w.built}.String()})
	w.poll()
	for _, name := range []string{"production/cart", "dev/cart"} {
		assert.Contains(t, w.record.Releases[name].Problem, "services/cart/ does not exist in", name)
	}
}

func TestUnusableFilesConcernTheirReleaseAlone(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("#", 2<<20)
	for message, files := range map[string]map[string]gittest.File{
		"release.yaml:1:1":   {unproven: {Content: "nonsense: true\n"}},
		"not a regular file": {unproven: {Mode: "120000", Content: "../../staging/checkout/release.yaml"}},
		"file is too large":  {unproven: {Content: big}},
		"odd file name":      {production + "/a\x1bb.yaml": {Content: "x"}},
		"invisible":          {production + "/deep/\u202egnp.yaml": {Content: "x"}},
	} {
		t.Run(message, func(t *testing.T) {
			w := newWorld(t)
			before := w.record.Releases[production]
			w.raw("main", files)
			w.push("main", map[string]string{"staging/checkout/release.yaml": w.file("two").String()})
			assert.Contains(t, w.problem(), message)
			assert.Equal(t, before.Inputs, w.record.Releases[production].Inputs, "what was asked for last")
			assert.Len(t, w.record.Releases["staging/checkout"].Changes, 1)
		})
	}
}

func TestSubmoduleAsReleaseFileOrDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.raw("main", map[string]gittest.File{unproven: {Mode: "160000", Content: w.base}})
	assert.Contains(t, w.problem(), "not a regular file")
	w.raw("main", map[string]gittest.File{production: {Mode: "160000", Content: w.base}})
	assert.Empty(t, w.problem())
	assert.Empty(t, w.record.Releases[production].Inputs, "there is no directory any more")
}

func TestDirectoryThatIsGoneAsksForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.raw("main", map[string]gittest.File{unproven: {Delete: true}, production + "/kustomization.yaml": {Delete: true}})
	of := w.poll().Releases[production]
	assert.Empty(t, of.Inputs)
	assert.Len(t, of.Changes, 1)
	want, err := w.envs.Want(w.rules(), key(production), of)
	require.NoError(t, err)
	assert.Empty(t, want.Revision)
}

func TestRetiredIsAStateOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("retire", map[string]string{unproven: w.file("one").String() + "state: retired\n"}).approve("bob").merge(gittest.Squash)
	assert.Equal(t, intake.Retired, w.poll().Releases[production].Inputs)
	c := w.candidate(production)
	assert.True(t, c.Retired)
	f := w.facts(c)
	assert.True(t, f.Retired)
	assert.Empty(t, f.Checks)
	require.Len(t, f.Changes, 1)
	assert.True(t, f.Changes[0].Content.Yes)
}

func TestTwoServicesMoveApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.push("main", map[string]string{"services/cart/base/x": "1"})
	w.push("main", map[string]string{"production/cart/release.yaml": file{digest: "cart", source: w.built, base: base}.String()})
	before := w.poll().Releases
	require.NotEmpty(t, before["production/cart"].Inputs)
	w.push("main", map[string]string{"production/cart/release.yaml": file{digest: "cart two", source: w.built, base: base}.String()})
	after := w.poll().Releases
	assert.Equal(t, before[production], after[production])
	assert.NotEqual(t, before["production/cart"].Inputs, after["production/cart"].Inputs)
}

func TestWhatIsNoServiceIsNoRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := w.record.Names()
	w.raw("main", map[string]gittest.File{
		"production/_templates/release.yaml":  {Content: "x"},
		"production/a\x1bb/release.yaml":      {Content: "x"},
		"production/link":                     {Mode: "120000", Content: "checkout"},
		"services/\u202ekcehc/service.yaml.x": {Content: "x"},
		"services/tool/readme.md":             {Content: "x"},
	})
	assert.Equal(t, names, w.poll().Names())

	// Odd names beside them keep nobody from reading all of it.
	sha := w.propose("next", rules(policy+"# next\n")).approve("carol").merge(gittest.Squash)
	assert.Equal(t, names, w.poll().Names())
	assert.Equal(t, sha, w.record.Policy)
	fresh, err := w.envs.Begin(t.Context(), sha)
	require.NoError(t, err)
	assert.Equal(t, names, fresh.Names())
}

func TestServiceThatCannotBeUsedConcernsItselfAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("broken", map[string]string{"services/cart/service.yaml": "kind: Service\n"}).approve("carol").merge(gittest.Squash)
	w.poll()
	r := w.rules()
	assert.Contains(t, r.Broken["cart"], "services/cart/service.yaml")
	assert.Contains(t, r.Broken["library"], "services/library/service.yaml")
	assert.Contains(t, r.Services, "checkout")
	assert.True(t, r.First("dev"))
	assert.False(t, r.First("production"))
}

func TestManifestsShowTheTwoDirectoriesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.candidate(production)
	c.Want.Revision.Commit = w.raw("main", map[string]gittest.File{
		production + "/link":         {Mode: "120000", Content: "release.yaml"},
		production + "/deep/er.yaml": {Content: "a: b\n"},
		control:                      {Content: controlHead},
		"services/checkout/base/new": {Content: "after the pinned base"},
	})
	assert.Contains(t, w.problem(), "a symbolic link")
	in, err := w.envs.Manifests(key(production), c.Want.Revision, "checkout-production")
	require.NoError(t, err)

	var found []string
	for _, root := range []string{in.Dir, "services/checkout"} {
		require.NoError(t, fs.WalkDir(in.Files, root, func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				found = append(found, p)
			}
			return err
		}))
	}
	assert.Equal(t, []string{
		production + "/deep/er.yaml", production + "/kustomization.yaml", production + "/link",
		"services/checkout/base/.placeholder", "services/checkout/base/deployment.yaml",
		"services/checkout/base/extra/deep/notes.md", "services/checkout/base/extra/readme.md",
		"services/checkout/base/kustomization.yaml", "services/checkout/service.yaml",
	}, found)

	for _, name := range []string{unproven, control, "staging/checkout/release.yaml", "sluice.yaml", ".", "production", "services/library", "production/checkout2", "services/checkout/base/new"} {
		_, err := in.Files.Open(name)
		assert.ErrorIs(t, err, fs.ErrNotExist, name)
		_, err = fs.ReadFile(in.Files, name)
		assert.ErrorIs(t, err, fs.ErrNotExist, name)
		_, err = fs.ReadDir(in.Files, name)
		assert.ErrorIs(t, err, fs.ErrNotExist, name)
	}
	for _, name := range []string{production + "/../checkout/release.yaml", production + "/./release.yaml", production + "//release.yaml"} {
		_, err := in.Files.Open(name)
		assert.ErrorIs(t, err, fs.ErrInvalid, name)
	}
	info, err := fs.Stat(in.Files, production+"/link")
	require.NoError(t, err)
	assert.Equal(t, fs.ModeSymlink, info.Mode().Type())
	_, err = in.Files.Open(production + "/link")
	assert.Error(t, err, "nothing is followed")
}

func TestOpenDirectoryHidesTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in, err := w.envs.Manifests(key(production), w.candidate(production).Want.Revision, "checkout-production")
	require.NoError(t, err)
	f, err := in.Files.Open(production)
	require.NoError(t, err)
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	require.True(t, ok)
	entries, err := dir.ReadDir(1)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "kustomization.yaml", entries[0].Name())
	_, err = dir.ReadDir(1)
	assert.ErrorIs(t, err, io.EOF)

	sub, err := fs.Sub(in.Files, production)
	require.NoError(t, err)
	assert.NoError(t, fstest.TestFS(sub, "kustomization.yaml"))
}

func TestManifestsRender(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", w.promotion("two"))
	w.poll()
	want := w.candidate(production).Want
	in, err := w.envs.Manifests(key(production), want.Revision, "checkout-production")
	require.NoError(t, err)
	out, err := render.Build(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, out.Workload, 1)
	text := fmt.Sprint(out.Workload[0].Object)
	assert.Contains(t, text, image+"@"+digest("two"))
	assert.Contains(t, text, "checkout-"+want.Revision.ID)
	assert.Equal(t, "checkout-production", out.Workload[0].GetNamespace())
}

func TestReleasesAreReadInAnyOrderAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var bases, commits []string
	for i := range 4 {
		bases = append(bases, w.push("main", map[string]string{"services/checkout/base/extra/readme.md": fmt.Sprint(i)}))
		commits = append(commits, w.push("main", map[string]string{unproven: file{digest: "one", source: w.built, base: bases[i]}.String()}))
	}
	w.poll()
	for _, order := range [][]int{{0, 3, 1, 2}, {3, 0, 2, 1}, {1, 0, 3, 2}} {
		w.open()
		_, err := w.mirror.Tip(t.Context())
		require.NoError(t, err)
		for _, i := range order {
			want, err := w.envs.Want(w.rules(), key(production), intake.Release{Commit: commits[i]})
			require.NoError(t, err, order)
			assert.Equal(t, bases[i], want.Revision.Base)
		}
	}
	later := file{digest: "one", source: w.built, base: commits[3]}.String()
	w.push("main", map[string]string{"docs/note.md": "n\n"})
	require.NoError(t, w.repo.Branch("alice", "old", bases[0]))
	w.push("old", map[string]string{unproven: later})
	_, err := w.repo.OpenPR("alice", "old", "old", "main")
	require.NoError(t, err)
	w.poll()
	found := w.proposals()
	require.Len(t, found, 1)
	assert.Empty(t, found[0].Problems, "an old branch may name a new base")
}
