package environments_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

func TestSourceHasToBeTheServicesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.forge.Repository("mallory/checkout")
	built := w.must(other.Push("mallory", "main", "build", map[string]string{"main.go": "evil"}))
	for _, name := range []string{"test", "sast"} {
		w.check(other, built, name, "success")
	}
	text := replace(file{digest: "two", source: built, base: w.base}.String(), sourceName, "mallory/checkout")
	w.propose("two", map[string]string{unproven: text}).approve("bob").merge(gittest.Squash)

	r := w.verdicts()["tests"]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, "built from "+sourceName)
}

func TestStateInsideOfARebaseDoesNotSayHowItIsJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := w.must(w.source.Push("alice", "main", "bad", map[string]string{"main.go": "bad"}))
	w.check(w.source, bad, "test", "failure")
	two := w.file("two")
	reviewed := two
	reviewed.source, reviewed.extra = bad, "change: breaking\n"
	w.propose("two", map[string]string{unproven: two.String()}, map[string]string{unproven: reviewed.String()}).
		approve("bob").merge(gittest.Rebase)
	w.poll()

	f := w.facts(w.candidate(production))
	assert.Equal(t, "breaking", f.Class)
	require.Len(t, f.Artifacts, 1)
	assert.Equal(t, bad, f.Artifacts[0].SourceCommit)
	r := w.judge(f)
	assert.Equal(t, gate.Fail, r[gate.Approvals].Verdict, r[gate.Approvals].Reason)
	assert.NotEqual(t, gate.Pass, r["tests"].Verdict, r["tests"].Reason)
}

func TestLaterChangeDoesNotLowerTheApprovalsOfAnEarlierOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	breaking := w.file("two")
	breaking.extra = "change: breaking\n"
	w.propose("two", map[string]string{unproven: breaking.String()}).approve("bob").merge(gittest.Squash)
	assert.Equal(t, gate.Fail, w.verdicts()[gate.Approvals].Verdict)

	w.propose("three", with(w.promotion("two"), map[string]string{production + "/kustomization.yaml": overlay(4)})).
		approve("bob").merge(gittest.Squash)
	r := w.verdicts()[gate.Approvals]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, "1 of 2")
}

func TestGapInTheListOfChangesIsNeverProven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	w.poll()
	c := w.candidate(production)
	require.Equal(t, gate.Pass, w.judge(w.facts(c))[gate.Integrity].Verdict)

	c.Changes[0].Lost = true
	r := w.judge(w.facts(c))[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, "too many changes")
}

const baseFile = "services/checkout/base/deployment.yaml"

func TestPinningABaseThatNobodyReviewedIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pushed := w.must(w.repo.Push("mallory", "main", "tune", map[string]string{baseFile: deployment + "# evil\n"}))
	promoted := w.file("two")
	promoted.base = pushed
	w.propose("two", map[string]string{unproven: promoted.String()}).approve("bob").merge(gittest.Squash)
	w.verdicts()
	w.wait(time.Minute)

	r := w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, pushed[:8])
}

func TestPinningAReviewedBaseIsProven(t *testing.T) {
	t.Parallel()
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		t.Run(string(method), func(t *testing.T) {
			w := newWorld(t)
			base := w.propose("base", map[string]string{
				baseFile: deployment + "# better\n", "services/checkout/service.yaml": service + "# note\n",
			}).approve("carol").merge(method)
			promoted := w.file("two")
			promoted.base = base
			w.propose("two", map[string]string{unproven: promoted.String()}).approve("bob").merge(gittest.Squash)

			r := w.verdicts()
			assert.Equal(t, gate.Pass, r[gate.Integrity].Verdict, r[gate.Integrity].Reason)
			assert.Equal(t, gate.Pass, r[gate.Approvals].Verdict, "any writer may have approved the base: %s", r[gate.Approvals].Reason)
		})
	}
}

func TestBaseThatWasMergedWithoutAnApprovalIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	promoted := w.file("two")
	promoted.base = w.propose("base", map[string]string{baseFile: deployment + "# evil\n"}).merge(gittest.Squash)
	w.propose("two", map[string]string{unproven: promoted.String()}).approve("bob").merge(gittest.Squash)

	r := w.verdicts()
	assert.Equal(t, gate.Pass, r[gate.Integrity].Verdict, r[gate.Integrity].Reason)
	assert.Equal(t, gate.Fail, r[gate.Approvals].Verdict, r[gate.Approvals].Reason)
}

