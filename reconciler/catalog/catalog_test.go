package catalog_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/catalog"
	"github.com/sluice-cd/sluice/schemas"
)

var production = catalog.Key{Environment: "production", Service: "checkout"}

func example() fs.FS {
	_, file, _, _ := runtime.Caller(0)
	return os.DirFS(filepath.Join(filepath.Dir(file), "..", "..", "examples", "environments"))
}

// tree copies the example, so that a test can break one thing in it.
func tree(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	require.NoError(t, fs.WalkDir(example(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(example(), name)
		files[name] = &fstest.MapFile{Data: data, Mode: 0o644}
		return err
	}))
	return files
}

func replace(t testing.TB, files fstest.MapFS, name, before, after string) {
	t.Helper()
	require.Contains(t, files, name)
	require.Contains(t, string(files[name].Data), before)
	files[name] = &fstest.MapFile{Data: []byte(strings.Replace(string(files[name].Data), before, after, 1)), Mode: 0o644}
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o644} }

func TestExampleHasNoProblem(t *testing.T) {
	c, problems := catalog.Load(example())
	assert.Empty(t, problems)
	assert.Equal(t, []catalog.Key{
		{Environment: "dev", Service: "checkout"}, {Environment: "staging", Service: "checkout"}, production,
	}, c.Keys())
	assert.Equal(t, "checkout", c.Services["checkout"].Traffic.Route)
	assert.Empty(t, c.Controls)
}

