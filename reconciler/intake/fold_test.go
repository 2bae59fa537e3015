package intake_test

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/intake"
)

const name = "production/checkout"

var at = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func begin(inputs string) intake.Repository {
	return intake.Begin("c0", at, map[string]intake.Snapshot{name: {Inputs: inputs}})
}

// fold follows commits c1, c2, … that each leave the release at the given inputs.
func fold(t *testing.T, r intake.Repository, steps ...intake.Step) intake.Repository {
	t.Helper()
	for _, s := range steps {
		if s.From == "" {
			s.From = r.Mark
		}
		var err error
		r, err = intake.Fold(r, s)
		require.NoError(t, err)
	}
	return r
}

func step(commit, inputs string) intake.Step {
	return intake.Step{Commit: commit, At: at, Releases: map[string]intake.Snapshot{name: {Inputs: inputs}}}
}

func only(inputs string) func(string) bool { return func(s string) bool { return s == inputs } }

func commits(changes []intake.Change) (out []string) {
	for _, c := range changes {
		out = append(out, c.Commit)
	}
	return out
}

func TestDirectPushIsNotWashedCleanByTheReviewedChangeAfterIt(t *testing.T) {
	r := fold(t, begin("good"), step("c1", "pushed"), step("c2", "reviewed"))
	assert.Equal(t, []string{"c1", "c2"}, commits(r.Releases[name].Unproven(only("good"))))
}

func TestTaintEndsWhereInputsAreVerifiedAgain(t *testing.T) {
	r := fold(t, begin("good"), step("c1", "pushed"), step("c2", "good"), step("c3", "better"))
	assert.Equal(t, []string{"c3"}, commits(r.Releases[name].Unproven(only("good"))))
}

func TestTouchingFilesWithoutChangingInputsIsNoChange(t *testing.T) {
	r := fold(t, begin("good"), step("c1", "good"))
	assert.Empty(t, r.Releases[name].Changes)
	assert.Equal(t, "c0", r.Releases[name].Commit)
	assert.True(t, r.Releases[name].Genesis)
}

func TestFoldRefusesACommitThatDoesNotFollowTheMark(t *testing.T) {
	r := begin("good")
	s := step("c9", "x")
	s.From = "elsewhere"
	after, err := intake.Fold(r, s)
	require.ErrorContains(t, err, "not the mark c0")
	assert.Equal(t, r, after)
}

func TestNothingIsFoldedWhileFrozen(t *testing.T) {
	r := intake.Freeze(begin("good"), "history was rewritten")
	s := step("c1", "x")
	s.From = "c0"
	_, err := intake.Fold(r, s)
	assert.ErrorContains(t, err, "history was rewritten")
}

func TestRefusedPolicyLeavesTheOldOneInForce(t *testing.T) {
	r := fold(t, begin("good"), intake.Step{Commit: "c1", Policy: &intake.Decision{Reason: "0 of 1 approvals by acme/platform"}})
	assert.Equal(t, "c0", r.Policy)
	assert.Contains(t, r.PolicyRefused, "0 of 1 approvals")

	r = fold(t, r, intake.Step{Commit: "c2", Policy: &intake.Decision{Accepted: true}})
	assert.Equal(t, "c2", r.Policy)
	assert.Empty(t, r.PolicyRefused)
}

func control(commit string, c intake.Control, d *intake.Decision) intake.Step {
	return intake.Step{Commit: commit, Control: d, Releases: map[string]intake.Snapshot{name: {Inputs: "good", Control: c}}}
}

func TestControlIsStricterAtOnceAndLooserOnlyWhenAllowed(t *testing.T) {
	held := intake.Control{Paused: true, Holds: []intake.Hold{{Digest: "sha256:bad", Reason: "errors"}}}
	r := fold(t, begin("good"), control("c1", held, nil))
	assert.Equal(t, held, r.Releases[name].Control, "stricter needs no approval")

	refused := &intake.Decision{Reason: "pushed directly"}
	r = fold(t, r, control("c2", intake.Control{}, refused))
	assert.Equal(t, held, r.Releases[name].Control, "what was not allowed to go stays in force")

	other := intake.Control{Holds: []intake.Hold{{Digest: "sha256:worse"}}}
	r = fold(t, r, control("c3", other, refused))
	assert.Len(t, r.Releases[name].Control.Holds, 2, "an addition counts even beside a removal that does not")
	assert.True(t, r.Releases[name].Control.Paused)

	r = fold(t, r, control("c4", intake.Control{}, &intake.Decision{Accepted: true}))
	assert.Equal(t, intake.Control{}, r.Releases[name].Control)
}

