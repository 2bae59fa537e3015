package request_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/request"
)

var toProduction = request.Promotion{Service: "checkout", To: "production"}

func (w *world) promote(p request.Promotion) request.Filed {
	w.t.Helper()
	filed, err := w.clerk.Promote(w.t.Context(), p, false)
	require.NoError(w.t, err)
	return filed
}

func TestAPromotionMovesOnlyItsFieldsAndOpensAPullRequest(t *testing.T) {
	w := newWorld(t)
	filed := w.promote(toProduction)
	require.NotNil(t, filed.PullRequest)
	assert.Equal(t, "M\tproduction/checkout/release.yaml", w.git("diff", "--name-status", "main", filed.Branch))
	want := releaseFile("production", "1.43.0", "b", "7", w.base, "change: standard # class\n")
	assert.Equal(t, strings.TrimSuffix(want, "\n"), w.at(filed.Branch, "production/checkout/release.yaml"))
	assert.Equal(t, want, string(filed.Files[0].After))
	assert.Equal(t, "alice", filed.PullRequest.Author.Login)
	assert.Regexp(t, `^promote/checkout-production-[0-9a-f]{12}$`, filed.Branch)
	assert.Equal(t, "production/checkout: promote 1.43.0", filed.PullRequest.Title)
	for _, said := range []string{"`1.42.0`", "`1.43.0`", digest("a"), digest("b"), "/acme/checkout/compare/" + commit("6") + "..." + commit("7")} {
		assert.Contains(t, filed.Body, said)
	}
	assert.Contains(t, w.git("log", "-1", "--format=%B", filed.Branch), "Previous-Digest: "+digest("a"))
}

func TestAskingAgainFindsThePullRequestOfTheFirstTime(t *testing.T) {
	w := newWorld(t)
	first := w.promote(toProduction)
	w.push(map[string]string{"docs/note.md": "elsewhere\n"})
	again := w.promote(toProduction)
	assert.Equal(t, first.PullRequest.Number, again.PullRequest.Number)
	assert.Equal(t, first.Commit, again.Commit)

	require.NoError(t, w.repo.Close(first.PullRequest.Number))
	_, err := w.clerk.Promote(t.Context(), toProduction, false)
	assert.ErrorContains(t, err, "#1 makes this very change, and somebody closed it; reopen it")
}

func TestWhatWasTakenBackCanBePromotedOnceMore(t *testing.T) {
	w := newWorld(t)
	first := w.promote(toProduction)
	w.merge(first.PullRequest.Number)
	_, err := w.clerk.Promote(t.Context(), toProduction, false)
	assert.ErrorContains(t, err, "nothing to promote: production/checkout asks for it already")
	w.push(map[string]string{"production/checkout/release.yaml": releaseFile("production", "1.42.0", "a", "6", w.base, "change: standard # class\n")})
	again := w.promote(toProduction)
	assert.NotEqual(t, first.PullRequest.Number, again.PullRequest.Number)
}

func TestAPromotionFromTheFirstEnvironmentPinsTheBaseThatItRuns(t *testing.T) {
	w := newWorld(t)
	changed := w.push(map[string]string{"services/checkout/base/deployment.yaml": "kind: Deployment # more\n"})
	w.push(map[string]string{
		"docs/note.md":                  "later\n",
		"staging/checkout/release.yaml": releaseFile("staging", "1.42.0", "a", "6", w.base, "change: standard\n"),
	})
	filed := w.promote(request.Promotion{Service: "checkout", To: "staging"})
	assert.Equal(t, strings.TrimSuffix(releaseFile("staging", "1.43.0", "b", "7", changed, "change: standard\n"), "\n"),
		w.at(filed.Branch, "staging/checkout/release.yaml"))
	assert.Contains(t, filed.Body, "The base `services/checkout/` changes too")
}

func TestABaseWithTheSameContentStays(t *testing.T) {
	w := newWorld(t)
	w.push(map[string]string{"docs/note.md": "later\n"})
	w.push(map[string]string{"staging/checkout/release.yaml": releaseFile("staging", "1.43.0", "b", "7", w.git("rev-parse", "main"), "change: standard\n")})
	filed := w.promote(toProduction)
	assert.Contains(t, w.at(filed.Branch, "production/checkout/release.yaml"), "base: "+w.base)
}

func TestAHotfixNamesItsIncidentAndTheNextPromotionDropsIt(t *testing.T) {
	w := newWorld(t)
	filed := w.promote(request.Promotion{Service: "checkout", To: "production", Class: "hotfix", Incident: "INC-2093"})
	assert.Equal(t, releaseFile("production", "1.43.0", "b", "7", w.base, "change: hotfix # class\nincident: INC-2093"),
		w.at(filed.Branch, "production/checkout/release.yaml"))
	w.merge(filed.PullRequest.Number)
	w.push(map[string]string{"staging/checkout/release.yaml": releaseFile("staging", "1.44.0", "c", "8", w.base, "")})
	filed = w.promote(toProduction)
	assert.Equal(t, releaseFile("production", "1.44.0", "c", "8", w.base, "change: standard # class"),
		w.at(filed.Branch, "production/checkout/release.yaml"))
}