func TestProblems(t *testing.T) {
	const control = "apiVersion: sluice.dev/v1alpha1\nkind: Control\n"
	cases := map[string]struct {
		change func(t *testing.T, files fstest.MapFS)
		want   string
		scope  catalog.Key
	}{
		"no policy": {
			func(_ *testing.T, f fstest.MapFS) { delete(f, "sluice.yaml") },
			"sluice.yaml: the file is missing; add the file", catalog.Key{},
		},
		"broken policy": {
			func(t *testing.T, f fstest.MapFS) { replace(t, f, "sluice.yaml", "owners:", "owner:") },
			`sluice.yaml:8:1: unknown field "owner"; use apiVersion, kind, owners, classes or environments`, catalog.Key{},
		},
		"broken release": {
			func(t *testing.T, f fstest.MapFS) {
				replace(t, f, "production/checkout/release.yaml", "change: standard", "change: hotfix")
			},
			"production/checkout/release.yaml:2:1: a hotfix without an incident; name the incident, for example INC-2093", production,
		},
		"placeholder digest": {
			func(t *testing.T, f fstest.MapFS) {
				replace(t, f, "production/checkout/release.yaml", "a93f2ee4c34724287153888c7c8bfc5a932ff5eed695bbddb3112190d1e74635", strings.Repeat("0", 64))
			},
			"is not a digest", production,
		},
		"foreign source": {
			func(t *testing.T, f fstest.MapFS) {
				replace(t, f, "production/checkout/release.yaml", "acme/checkout", "mallory/checkout")
			},
			"production/checkout/release.yaml:9:17: the artifact is from mallory/checkout, the service from acme/checkout; write acme/checkout, or correct the service", production,
		},
		"no release": {
			func(_ *testing.T, f fstest.MapFS) { delete(f, "production/checkout/release.yaml") },
			"production/checkout/release.yaml: the file is missing", production,
		},
		"no kustomization": {
			func(_ *testing.T, f fstest.MapFS) { delete(f, "production/checkout/kustomization.yaml") },
			"production/checkout/kustomization.yaml: the file is missing; add a kustomization over ../../services/checkout/base", production,
		},
		"no base after the first environment": {
			func(t *testing.T, f fstest.MapFS) {
				replace(t, f, "production/checkout/release.yaml", "base:", "# base:")
			},
			"production/checkout/release.yaml: base is missing", production,
		},
		"no service": {
			func(_ *testing.T, f fstest.MapFS) { f["dev/cart/release.yaml"] = f["dev/checkout/release.yaml"] },
			`dev/cart/release.yaml: there is no service "cart"; add services/cart/service.yaml or remove the release`,
			catalog.Key{Environment: "dev", Service: "cart"},
		},
		"broken service": {
			func(t *testing.T, f fstest.MapFS) {
				replace(t, f, "services/checkout/service.yaml", "kind: canary", "kind: rolling")
			},
			"strategy rolling is not available in this version; use canary", catalog.Key{Service: "checkout"},
		},
		"predecessor left out": {
			func(t *testing.T, f fstest.MapFS) {
				replace(t, f, "services/checkout/service.yaml", "[dev, staging, production]", "[dev, production]")
				delete(f, "staging/checkout/release.yaml")
				delete(f, "staging/checkout/kustomization.yaml")
			},
			"services/checkout/service.yaml:6:21: production comes after staging, which is left out; list staging too", catalog.Key{Service: "checkout"},
		},
		"release where the service does not run": {
			func(t *testing.T, f fstest.MapFS) {
				replace(t, f, "services/checkout/service.yaml", "[dev, staging, production]", "[dev, staging]")
			},
			"production/checkout/release.yaml: service checkout does not run in production", production,
		},
		"service in an unknown environment": {
			func(t *testing.T, f fstest.MapFS) {
				replace(t, f, "services/checkout/service.yaml", "production]", "production, moon]")
			},
			`the policy has no environment "moon"`, catalog.Key{Service: "checkout"},
		},
		"release in an unknown environment": {
			func(_ *testing.T, f fstest.MapFS) {
				f["prodution/checkout/release.yaml"] = f["production/checkout/release.yaml"]
			},
			`prodution/checkout/release.yaml: the policy has no environment "prodution"`,
			catalog.Key{Environment: "prodution", Service: "checkout"},
		},
		"service name too long": {
			func(_ *testing.T, f fstest.MapFS) {
				f["services/"+strings.Repeat("s", 38)+"/service.yaml"] = f["services/checkout/service.yaml"]
			},
			"cannot be the name of a service", catalog.Key{Service: strings.Repeat("s", 38)},
		},
		"odd release directory": {
			func(_ *testing.T, f fstest.MapFS) {
				f["production/Check\x1b[31m\n/release.yaml"] = f["production/checkout/release.yaml"]
			},
			`"production/Check\x1b[31m\n": the name "Check\x1b[31m\n" is not allowed here`,
			catalog.Key{Environment: "production", Service: "Check\x1b[31m\n"},
		},
		"link to a release": {
			func(_ *testing.T, f fstest.MapFS) {
				f["production/checkout/release.yaml"] = &fstest.MapFile{Data: []byte("../../dev/checkout/release.yaml"), Mode: fs.ModeSymlink}
			},
			"production/checkout/release.yaml: a symbolic link; put a regular file or directory in its place", production,
		},
		"link to a directory": {
			func(_ *testing.T, f fstest.MapFS) {
				f["production/cart"] = &fstest.MapFile{Data: []byte("checkout"), Mode: fs.ModeSymlink}
			},
			"production/cart: a symbolic link", catalog.Key{Environment: "production", Service: "cart"},
		},
		"environment is a link": {
			func(_ *testing.T, f fstest.MapFS) {
				for name := range f {
					if strings.HasPrefix(name, "production/") {
						delete(f, name)
					}
				}
				f["production"] = &fstest.MapFile{Data: []byte("staging"), Mode: fs.ModeSymlink}
			},
			"production: a symbolic link; put a directory in its place", catalog.Key{Environment: "production"},
		},
		"link deep in the base": {
			func(_ *testing.T, f fstest.MapFS) {
				f["services/checkout/base/more/secret"] = &fstest.MapFile{Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink}
			},
			"services/checkout/base/more/secret: a symbolic link", catalog.Key{Service: "checkout"},
		},
		"submodule": {
			func(_ *testing.T, f fstest.MapFS) {
				f["production/checkout/lib"] = &fstest.MapFile{Mode: fs.ModeIrregular}
			},
			"production/checkout/lib: a submodule", production,
		},
		"git directory": {
			func(_ *testing.T, f fstest.MapFS) { f["production/checkout/.GIT/config"] = file("") },
			`the name ".GIT" is not allowed here`, production,
		},
		"too deep": {
			func(_ *testing.T, f fstest.MapFS) {
				f["production/checkout/"+strings.Repeat("d/", 20)+"f"] = file("")
			},
			"nested more than 16 deep", production,
		},
		"too large": {
			func(_ *testing.T, f fstest.MapFS) {
				f["production/checkout/release.yaml"] = file(strings.Repeat("#", schemas.MaxFileBytes*2))
			},
			"the limit is 1048576", production,
		},
		"control without a release": {
			func(_ *testing.T, f fstest.MapFS) {
				f["production/cart/control.yaml"] = file(control + "paused: true\n")
			},
			"production/cart/release.yaml: the file is missing", catalog.Key{Environment: "production", Service: "cart"},
		},
		"freeze of one release": {
			func(_ *testing.T, f fstest.MapFS) {
				f["production/checkout/control.yaml"] = file(control + "freeze: {reason: x}\n")
			},
			"production/checkout/control.yaml:3:1: a freeze concerns an environment", production,
		},
		"hold of an environment": {
			func(_ *testing.T, f fstest.MapFS) {
				f["production/control.yaml"] = file(control + "holds: [{revision: 12345678, reason: x}]\npaused: true\n")
			},
			"production/control.yaml:3:1: holds concern one release", catalog.Key{Environment: "production"},
		},
		"smoke test without its job": {
			func(t *testing.T, f fstest.MapFS) {
				replace(t, f, "services/checkout/service.yaml", "health:", "verification: {smoke: [{job: smoke.yaml}]}\nhealth:")
			},
			`verification.smoke[0].job names "smoke.yaml", which is not there`, catalog.Key{Service: "checkout"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			files := tree(t)
			c.change(t, files)
			_, problems := catalog.Load(files)
			errs := problems.Errors()
			require.NotEmpty(t, errs)
			assert.Contains(t, errs.Error(), c.want)
			for _, p := range errs {
				assert.Equal(t, c.scope, p.Scope, p.String())
			}
		})
	}
}

