package request_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/audit"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/request"
)

// history promotes through versions, and returns the commits of main.
func (w *world) history(versions ...string) []string {
	w.t.Helper()
	var out []string
	for i, v := range versions {
		out = append(out, w.push(map[string]string{
			"production/checkout/release.yaml":       releaseFile("production", v, fmt.Sprint(i+1), "6", w.base, "change: standard\n"),
			"production/checkout/kustomization.yaml": overlay + "# " + v + "\n",
		}))
	}
	return out
}

// proves writes evidence that something became stable, or did not.
func (w *world) proves(commit, version, image, outcome string, when time.Time) {
	w.t.Helper()
	e := release.Evidence{
		Kind: "rollout", Release: production.String(), At: when, Outcome: outcome,
		Candidate: &release.Want{Revision: release.Revision{
			ID: commit[:8], Inputs: commit[:32], Commit: commit, Version: version,
			Artifacts: []release.Artifact{{Image: "registry.example.com/shop/checkout", Digest: digest(image)}},
		}},
	}
	data, err := json.Marshal(audit.Record{APIVersion: "sluice.dev/v1alpha1", Kind: "Evidence", ID: commit + outcome, Spec: e})
	require.NoError(w.t, err)
	_, err = w.repo.Push("bob", audit.Branch, "evidence", map[string]string{audit.Path(commit+outcome, e): string(data)})
	require.NoError(w.t, err)
}

func (w *world) goBack(to string) (request.Filed, error) {
	w.t.Helper()
	tips, err := w.mirror.Fetch(w.t.Context(), "refs/heads/"+audit.Branch)
	require.NoError(w.t, err)
	return w.clerk.Return(w.t.Context(), request.Return{Key: production, To: to, Evidence: tips[0], Now: at}, false)
}

func day(n int) time.Time { return at.AddDate(0, 0, n) }

func TestAReturnRestoresTheDirectoryOfWhatWasStableLast(t *testing.T) {
	w := newWorld(t)
	c := w.history("1.0.0", "1.1.0", "1.2.0", "1.3.0")
	w.proves(c[0], "1.0.0", "1", "adopted", day(-9))
	w.proves(c[1], "1.1.0", "2", "stable", day(-5))
	w.proves(c[2], "1.2.0", "3", "rolled-back", day(-3))
	w.proves(c[3], "1.3.0", "4", "stable", day(-1))
	w.push(map[string]string{controlPath: "apiVersion: sluice.dev/v1alpha1\nkind: Control\npaused: true\nreason: looking\n"})

	filed, err := w.goBack("")
	require.NoError(t, err)
	assert.Equal(t, "production/checkout: return to 1.1.0", filed.PullRequest.Title)
	assert.Equal(t, w.git("rev-parse", c[1]+":production/checkout/release.yaml"), w.git("rev-parse", filed.Branch+":production/checkout/release.yaml"))
	assert.Equal(t, w.git("rev-parse", c[1]+":production/checkout/kustomization.yaml"), w.git("rev-parse", filed.Branch+":production/checkout/kustomization.yaml"))
	assert.Equal(t, w.git("rev-parse", "main:"+controlPath), w.git("rev-parse", filed.Branch+":"+controlPath))
	assert.Len(t, filed.Files, 2)
	assert.Contains(t, string(filed.Files[1].After), `"1.1.0"`)

	older, err := w.goBack("1.0.0")
	require.NoError(t, err)
	assert.Equal(t, "production/checkout: return to 1.0.0", older.PullRequest.Title)
	again, err := w.goBack(c[0][:9])
	require.NoError(t, err)
	assert.Equal(t, older.PullRequest.Number, again.PullRequest.Number)
}

func TestAReturnToWhatMayNotComeBackIsRefused(t *testing.T) {
	w := newWorld(t)
	c := w.history("1.0.0", "1.1.0", "1.2.0", "1.3.0")
	w.proves(c[0], "1.0.0", "1", "stable", day(-90))
	w.proves(c[1], "1.1.0", "2", "stable", day(-40))
	w.proves(c[2], "1.2.0", "3", "rolled-back", day(-3))
	w.proves(c[3], "1.3.0", "4", "stable", day(-1))
	for to, want := range map[string]string{
		"1.3.0": "asks for that already",
		"1.2.0": "no evidence says that 1.2.0 was stable in production; there is evidence of 1.3.0, 1.1.0, 1.0.0",
		"1.0.0": "more than 30 days ago; promote it again",
	} {
		_, err := w.goBack(to)
		var refused *request.RefusedError
		require.ErrorAs(t, err, &refused, to)
		assert.ErrorContains(t, err, want)
	}
	_, err := w.clerk.Hold(t.Context(), production, request.Hold{Digest: digest("2"), Reason: "leaks", At: at}, false)
	require.NoError(t, err)
	_, err = w.goBack("")
	assert.ErrorContains(t, err, "1.1.0 is on hold: leaks; go back to something else with --to")
	_, err = w.clerk.Return(t.Context(), request.Return{Key: production, Now: at}, false)
	assert.ErrorContains(t, err, "there is no audit branch")
	_, err = w.clerk.Return(t.Context(), request.Return{Key: release.Key{Environment: "dev", Service: "checkout"}, Now: at}, false)
	assert.ErrorContains(t, err, "dev is the first environment")
}
