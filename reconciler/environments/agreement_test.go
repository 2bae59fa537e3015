package environments_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/catalog"
)

// What `sluice validate` says before a merge and what the daemon says after it
// have to be the same, for the files of a release.
func TestValidateAndTheDaemonRefuseTheSameFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.file("one").String()
	text := func(path, content string) map[string]gittest.File {
		return map[string]gittest.File{path: {Content: content}}
	}
	many := controlHead + "holds:\n"
	for i := range 101 {
		many += fmt.Sprintf("  - {digest: %s, reason: errors}\n", digest(fmt.Sprint(i)))
	}
	for what, c := range map[string]struct {
		files map[string]gittest.File
		both  string // in the problem of either; "" when the files are good
	}{
		"as it is":                 {text(production+"/note.txt", "x"), ""},
		"another version":          {text(unproven, file{digest: "one", source: w.built, base: w.base, version: "2"}.String()), ""},
		"a hold":                   {text(control, controlHead+"holds: [{digest: "+digest("bad")+", reason: errors}]\n"), ""},
		"no YAML":                  {text(unproven, "artifact: [\n"), "production/checkout/release.yaml:"},
		"unknown field":            {text(unproven, good+"changes: none\n"), "production/checkout/release.yaml:9:1: unknown field \"changes\""},
		"bad digest":               {text(unproven, strings.Replace(good, "sha256:", "sha:", 1)), "release.yaml:5:"},
		"no base":                  {text(unproven, file{digest: "one", source: w.built}.String()), "base is missing"},
		"unknown field of control": {text(control, controlHead+"hold: []\n"), "production/checkout/control.yaml:3:1"},
		"freeze of one release":    {text(control, controlHead+"freeze: {reason: INC-7}\n"), "production/checkout/control.yaml:3:1: a freeze concerns an environment"},
		"pause of an environment":  {text("production/control.yaml", controlHead+"paused: true\n"), "production/control.yaml:3:9: an environment is frozen, not paused"},
		"too many holds":           {text(control, many), "there are 101 holds, at most 100"},
		"link":                     {map[string]gittest.File{production + "/link": {Mode: "120000", Content: "release.yaml"}}, "production/checkout/link: a symbolic link"},
		"submodule":                {map[string]gittest.File{production + "/module": {Mode: "160000", Content: w.base}}, "production/checkout/module: "},
		"name with a space":        {text(production+"/deep/a b.yaml", "x"), "the name \"a b.yaml\" is not allowed here"},
		"too deep":                 {text(production+"/"+strings.Repeat("d/", 17)+"x", "x"), "nested more than 16 deep"},
	} {
		sha := w.raw("main", c.files)
		w.settle()
		of := w.record.Releases[production]
		tree, err := w.mirror.FS(sha)
		require.NoError(t, err)
		_, problems := catalog.Load(tree)
		said := problems.Errors().Of(catalog.Key{Environment: "production", Service: "checkout"})
		if c.both == "" {
			assert.Empty(t, said, what)
			assert.Empty(t, of.Problem, what)
		} else {
			assert.Contains(t, said.Error(), c.both, what)
			assert.Contains(t, of.Problem, c.both, what)
		}
		back := map[string]gittest.File{}
		for path := range c.files {
			back[path] = gittest.File{Delete: true}
		}
		back[unproven] = gittest.File{Content: good}
		w.raw("main", back)
		w.settle()
		require.Empty(t, w.record.Releases[production].Problem, "after "+what)
	}
}

func TestServiceThatLeavesOutAPredecessorIsRefusedByBoth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sha := w.propose("skip", map[string]string{
		"services/checkout/service.yaml": strings.Replace(service, "[dev, staging, production]", "[dev, production]", 1),
	}).approve("carol").merge(gittest.Squash)
	w.poll()
	tree, err := w.mirror.FS(sha)
	require.NoError(t, err)
	_, problems := catalog.Load(tree)
	const both = "services/checkout/service.yaml:4:"
	assert.Contains(t, problems.Errors().Error(), both)
	assert.Contains(t, w.rules().Broken["checkout"], both)
	assert.Contains(t, w.rules().Broken["checkout"], "production comes after staging, which is left out")
}
