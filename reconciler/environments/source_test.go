package environments_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// branchOff builds an artifact on another branch of the source, with good checks.
func (w *world) branchOff(branch string) string {
	w.t.Helper()
	require.NoError(w.t, w.source.Branch("alice", branch, "main"))
	sha := w.must(w.source.Push("alice", branch, "fix", map[string]string{"fix.go": "package main\n"}))
	for _, name := range []string{"test", "sast"} {
		w.check(w.source, sha, name, "success")
	}
	w.source.AttestBuild(digest("two"), sha)
	return sha
}

// fix promotes an artifact as a change of some class and asks where it is from.
func (w *world) fix(source, class string) map[string]gate.Result {
	w.t.Helper()
	f := w.file("two")
	f.source, f.extra = source, "change: "+class+"\nincident: INC-7\n"
	w.propose("fix", map[string]string{unproven: f.String()}).approve("bob", "erin").merge(gittest.Squash)
	return w.verdicts()
}

// allow makes the service's hotfixes come from other branches too.
func (w *world) allow(branches string) {
	w.t.Helper()
	text := replace(service, "{repository: acme/checkout}", "{repository: acme/checkout, branches: ["+branches+"]}")
	w.propose("branches", map[string]string{"services/checkout/service.yaml": text}).approve("carol").merge(gittest.Squash)
	require.Equal(w.t, w.poll().Mark, w.record.Policy, "the service is accepted")
}

func TestHotfixMayComeFromAProtectedBranchOfTheService(t *testing.T) {
	t.Parallel()
	for name, branches := range map[string]string{"named": "release/1.41", "by a pattern": `"release/*"`, "among others": `gone, "hotfix/*", release/1.41`} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, w.source.Protect("release/1.41", forgetest.Protection{}))
			w.allow(branches)
			results := w.fix(w.branchOff("release/1.41"), "hotfix")
			for _, g := range []string{"tests", "sast", gate.Provenance} {
				assert.Equal(t, gate.Pass, results[g].Verdict, "%s: %s", g, results[g].Reason)
			}
		})
	}
}

func TestSourceOfAHotfixOutsideTheBranchesThatCountIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		branches, branch, class string
		protect                 bool
		reason                  string
	}{
		"not a hotfix":          {`"release/*"`, "release/1.41", "standard", true, "is not in branch main of acme/checkout"},
		"not protected":         {"release/1.41", "release/1.41", "hotfix", false, "branch release/1.41 of acme/checkout is not protected"},
		"a pattern, unguarded":  {`"release/*"`, "release/1.41", "hotfix", false, "is not in branch main of acme/checkout"},
		"not among them":        {`"release/*"`, "experiment", "hotfix", true, "is not in branch main of acme/checkout"},
		"deeper than a pattern": {`"release/*"`, "release/1.41/x", "hotfix", true, "is not in branch main of acme/checkout"},
		"no branch named":       {"", "release/1.41", "hotfix", true, "is not in branch main of acme/checkout"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.protect {
				require.NoError(t, w.source.Protect(c.branch, forgetest.Protection{}))
			}
			if c.branches != "" {
				w.allow(c.branches)
			}
			results := w.fix(w.branchOff(c.branch), c.class)
			for _, g := range []string{"tests", gate.Provenance} {
				assert.True(t, results[g].Final, "%s: %s", g, results[g].Reason)
				assert.Contains(t, results[g].Reason, c.reason)
			}
		})
	}
}

func TestBranchesThatCannotBeListedLeaveTheQuestionOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.source.Protect("release/1.41", forgetest.Protection{}))
	w.allow(`"release/*"`)
	w.forge.Inject(forgetest.Fault{On: "GET /repos/{owner}/{repo}/branches", Status: http.StatusForbidden, Body: `{"message":"no"}`})
	results := w.fix(w.branchOff("release/1.41"), "hotfix")
	assert.True(t, results["tests"].Unknown, results["tests"].Reason)
	assert.True(t, results[gate.Provenance].Unknown, results[gate.Provenance].Reason)
	w.forge.ClearFaults()
	assert.Equal(t, gate.Pass, w.verdicts()[gate.Provenance].Verdict)
}