func TestUnreviewedBaseThatWasTakenBackIsNoObstacle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.repo.Push("mallory", "main", "tune", map[string]string{baseFile: deployment + "# evil\n"}))
	w.must(w.repo.Push("alice", "main", "put back", map[string]string{baseFile: deployment}))
	promoted := w.file("two")
	promoted.base = w.propose("base", map[string]string{baseFile: deployment + "# better\n"}).approve("carol").merge(gittest.Squash)
	w.propose("two", map[string]string{unproven: promoted.String()}).approve("bob").merge(gittest.Squash)

	r := w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Pass, r.Verdict, r.Reason)
}

func TestStateInsideOfARebaseIsNoBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.propose("base", map[string]string{baseFile: deployment + "# evil\n"}, map[string]string{baseFile: deployment + "# better\n"}).
		approve("carol").merge(gittest.Rebase)
	promoted := w.file("two")
	promoted.base = w.must(w.repo.Git().SHA(tip + "~1"))
	w.propose("two", map[string]string{unproven: promoted.String()}).approve("bob").merge(gittest.Squash)

	r := w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, "inside of")
}

// Another service has nothing in production yet.
const (
	cart = "production/cart"
	lone = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../../services/cart/base]\n"
)

func (w *world) addCart() {
	w.t.Helper()
	w.propose("cart", map[string]string{
		"services/cart/service.yaml":            service,
		"services/cart/base/kustomization.yaml": "resources: [deployment.yaml]\n",
		"services/cart/base/deployment.yaml":    deployment,
	}).approve("carol").merge(gittest.Squash)
	w.base = w.poll().Mark
}

func (w *world) cart() map[string]gate.Result {
	w.t.Helper()
	w.poll()
	return w.judge(w.facts(w.candidate(cart)))
}

func TestFilesBeforeTheFirstReleaseAreReviewedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addCart()
	pushed := w.must(w.repo.Push("mallory", "main", "prepare", map[string]string{cart + "/kustomization.yaml": lone + "namePrefix: \"\"\n"}))
	w.propose("first", map[string]string{cart + "/release.yaml": w.file("cart").String()}).approve("bob").merge(gittest.Squash)
	w.cart()
	w.wait(time.Minute)

	r := w.cart()[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, pushed[:8])
}

func TestFilesAndFirstReleaseOfOneRebasedPullRequestAreOneChange(t *testing.T) {
	t.Parallel()
	for _, governs := range []bool{false, true} {
		w := newWorld(t)
		w.addCart()
		files, first := map[string]string{cart + "/kustomization.yaml": lone}, map[string]string{cart + "/release.yaml": w.file("cart").String()}
		if governs {
			first["sluice.yaml"] = policy + "# harmless\n"
		}
		w.propose("first", files, first).approve("bob", "carol").merge(gittest.Rebase)
		r := w.cart()[gate.Integrity]
		if !governs {
			assert.Equal(t, gate.Pass, r.Verdict, r.Reason)
			continue
		}
		assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
		assert.Contains(t, r.Reason, "changes the rules (sluice.yaml)")
	}
}

func TestFirstReleaseIsProvenAfterARefusedOneWasTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addCart()
	files := map[string]string{cart + "/release.yaml": w.file("cart").String(), cart + "/kustomization.yaml": lone}
	w.push("main", files)
	w.cart()
	w.wait(time.Minute)
	require.Equal(t, gate.Fail, w.cart()[gate.Integrity].Verdict)
	w.raw("main", map[string]gittest.File{cart + "/release.yaml": {Delete: true}, cart + "/kustomization.yaml": {Delete: true}})
	w.propose("again", files).approve("bob").merge(gittest.Squash)

	r := w.cart()
	assert.Equal(t, gate.Pass, r[gate.Integrity].Verdict, r[gate.Integrity].Reason)
	assert.Equal(t, gate.Pass, r[gate.Approvals].Verdict, fmt.Sprint(r[gate.Approvals].Reason))
}

func TestOverlayDoesNotHideBehindABrokenRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pushed := w.must(w.repo.Push("mallory", "main", "oops", map[string]string{
		production + "/kustomization.yaml": overlay(9), unproven: w.file("two").String() + "typo: true\n",
	}))
	require.NotEmpty(t, w.poll().Releases[production].Problem)
	w.propose("fix", map[string]string{unproven: w.file("two").String()}).approve("bob").merge(gittest.Squash)
	w.verdicts()
	w.wait(time.Minute)

	r := w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, pushed[:8])
}

func TestBrokenReleaseThatWasPutBackIsNoObstacle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", map[string]string{unproven: "typo\n"})
	w.poll()
	w.push("main", map[string]string{unproven: w.file("one").String()})
	w.poll()
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)

	r := w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Pass, r.Verdict, r.Reason)
	assert.Len(t, w.candidate(production).Changes, 1)
}