func TestProblemOfOneReleaseBlocksNoOther(t *testing.T) {
	files := tree(t)
	replace(t, files, "dev/checkout/release.yaml", "sha256:", "sha:")
	c, problems := catalog.Load(files)
	assert.NotEmpty(t, problems.Of(catalog.Key{Environment: "dev", Service: "checkout"}))
	assert.Empty(t, problems.Of(production))
	assert.Contains(t, c.Releases, production)
}

func TestProblemOfAServiceBlocksItsReleasesOnly(t *testing.T) {
	files := tree(t)
	replace(t, files, "services/checkout/service.yaml", "kind: canary", "kind: rolling")
	_, problems := catalog.Load(files)
	assert.NotEmpty(t, problems.Of(production))
	assert.Empty(t, problems.Of(catalog.Key{Environment: "production", Service: "cart"}))
	assert.Len(t, problems, 1, "one cause, one report")
}

func TestWithoutAValidPolicyReleasesAreStillChecked(t *testing.T) {
	files := tree(t)
	delete(files, "sluice.yaml")
	replace(t, files, "production/checkout/release.yaml", "sha256:", "sha:")
	files["docs/guide/readme.md"] = file("hello")
	_, problems := catalog.Load(files)
	assert.Len(t, problems, 2)
	assert.Contains(t, problems.Error(), "production/checkout/release.yaml:6:11: ")
}

func TestOtherDirectoriesAreNoneOfItsBusiness(t *testing.T) {
	files := tree(t)
	files["docs/a b/c"] = file("x")
	files["docs/link"] = &fstest.MapFile{Data: []byte("/etc"), Mode: fs.ModeSymlink}
	files["production/README.md"] = file("x")
	_, problems := catalog.Load(files)
	assert.Empty(t, problems)
}

