package reconciler_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// proposed is an open pull request that promotes inputs of services.
func proposed(number int, head string, inputs map[string]string) environments.Proposal {
	p := environments.Proposal{
		PullRequest: forge.PullRequest{Number: number, Open: true, URL: "https://forge.example/7", Head: forge.Branch{Commit: head}},
		Problems:    map[string]string{},
	}
	for service, in := range inputs {
		pr := p.PullRequest
		p.Candidates = append(p.Candidates, environments.Candidate{
			Key: release.Key{Environment: "production", Service: service}, PullRequest: &pr,
			Want: release.Want{Revision: revision(in, head), Promotion: release.Promotion{Commit: head}},
		})
	}
	return p
}

// previewing is a world with two stable releases.
func previewing(t *testing.T) *world {
	w := newWorld(t)
	w.services["cart"] = service("cart")
	w.push(map[string]string{name: "v1", "production/cart": "v1"})
	w.begin()
	w.settle(checkout)
	return w
}

func TestAPullRequestShowsWhatItsGatesSay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.proposals = []environments.Proposal{proposed(7, "head", map[string]string{"checkout": "v2"})}
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		require.Len(t, w.statuses, 1)
		assert.Contains(t, w.statuses[0], "head sluice/production success: ")

		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Len(t, w.statuses, 1, "the same is shown once")

		w.forgeAway = "no answer"
		w.push(map[string]string{name: "v5"}) // unproven on the branch, so it has to be proven here too
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		require.Len(t, w.statuses, 2, "what changed is shown")
		assert.Contains(t, w.statuses[1], "pending")
	})
}

func TestSeveralReleasesShowTheWorst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.proposals = []environments.Proposal{proposed(7, "head", map[string]string{"checkout": "v2", "cart": "unpinned3"})}
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		require.Len(t, w.statuses, 1)
		assert.Contains(t, w.statuses[0], "failure: production/cart: ")
	})
}

func TestFilesThatCannotBeUsedShowWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		p := proposed(7, "head", map[string]string{"checkout": "v2"})
		p.Problems["production/cart"] = "release.yaml:3:1: unknown field"
		w.proposals = []environments.Proposal{p}
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		require.Len(t, w.statuses, 1)
		assert.Contains(t, w.statuses[0], "failure: production/cart: release.yaml:3:1")
	})
}

func TestAServiceThatIsNotInForceCannotBeJudgedYet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.proposals = []environments.Proposal{proposed(7, "head", map[string]string{"newcomer": "v1"})}
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		require.Len(t, w.statuses, 1)
		assert.Contains(t, w.statuses[0], "pending: locate production/newcomer")
	})
}

func TestAStatusThatCouldNotBeShownIsShownLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.proposals = []environments.Proposal{
			proposed(7, "head7", map[string]string{"checkout": "v2"}), proposed(8, "head8", map[string]string{"cart": "v2"}),
		}
		w.fault = func(c call) (bool, error) {
			if c.port == "Announcer.Report" && c.of == 1 {
				return false, errors.New("rate limit")
			}
			return true, nil
		}
		require.ErrorContains(t, w.daemon.PreviewOnce(t.Context()), "rate limit")
		assert.Len(t, w.statuses, 1, "the other pull request got its own")
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Len(t, w.statuses, 2)
	})
}

func TestAPullRequestOfAnotherDaemonsEnvironmentIsNotShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.proposals = []environments.Proposal{proposed(7, "head", map[string]string{"checkout": "v2"})}
		w.begin(func(c *reconciler.Config) { c.Environments = []string{"staging"} })
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Empty(t, w.statuses)
	})
}

