package reconciler_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler"
)

// telling is a world in which every commit is the merge of a pull request.
func telling(t *testing.T) *world {
	w := newWorld(t)
	w.numbered = true
	return w
}

// live is a whole life with a look at the pull requests after every pass.
func (w *world) lives() {
	w.t.Helper()
	w.badRates["v3"] = 0.3
	w.push(map[string]string{name: "v1"})
	w.begin()
	for _, inputs := range []string{"", "v2", "v3", "unpinned4", "v5"} {
		if inputs != "" {
			w.push(map[string]string{name: inputs})
		}
		w.until(checkout, func(wake time.Time) bool {
			_ = w.once(w.daemon.PreviewOnce)
			return w.read() && time.Until(wake) > quiet
		})
	}
	for range 3 {
		_ = w.once(w.daemon.PreviewOnce) // what failed is tried again
	}
}

// told is what the comments say, without the times that a fault moves.
func (w *world) told() string {
	var out strings.Builder
	for number := range 8 {
		for line := range strings.SplitSeq(w.comments[number], "\n") {
			if strings.HasPrefix(line, "**") {
				fmt.Fprintf(&out, "#%d %s\n", number, line)
			}
		}
	}
	return out.String()
}

const toldInTheEnd = "#1 **production/checkout** `v2` ✅ is stable\n" +
	"#2 **production/checkout** `v3` ❌ was rolled back: "

func TestAMergedPullRequestTellsHowItsDeploymentWent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := telling(t)
		w.lives()
		assert.True(t, strings.HasPrefix(w.told(), toldInTheEnd), w.told())
		assert.Contains(t, w.told(), "It is on hold until a reviewed change lifts that")
		assert.Contains(t, w.told(), "`unpinned4` ❌ was rejected: ")
		assert.Contains(t, w.told(), "`v5` ✅ is stable")
		assert.Contains(t, w.comments[1], "| progressing | 25 % |")
		assert.Contains(t, w.comments[1], "| verifying | 100 % |")
		assert.Empty(t, w.comments[0], "the baseline came with no pull request")
		assert.Equal(t, w.byPort["Announcer.Comment"], w.edits, "each call said something new")
		assert.Less(t, w.edits, 40, "and only transitions are told: %d", w.edits)

		calls := w.byPort["Announcer.Comment"]
		w.begin()
		w.settle(checkout)
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.Equal(t, calls, w.byPort["Announcer.Comment"], "a restart knows what was said")
	})
}

func TestNoEndOfADeploymentIsLost(t *testing.T) {
	want := ""
	bubble(t, func(t *testing.T) {
		w := telling(t)
		w.lives()
		want = w.told()
	})
	for _, port := range []string{"Announcer.Comment", "Ledger.Append", "Store.Save"} {
		for n := 1; n <= 40; n += 6 {
			for _, applied := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %d applied %v", port, n, applied), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						w := telling(t)
						w.fault = func(c call) (bool, error) {
							if c.port != port || c.of != n {
								return true, nil
							}
							w.crashed = true
							w.kill()
							return applied, errFault
						}
						w.lives()
						assert.Equal(t, want, w.told())
					})
				})
			}
		}
	}
}

func TestADeploymentIsToldOnceTheForgeIsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := telling(t)
		away := true
		w.fault = func(c call) (bool, error) {
			if away && c.port == "Announcer.Comment" {
				return false, &forge.TransientError{Subject: "comment", Err: errors.New("502")}
			}
			return true, nil
		}
		w.lives()
		assert.Empty(t, w.comments)
		assert.Equal(t, "v5", w.record(checkout).Stable.Inputs, "releases do not wait for a comment")
		away = false
		w.begin()
		require.NoError(t, w.daemon.PreviewOnce(t.Context()))
		assert.True(t, strings.HasPrefix(w.told(), toldInTheEnd), w.told())
		assert.Equal(t, len(w.comments), w.edits, "one comment each, not one for each event")
	})
}

func TestACommentThatIsRefusedIsTriedSeldom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := telling(t)
		w.fault = func(c call) (bool, error) {
			if c.port == "Announcer.Comment" {
				return false, &forge.RejectedError{Subject: "comment", Code: 403, Err: errors.New("the conversation is locked")}
			}
			return true, nil
		}
		w.lives()
		before := w.byPort["Announcer.Comment"]
		for range 120 { // an hour
			_ = w.daemon.PreviewOnce(t.Context())
			time.Sleep(poll)
		}
		assert.LessOrEqual(t, w.byPort["Announcer.Comment"]-before, 7*4, "four pull requests, every ten minutes")
	})
}

func TestWhoOnlyObservesTellsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := previewing(t)
		w.numbered, w.readOnly = true, true
		w.begin(func(c *reconciler.Config) { c.Observe = true })
		w.push(map[string]string{name: "v2"})
		w.proposals = append(w.proposals, proposed(7, "head", map[string]string{"checkout": "v2"}))
		for range 5 {
			require.NoError(t, w.daemon.IntakeOnce(t.Context()))
			_, err := w.daemon.Once(t.Context(), checkout)
			require.NoError(t, err)
			require.NoError(t, w.daemon.PreviewOnce(t.Context()))
			time.Sleep(poll)
		}
		assert.Empty(t, w.comments)
		assert.Empty(t, w.statuses)
	})
}