func TestSettingsThatAreNotEnforcedAreWarnings(t *testing.T) {
	files := tree(t)
	replace(t, files, "sluice.yaml", "owners:", "# owners:")
	replace(t, files, "sluice.yaml", "    namespace: \"{service}-staging\"", "    maxConcurrent: 2")
	_, problems := catalog.Load(files)
	assert.Empty(t, problems.Errors())
	require.Len(t, problems, 1)
	assert.Equal(t, "environments[1].maxConcurrent", problems[0].Path)
}

func TestLinksOnDiskAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, example()))
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("apiVersion: hunter2\n"), 0o600))
	release := filepath.Join(dir, "production", "checkout", "release.yaml")
	require.NoError(t, os.Remove(release))
	require.NoError(t, os.Symlink(secret, release))
	_, problems := catalog.Load(os.DirFS(dir))
	assert.Contains(t, problems.Error(), "a symbolic link")
	assert.NotContains(t, problems.Error(), "hunter2")
}

func TestRebaseReadsOneServiceFromTheBase(t *testing.T) {
	own, base := tree(t), tree(t)
	replace(t, own, "services/checkout/base/kustomization.yaml", "LOG_LEVEL=info", "LOG_LEVEL=debug")
	replace(t, base, "production/checkout/release.yaml", "change: standard", "change: breaking")
	own["services/cart/service.yaml"] = own["services/checkout/service.yaml"]
	files := catalog.Rebase(own, base, "checkout")
	text := func(name string) string {
		data, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		return string(data)
	}
	assert.Contains(t, text("services/checkout/base/kustomization.yaml"), "LOG_LEVEL=info")
	assert.Contains(t, text("production/checkout/release.yaml"), "change: standard")
	assert.NotEmpty(t, text("services/cart/service.yaml"), "other services come from the tree itself")
	base["services/checkout/base/link"] = &fstest.MapFile{Data: []byte("/etc"), Mode: fs.ModeSymlink}
	info, err := fs.Lstat(files, "services/checkout/base/link")
	require.NoError(t, err)
	assert.Equal(t, fs.ModeSymlink, info.Mode().Type(), "links stay visible")
}

// A fuzzed tree is names and contents, one after the other, between NUL bytes.
func FuzzLoad(f *testing.F) {
	var whole []string
	for name, file := range tree(f) {
		whole = append(whole, name, string(file.Data))
	}
	f.Add(strings.Join(whole, "\x00"))
	f.Add("sluice.yaml\x00environments: [{name: a}]\x00a/b/release.yaml/c\x00\x00a/b\x00\x00/x\x00\x00../y\x00")
	f.Fuzz(func(t *testing.T, text string) {
		files := fstest.MapFS{}
		parts := strings.Split(text, "\x00")
		for i := 0; i+1 < len(parts) && len(files) < 100; i += 2 {
			files[parts[i]] = file(parts[i+1])
		}
		c, problems := catalog.Load(files)
		for _, p := range problems {
			assert.NotContains(t, p.String(), "\n")
			assert.NotContains(t, p.String(), "\x1b")
		}
		for _, key := range c.Keys() {
			assert.True(t, schemas.IsServiceName(key.Service), "%q", key)
		}
	})
}

func manyReleases(b *testing.B, services int) fstest.MapFS {
	files := tree(b)
	for name, file := range tree(b) {
		for i := range services {
			if strings.Contains(name, "checkout/") {
				files[strings.Replace(name, "checkout/", fmt.Sprintf("checkout-%03d/", i), 1)] = file
			}
		}
	}
	return files
}

// onDisk avoids MapFS, which walks all files for each directory.
func onDisk(b *testing.B, files fstest.MapFS) fs.FS {
	dir := b.TempDir()
	require.NoError(b, os.CopyFS(dir, files))
	return os.DirFS(dir)
}

func BenchmarkLoad1000Releases(b *testing.B) {
	fsys := onDisk(b, manyReleases(b, 333))
	for b.Loop() {
		c, problems := catalog.Load(fsys)
		require.Empty(b, problems)
		require.Len(b, c.Releases, 1002)
	}
}