func TestAFreezeAndAPauseAreTakenAwayOneByOne(t *testing.T) {
	both := intake.Control{Paused: true, Reason: "pods crash", Frozen: "INC-7"}
	refused := &intake.Decision{Reason: "pushed directly"}
	r := fold(t, begin("good"), control("c1", both, nil))

	thawed := intake.Control{Paused: true, Reason: "pods crash"}
	assert.True(t, both.Looser(thawed))
	assert.Equal(t, both, fold(t, r, control("c2", thawed, refused)).Releases[name].Control)
	assert.Equal(t, thawed, fold(t, r, control("c2", thawed, &intake.Decision{Accepted: true})).Releases[name].Control)

	reworded := intake.Control{Paused: true, Frozen: "INC-8"}
	assert.False(t, both.Looser(reworded))
	assert.Equal(t, "INC-8", fold(t, r, control("c2", reworded, nil)).Releases[name].Control.Frozen)
	assert.False(t, thawed.Looser(both))
}

func TestUnreadableFilesBlockOnlyTheirRelease(t *testing.T) {
	r := intake.Begin("c0", at, map[string]intake.Snapshot{name: {Inputs: "good"}, "production/cart": {Inputs: "fine"}})
	r = fold(t, r, intake.Step{Commit: "c1", Releases: map[string]intake.Snapshot{
		name:              {Problem: "release.yaml:3:1: unknown field"},
		"production/cart": {Inputs: "finer"},
	}})
	assert.Equal(t, "good", r.Releases[name].Inputs, "the last readable inputs stay")
	assert.NotEmpty(t, r.Releases[name].Problem)
	assert.Equal(t, "finer", r.Releases["production/cart"].Inputs)

	r = fold(t, r, step("c2", "better"))
	assert.Empty(t, r.Releases[name].Problem)
}

func TestChangesAreBoundedAndKeepBothEnds(t *testing.T) {
	r := begin("good")
	for i := 1; i <= 200; i++ {
		r = fold(t, r, step(fmt.Sprintf("c%d", i), fmt.Sprintf("i%d", i)))
	}
	changes := r.Releases[name].Changes
	assert.Len(t, changes, 64)
	assert.Equal(t, "c1", changes[0].Commit)
	assert.Equal(t, "c200", changes[63].Commit)
	for i, c := range changes {
		assert.Equal(t, i == 1, c.Lost, "only the one after the gap, not %d", i)
	}
	assert.False(t, r.Releases[name].Unproven(func(inputs string) bool { return inputs == "i190" })[0].Lost)
}

func TestSettleForgetsWhatIsProven(t *testing.T) {
	r := fold(t, begin("good"), step("c1", "better"), step("c2", "best"))
	settled := intake.Settle(r, name, only("better"))
	assert.Equal(t, []string{"c2"}, commits(settled.Releases[name].Changes))
	assert.Len(t, r.Releases[name].Changes, 2, "the old record is not changed")
}

// identity is as incompressible as a real one.
func identity(i int) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(i)))) }

func TestRecordOfAThousandMovingReleasesFitsAConfigMap(t *testing.T) {
	releases := map[string]intake.Snapshot{}
	for i := range 1000 {
		releases[fmt.Sprintf("production/service-%d", i)] = intake.Snapshot{Inputs: identity(i)}
	}
	r := intake.Begin(fmt.Sprintf("%040x", 1), at, releases)
	for i := range 1000 {
		releases[fmt.Sprintf("production/service-%d", i)] = intake.Snapshot{Inputs: identity(-i)}
	}
	r = fold(t, r, intake.Step{Commit: fmt.Sprintf("%040x", 2), At: at, Releases: releases})
	data, err := intake.Encode(r)
	require.NoError(t, err)
	assert.Less(t, len(data), 256<<10)

	back, err := intake.Decode(data)
	require.NoError(t, err)
	assert.Equal(t, r, back)
}

func TestDecodeRefusesWhatItCannotReadWhole(t *testing.T) {
	for _, data := range []string{``, `{}`, `"AAAA"`, `null`} {
		_, err := intake.Decode([]byte(data))
		assert.Error(t, err, data)
	}
	newer := begin("good")
	newer.Schema = 99
	data, err := intake.Encode(newer)
	require.NoError(t, err)
	_, err = intake.Decode(data)
	assert.ErrorContains(t, err, "schema 99")
}

