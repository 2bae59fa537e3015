package intake_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/intake"
)

func hash(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// noise is a text that does not compress well.
func noise(seed string, n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(hash(fmt.Sprint(seed, i)))
	}
	return b.String()[:n]
}

func holds(seed string, n int) []intake.Hold {
	out := make([]intake.Hold, n)
	for i := range out {
		out[i] = intake.Hold{
			Digest: "sha256:" + hash(fmt.Sprint(seed, i)), Revision: hash(fmt.Sprint(seed, -i)),
			Reason: noise(seed, 200), By: "mallory", Rollback: "r",
		}
	}
	return out
}

func TestAHostilePushLeavesTheOtherReleasesGoing(t *testing.T) {
	r := begin("good")
	push := intake.Step{Commit: "c1", At: at, Releases: map[string]intake.Snapshot{name: {Inputs: "better"}}}
	many := holds("many", 100)
	for i := range 3000 {
		push.Releases[fmt.Sprintf("production/broken-%d", i)] = intake.Snapshot{Problem: noise(fmt.Sprint(i), 600)}
		push.Releases[fmt.Sprintf("production/held-%d", i)] = intake.Snapshot{Control: intake.Control{Holds: many}}
		push.Releases[fmt.Sprintf("staging/new-%d", i)] = intake.Snapshot{Inputs: hash(fmt.Sprint(i))[:32]}
	}
	r = fold(t, r, push)
	data, err := intake.Encode(r)
	require.NoError(t, err)
	t.Logf("%d releases in %d bytes", len(r.Releases), len(data))
	assert.Equal(t, "better", r.Releases[name].Inputs)
	assert.Contains(t, r.LeftOut, "commit c1 brings")
	assert.Contains(t, r.LeftOut, "remove the directories")

	var gone intake.Step
	gone.Commit, gone.At, gone.Releases = "c2", at, map[string]intake.Snapshot{}
	for other := range r.Releases {
		if strings.Contains(other, "/broken-") {
			gone.Releases[other] = intake.Snapshot{}
		}
	}
	require.NotEmpty(t, gone.Releases)
	r = fold(t, r, gone)
	for other := range gone.Releases {
		assert.NotContains(t, r.Releases, other, "nothing is left of a directory that never was a release")
	}
	s := step("c3", "")
	s.Releases = map[string]intake.Snapshot{"production/broken-1": {Inputs: "mended"}}
	s.Policy = &intake.Decision{Accepted: true}
	r = fold(t, r, s)
	assert.Equal(t, "mended", r.Releases["production/broken-1"].Inputs)
	assert.Empty(t, r.LeftOut, "with a new policy everything is read again")
}

func TestMoreHoldsThanCanBeKeptHoldEverything(t *testing.T) {
	one := intake.Hold{Digest: "sha256:one", Reason: "errors"}
	r := fold(t, begin("good"), intake.Step{Commit: "c1", At: at, Releases: map[string]intake.Snapshot{
		name: {Inputs: "good", Control: intake.Control{Holds: []intake.Hold{one}}},
	}})
	hostile := intake.Control{Holds: holds("x", 100)}
	s := step("c2", "good")
	s.Releases[name] = intake.Snapshot{Inputs: "good", Control: hostile}
	r = fold(t, r, s)
	control := r.Releases[name].Control
	assert.Equal(t, []intake.Hold{one}, control.Holds, "what is in force stays")
	assert.True(t, control.Paused)
	assert.Contains(t, control.Reason, "at most 100 for a release")

	s = step("c3", "good")
	r = fold(t, r, s)
	assert.True(t, r.Releases[name].Control.Paused, "a push alone takes the pause away as little as the holds")
	s = step("c4", "good")
	s.Control = &intake.Decision{Accepted: true}
	assert.Empty(t, fold(t, r, s).Releases[name].Control, "a review does")
}

func TestHoldsOfManyReleasesAreBoundedTogether(t *testing.T) {
	r := begin("good")
	s := intake.Step{Commit: "c1", At: at, Releases: map[string]intake.Snapshot{}}
	for i := range 50 {
		s.Releases[fmt.Sprintf("production/s-%02d", i)] = intake.Snapshot{Inputs: "x", Control: intake.Control{Holds: holds(fmt.Sprint(i), 90)}}
	}
	r = fold(t, r, s)
	kept, paused := 0, 0
	for _, of := range r.Releases {
		kept += len(of.Control.Holds)
		if of.Control.Paused {
			paused++
		}
	}
	assert.Equal(t, 990, kept)
	assert.Equal(t, 39, paused, "those without room are held as a whole")
	s = step("c2", "good")
	s.Releases = map[string]intake.Snapshot{"production/s-00": {Inputs: "x", Control: intake.Control{Holds: holds("0", 90)[:20]}}}
	s.Control = &intake.Decision{Accepted: true}
	assert.Len(t, fold(t, r, s).Releases["production/s-00"].Control.Holds, 20, "lifting needs no room")
}

func TestTextsOfARecordAreClipped(t *testing.T) {
	long := strings.Repeat("ä", 1000)
	s := intake.Step{Commit: "c1", At: at, Releases: map[string]intake.Snapshot{name: {Problem: long}}}
	s.Policy = &intake.Decision{Reason: long}
	r := fold(t, begin("good"), s)
	for _, text := range []string{r.Releases[name].Problem, r.PolicyRefused} {
		assert.LessOrEqual(t, len(text), 500)
		assert.True(t, strings.HasSuffix(text, "ä…"))
	}
}

func TestARecordThatTheStoreWouldRefuseIsNotEncoded(t *testing.T) {
	snapshots := map[string]intake.Snapshot{}
	for i := range 10_000 {
		snapshots[fmt.Sprintf("production/s-%d", i)] = intake.Snapshot{Inputs: hash(fmt.Sprint(i))}
	}
	_, err := intake.Encode(intake.Begin("c0", at, snapshots))
	require.ErrorIs(t, err, intake.ErrTooLarge)
	assert.ErrorContains(t, err, "of 262144")
}
