package reconciler_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
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
			if c.port == "Announcer.SetStatus" && c.of == 1 {
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
