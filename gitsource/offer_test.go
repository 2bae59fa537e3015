package gitsource_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

const offer = "sluice/restore/a"

func TestAnOfferIsOneCommitOnTheTipAndMovesNoOtherBranch(t *testing.T) {
	r := newRepo(t)
	base := r.commit("main", map[string]string{"a": "1", "b": "1"})
	w := writer(r.mirror())
	d, err := w.Draft(t.Context(), setting("a", "2"))
	require.NoError(t, err)
	assert.Equal(t, base, d.Parent)
	sha, err := w.Offer(t.Context(), d, offer, writtenAt)
	require.NoError(t, err)
	assert.Equal(t, sha, r.git("rev-parse", offer))
	assert.Equal(t, base, r.git("rev-parse", offer+"^"))
	assert.Equal(t, "M\ta", r.git("diff", "--name-status", base, offer))
	assert.Equal(t, base, r.git("rev-parse", "main"))

	_, err = w.Draft(t.Context(), setting("a", "1"))
	assert.ErrorIs(t, err, gitsource.ErrNothingToDo)
}

func TestAnOfferThatIsThereIsKeptWhileItsChangesAreTheSame(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1", "b": "1"})
	d, err := writer(r.mirror()).Draft(t.Context(), setting("a", "2"))
	require.NoError(t, err)
	first, err := writer(r.mirror()).Offer(t.Context(), d, offer, writtenAt)
	require.NoError(t, err)

	r.commit("main", map[string]string{"b": "2"})
	w := writer(r.mirror()) // a restart
	d, err = w.Draft(t.Context(), setting("a", "2"))
	require.NoError(t, err)
	again, err := w.Offer(t.Context(), d, offer, writtenAt)
	require.NoError(t, err)
	assert.Equal(t, first, again, "what moved elsewhere does not matter")

	r.commit("main", map[string]string{"a": "somebody's"})
	d, err = w.Draft(t.Context(), setting("a", "2"))
	require.NoError(t, err)
	_, err = w.Offer(t.Context(), d, offer, writtenAt)
	assert.ErrorIs(t, err, gitsource.ErrTaken, "it would be another change now")
}

func TestAnOfferWhoseAnswerWasLostIsNotMadeTwice(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	w := writer(r.mirror())
	d, err := w.Draft(t.Context(), setting("a", "2"))
	require.NoError(t, err)
	r.Inject(gittest.Fault{On: gittest.Push, Times: 1, CutAfter: true})
	_, err = w.Offer(t.Context(), d, offer, writtenAt)
	require.ErrorIs(t, err, gitsource.ErrUnclear)
	sha, err := w.Offer(t.Context(), d, offer, writtenAt)
	require.NoError(t, err)
	assert.Equal(t, sha, r.git("rev-parse", offer))
	assert.Equal(t, "2", r.git("rev-list", "--count", offer))
}

func TestWhatOthersPutOnTheOffersBranchIsNotTakenForIt(t *testing.T) {
	for name, forge := range map[string]func(r repo){
		"more than was decided": func(r repo) {
			require.NoError(r.t, r.Branch(offer, "main"))
			r.commit(offer, map[string]string{"a": "2", "sluice.yaml": "evil"})
		},
		"a second commit": func(r repo) {
			require.NoError(r.t, r.Branch(offer, "main"))
			r.commit(offer, map[string]string{"sluice.yaml": "evil"})
			r.commit(offer, map[string]string{"a": "2"})
		},
		"a history of its own": func(r repo) {
			r.commit(offer, map[string]string{"a": "1", "b": "1"})
			r.commit(offer, map[string]string{"a": "2"})
		},
		"another mode": func(r repo) {
			require.NoError(r.t, r.Branch(offer, "main"))
			_, err := r.CommitFiles(offer, "x", "", map[string]gittest.File{"a": {Mode: "100755", Content: "2"}})
			require.NoError(r.t, err)
		},
		"nothing": func(r repo) { require.NoError(r.t, r.Branch(offer, "main")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.commit("main", map[string]string{"b": "1"})
			r.commit("main", map[string]string{"a": "1"})
			forge(r)
			before := r.git("rev-parse", offer)
			w := writer(r.mirror())
			d, err := w.Draft(t.Context(), setting("a", "2"))
			require.NoError(t, err)
			_, err = w.Offer(t.Context(), d, offer, writtenAt)
			require.ErrorIs(t, err, gitsource.ErrTaken)
			assert.Equal(t, before, r.git("rev-parse", offer))
		})
	}
}