func TestTheFirstPromotionCopiesTheFileOfTheEnvironmentBefore(t *testing.T) {
	w := newWorld(t)
	_, err := w.repo.Git().Git("update-ref", "refs/heads/main", w.base)
	require.NoError(t, err)
	w.push(map[string]string{"staging/checkout/release.yaml": releaseFile("staging", "1.43.0", "b", "7", w.base, "")})
	filed := w.promote(toProduction)
	assert.Equal(t, strings.TrimSuffix(releaseFile("staging", "1.43.0", "b", "7", w.base, ""), "\n"), w.at(filed.Branch, "production/checkout/release.yaml"))
	assert.Contains(t, filed.Body, "is read from")
}

func TestADryRunWritesNothing(t *testing.T) {
	w := newWorld(t)
	before := w.git("for-each-ref")
	filed, err := w.clerk.Promote(t.Context(), toProduction, true)
	require.NoError(t, err)
	assert.Nil(t, filed.PullRequest)
	assert.Len(t, filed.Files, 1)
	assert.Equal(t, before, w.git("for-each-ref"))
}

func TestAPromotionThatMakesNoSenseIsRefusedWithTheRemedy(t *testing.T) {
	hold := "apiVersion: sluice.dev/v1alpha1\nkind: Control\nholds:\n  - {digest: '" + digest("b") + "', reason: errors rose}\n"
	staging := func(w *world, rest string) map[string]string {
		return map[string]string{"staging/checkout/release.yaml": releaseFile("staging", "1.43.0", "b", "7", w.base, rest)}
	}
	for name, c := range map[string]struct {
		ask   request.Promotion
		files func(w *world) map[string]string
		want  string
	}{
		"an unknown environment": {request.Promotion{Service: "checkout", To: "live"}, nil, `there is no environment "live"; the policy has dev, staging, production`},
		"the first environment":  {request.Promotion{Service: "checkout", To: "dev"}, nil, "dev is the first environment"},
		"skipping one":           {request.Promotion{Service: "checkout", To: "production", From: "dev"}, nil, "no environment may be skipped; promote from staging"},
		"an unknown service":     {request.Promotion{Service: "cart", To: "production"}, nil, "staging/cart/release.yaml is not there; promote to staging first"},
		"held here": {toProduction, func(*world) map[string]string {
			return map[string]string{"production/checkout/control.yaml": hold}
		}, "is on hold in production/checkout: errors rose; promote something newer, or have the hold lifted: sluice lift production/checkout"},
		"held before": {toProduction, func(*world) map[string]string {
			return map[string]string{"staging/checkout/control.yaml": hold}
		}, "is on hold in staging/checkout"},
		"retired before": {toProduction, func(w *world) map[string]string { return staging(w, "state: retired\n") }, "staging/checkout is retired"},
		"other images": {toProduction, func(w *world) map[string]string {
			return map[string]string{"staging/checkout/release.yaml": strings.Replace(staging(w, "")["staging/checkout/release.yaml"], "shop/checkout", "shop/till", 1)}
		}, "lists other images than what is promoted; edit the file by hand"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.files != nil {
				w.push(c.files(w))
			}
			before := w.git("for-each-ref")
			_, err := w.clerk.Promote(t.Context(), c.ask, false)
			var refused *request.RefusedError
			require.ErrorAs(t, err, &refused)
			assert.ErrorContains(t, err, c.want)
			assert.Equal(t, before, w.git("for-each-ref"))
		})
	}
}

func TestABranchOfSomebodyElseIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	filed, err := w.clerk.Promote(t.Context(), toProduction, true)
	require.NoError(t, err)
	require.NoError(t, w.repo.Branch("bob", filed.Branch, "main"))
	_, err = w.clerk.Promote(t.Context(), toProduction, false)
	assert.ErrorContains(t, err, "holds something else than this request; look at who wrote to it")
	assert.NotErrorIs(t, err, gitsource.ErrTaken)
}

func TestNamesFromOutsideAreInertInThePullRequest(t *testing.T) {
	w := newWorld(t)
	hostile := "1.0`|@bob [x](http://evil)"
	w.push(map[string]string{"staging/checkout/release.yaml": releaseFile("staging", hostile, "b", "7", w.base, "")})
	filed := w.promote(toProduction)
	assert.Contains(t, filed.Body, "`1.0'¦@bob [x](http://evil)`")
}
