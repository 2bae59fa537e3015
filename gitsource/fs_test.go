package gitsource_test

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

func openFS(t *testing.T, m *gitsource.Mirror, sha string) fs.FS {
	t.Helper()
	f, err := m.FS(sha)
	require.NoError(t, err)
	return f
}

func TestFSIsAWellBehavedFileSystem(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1", "a.b": "2", "dir/x/y": "3", "dir/z": "", "über/ß": "4"})
	m := r.mirror()
	f := openFS(t, m, tip(t, m))
	require.NoError(t, fstest.TestFS(f, "a", "a.b", "dir/x/y", "dir/z", "über/ß"))
	data, err := fs.ReadFile(f, "dir/x/y")
	require.NoError(t, err)
	assert.Equal(t, "3", string(data))
}

func TestFSFollowsNothing(t *testing.T) {
	r := newRepo(t)
	r.commitFiles("main", map[string]gittest.File{
		"real/secret": {Content: "s"},
		"link":        {Mode: "120000", Content: "real/secret"},
		"dirlink":     {Mode: "120000", Content: "real"},
		"sub":         {Mode: "160000", Content: strings.Repeat("1", 40)},
		"run":         {Mode: "100755", Content: "x"},
	})
	m := r.mirror()
	f := openFS(t, m, tip(t, m))
	for name, mode := range map[string]fs.FileMode{
		"link": fs.ModeSymlink, "dirlink": fs.ModeSymlink, "sub": fs.ModeIrregular, "real": fs.ModeDir, "run": 0,
	} {
		info, err := fs.Stat(f, name)
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Type(), name)
	}
	for _, name := range []string{"link", "dirlink", "sub"} {
		_, err := fs.ReadFile(f, name)
		require.ErrorIs(t, err, gitsource.ErrNotRegular, name)
		_, err = f.Open(name)
		require.ErrorIs(t, err, gitsource.ErrNotRegular, name)
	}
	for _, name := range []string{"dirlink/secret", "sub/x", "run/x", "none"} {
		_, err := fs.ReadFile(f, name)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
	}
	for _, name := range []string{"../x", "/real", "real/../real", ""} {
		_, err := fs.ReadFile(f, name)
		require.ErrorIs(t, err, fs.ErrInvalid, name)
	}
	target, err := fs.ReadLink(f, "link")
	require.NoError(t, err)
	assert.Equal(t, "real/secret", target)
	_, err = fs.ReadLink(f, "run")
	require.Error(t, err)
	_, err = fs.ReadDir(f, "run")
	require.Error(t, err)
	var listed []string
	require.NoError(t, fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
		listed = append(listed, fmt.Sprint(path, " ", d.Type()))
		return err
	}))
	assert.Equal(t, []string{
		". d---------", "dirlink L---------", "link L---------", "real d---------",
		"real/secret ----------", "run ----------", "sub ?---------",
	}, listed)
}

func TestOddNamesAreReportedWhereTheyAre(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, name := range []string{"a\nb", "a\x1b[2K", "back\\slash", "\xff\xfe", "rtl\u202e", "zero\u200bwidth", ".GIT", long} {
		r := newRepo(t)
		r.commit("main", map[string]string{"odd/" + strings.ReplaceAll(name, ".GIT", "tig"): "x", "fine/a": "1"})
		if name == ".GIT" { // fast-import does not write it
			require.ErrorIs(t, gitsource.CheckName(name), gitsource.ErrOddName)
			continue
		}
		m := r.mirror()
		f := openFS(t, m, tip(t, m))
		_, err := fs.ReadDir(f, "odd")
		require.ErrorIs(t, err, gitsource.ErrOddName)
		assert.NotContains(t, err.Error(), "\x1b")
		_, err = fs.ReadDir(f, "fine")
		require.NoError(t, err)
	}
	for _, name := range []string{"release.yaml", "ünïcode", ".github", "with space", "a:b"} {
		require.NoError(t, gitsource.CheckName(name))
	}
}

func TestLargeFilesAreListedButNotRead(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"big": strings.Repeat("x", 2000), "small": strings.Repeat("x", 1000)})
	cfg := r.config()
	cfg.MaxFileBytes = 1000
	m := open(t, cfg)
	f := openFS(t, m, tip(t, m))
	info, err := fs.Stat(f, "big")
	require.NoError(t, err)
	assert.EqualValues(t, 2000, info.Size())
	_, err = fs.ReadFile(f, "big")
	require.ErrorIs(t, err, gitsource.ErrFileTooLarge)
	file, err := f.Open("small")
	require.NoError(t, err)
	data, err := io.ReadAll(file)
	require.NoError(t, err)
	assert.Len(t, data, 1000)
}

// BenchmarkChanges finds the one release of a thousand that changed.
func BenchmarkChanges(b *testing.B) {
	s := gittest.New(b)
	files := map[string]string{}
	for i := range 1000 {
		for _, name := range []string{"release.yaml", "kustomization.yaml", "control.yaml"} {
			files[fmt.Sprintf("production/svc%04d/%s", i, name)] = fmt.Sprint(i, name)
		}
	}
	from, err := s.Commit("main", "all", "", files)
	require.NoError(b, err)
	to, err := s.Commit("main", "one", "", map[string]string{"production/svc0500/release.yaml": "new"})
	require.NoError(b, err)
	m, err := gitsource.Open(b.Context(), gitsource.Config{URL: s.URL, Branch: "main", Dir: b.TempDir()})
	require.NoError(b, err)
	b.Cleanup(m.Close)
	_, err = m.Tip(b.Context())
	require.NoError(b, err)
	b.Run("changes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			changes, err := m.Changes(from, to)
			if err != nil || len(changes) != 1 {
				b.Fatal(changes, err)
			}
		}
	})
	b.Run("hashes of 1000 releases", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i := range 1000 {
				if _, err := m.TreeHashWithout(to, fmt.Sprintf("production/svc%04d", i), "control.yaml"); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("idle poll", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Tip(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