func TestBrokenStateIsListedUntilItIsTakenBack(t *testing.T) {
	broken := func(commit string) intake.Step {
		return intake.Step{Commit: commit, Releases: map[string]intake.Snapshot{name: {Problem: "typo"}}}
	}
	r := fold(t, begin("good"), broken("c1"))
	r = fold(t, r, broken("c2"))
	require.Len(t, r.Releases[name].Changes, 2)
	assert.True(t, r.Releases[name].Changes[0].Broken)

	mended := fold(t, r, step("c3", "good"))
	assert.Empty(t, mended.Releases[name].Changes)

	r = fold(t, r, step("c3", "evil"))
	require.Len(t, r.Releases[name].Changes, 3, "what came with the fault is still to be proven")
	r = fold(t, r, broken("c4"))
	r = fold(t, r, step("c5", "evil"))
	assert.Len(t, r.Releases[name].Changes, 3)
}

func TestManyBrokenStatesHideNoChange(t *testing.T) {
	r := fold(t, begin("good"), step("c1", "fine"))
	r = fold(t, r, step("c2", "evil"))
	for i := range 100 {
		r = fold(t, r, intake.Step{Commit: fmt.Sprintf("b%d", i), Releases: map[string]intake.Snapshot{name: {Problem: "typo"}}})
	}
	r = fold(t, r, step("c3", "evil"))
	changes := r.Releases[name].Changes
	require.Len(t, changes, 2)
	assert.True(t, changes[1].Lost)
}

func TestWhatIsRefusedIsToldByContent(t *testing.T) {
	const inputs = "0123456789abcdef"
	for what, c := range map[string]struct {
		holds     []intake.Hold
		digests   []string
		some, all bool
	}{
		"nothing":                      {nil, []string{"d1"}, false, false},
		"nothing without digests":      {nil, nil, false, false},
		"the digest":                   {[]intake.Hold{{Digest: "d1", Rollback: "renamed"}}, []string{"d1"}, true, true},
		"one of two digests":           {[]intake.Hold{{Digest: "d2"}}, []string{"d1", "d2"}, true, false},
		"two digests in two holds":     {[]intake.Hold{{Digest: "d2"}, {Digest: "d1"}}, []string{"d1", "d2"}, true, true},
		"the inputs":                   {[]intake.Hold{{Revision: inputs}}, nil, true, true},
		"the inputs, abbreviated":      {[]intake.Hold{{Revision: inputs[:8]}}, nil, true, true},
		"the inputs, but not a digest": {[]intake.Hold{{Revision: inputs}}, []string{"d1"}, true, false},
		"too short to mean anything":   {[]intake.Hold{{Revision: inputs[:7]}}, nil, false, false},
		"its id alone":                 {[]intake.Hold{{Rollback: "id", Digest: "other"}}, []string{"d1"}, false, false},
	} {
		some, all := intake.Control{Holds: c.holds}.Refuses(inputs, c.digests)
		assert.Equal(t, c.some, some, what)
		assert.Equal(t, c.all, all, what)
	}
}

func TestANewReleaseKeepsToTheFreezeOfItsEnvironment(t *testing.T) {
	frozen := func(inputs string) intake.Snapshot {
		return intake.Snapshot{Inputs: inputs, Control: intake.Control{Frozen: "INC-7"}}
	}
	push := func(commit string, releases map[string]intake.Snapshot) intake.Step {
		return intake.Step{Commit: commit, At: at, Releases: releases}
	}
	r := fold(t, begin("good"), push("c1", map[string]intake.Snapshot{name: frozen("good")}))
	r = fold(t, r, push("c2", map[string]intake.Snapshot{name: {Inputs: "good"}})) // nobody reviewed it
	r = fold(t, r, push("c3", map[string]intake.Snapshot{"production/new": {Inputs: "x"}, "staging/new": {Inputs: "x"}}))
	assert.Equal(t, "INC-7", r.Releases["production/new"].Control.Frozen)
	assert.Empty(t, r.Releases["staging/new"].Control.Frozen)

	thaw := push("c4", map[string]intake.Snapshot{name: {Inputs: "good"}, "production/new": {Inputs: "x"}})
	thaw.Control = &intake.Decision{Accepted: true}
	r = fold(t, r, thaw)
	assert.Empty(t, r.Releases["production/new"].Control.Frozen)
	assert.Empty(t, r.Releases[name].Control.Frozen)
}