func TestAPullRequestHasOneCommentThatIsEdited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.proposals = []environments.Proposal{proposed(7, "head", map[string]string{"checkout": "v2"}), proposed(8, "other", nil)}
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Contains(t, w.comments[7], "**production/checkout**")
		assert.Contains(t, w.comments[7], "1 object changes", "what is applied differs")
		assert.NotContains(t, w.comments, 8, "it changes no release")

		w.begin()
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Equal(t, 1, w.edits, "a restart edits nothing")

		w.proposals[0] = proposed(7, "newer", map[string]string{"checkout": "unpinned3"})
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Contains(t, w.comments[7], "❌")
		assert.Equal(t, 2, w.edits)

		w.proposals[0] = proposed(7, "newest", nil)
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Contains(t, w.comments[7], "Nothing: it changes no release.")
		assert.Equal(t, 3, w.edits, "what was said is put right")
	})
}

func TestAnEnvironmentThatIsNotTouchedIsReportedAsNeutral(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		staging := w.policy.Environments[0]
		staging.Name = "staging"
		w.policy.Environments = append([]schemas.Environment{staging}, w.policy.Environments...)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.proposals = []environments.Proposal{proposed(8, "head", nil)}
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Equal(t, []string{"head sluice/production success: No release of production changes"}, w.statuses)
	})
}

// quietly is an open pull request on which nothing has happened for long.
func quietly(number int) environments.Proposal {
	p := proposed(number, fmt.Sprint("head", number), map[string]string{"checkout": fmt.Sprint("v", number+10)})
	p.PullRequest.UpdatedAt = time.Now().Add(-24 * time.Hour)
	return p
}

// looksAtProposals is how often the forge is asked about open pull requests in a time.
func (w *world) looksAtProposals(t *testing.T, d time.Duration) int {
	before := w.byPort["Facts.Facts"]
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(15 * time.Second) {
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
	}
	return w.byPort["Facts.Facts"] - before
}

func TestTheForgeIsAskedWhenTheAnswerMayBeAnotherOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.begin(func(c *reconciler.Config) { c.Poll = 15 * time.Second })
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		for i := range 50 {
			w.proposals = append(w.proposals, quietly(i+1))
		}
		w.looksAtProposals(t, 2*time.Hour) // after the start it is asked more often
		assert.LessOrEqual(t, w.looksAtProposals(t, time.Hour), 50*7, "every ten minutes")

		w.proposals[3].PullRequest.UpdatedAt = time.Now()
		assert.InDelta(t, 5, w.looksAtProposals(t, time.Minute), 1, "what has just changed is looked at until no more is to come")
		w.looksAtProposals(t, 2*time.Hour)

		w.proposals[4] = proposed(5, "another head", map[string]string{"checkout": "v99"})
		w.proposals[4].PullRequest.UpdatedAt = time.Now().Add(-time.Hour)
		assert.GreaterOrEqual(t, w.looksAtProposals(t, time.Second), 1, "another head")

		w.forgeAway = "no answer"
		w.push(map[string]string{name: "v5"})
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		assert.Equal(t, 50, w.looksAtProposals(t, time.Second), "what is unproven on the branch concerns all")
		w.looksAtProposals(t, 2*time.Hour)
		assert.InDelta(t, 50*30, w.looksAtProposals(t, time.Hour), 50, "what is expected is asked about every other minute")
	})
}

func TestAForgeThatDoesNotTellWhatChangedIsAskedEachTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.proposals = []environments.Proposal{proposed(7, "head", map[string]string{"checkout": "v2"})}
		assert.Equal(t, 4, w.looksAtProposals(t, time.Minute))
	})
}

func TestWhatCouldNotBeMadeInFullIsNotShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.proposals = []environments.Proposal{proposed(7, "head", map[string]string{"checkout": "v2", "cart": "v2"}), proposed(8, "other", map[string]string{"cart": "v3"})}
		fails := true
		w.fault = func(c call) (bool, error) {
			if c.port == "Facts.Facts" && fails {
				fails = false
				return false, errFault
			}
			return true, nil
		}
		require.ErrorContains(t, w.daemon.PreviewOnce(t.Context()), "#7")
		require.Len(t, w.statuses, 1)
		assert.Contains(t, w.statuses[0], "other ", "the one that could be asked about everything")
		assert.NotContains(t, w.comments, 7)
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Len(t, w.statuses, 2)
		assert.Contains(t, w.comments[7], "production/cart")
	})
}
