package release

import (
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// An Event is something that was observed. Events name what they are about, so
// that one that comes late or twice changes nothing.
type Event interface{ event() }

// Wanted says what accepted git asks for.
type Wanted struct {
	Want Want
	// Retired: the release file says that the release is to go.
	Retired bool
}

// Kept says why what runs is kept although git no longer asks for it: the
// directory was deleted without retirement, or the retirement is not proven.
type Kept struct{ Reason string }

// Adopted says what the cluster runs at the baseline that an operator named.
type Adopted struct {
	Revision Revision
	// Same: what runs equals what the revision renders to. Ours: it runs under
	// the revision's own names, so it can be rolled out over like any other.
	Same, Ours bool
	// Differs is what does not, in words; "" with Same false: nothing runs.
	Differs string
	// Place is where it was looked for.
	Place Place
}

// Outcome is what all gates together say.
type Outcome string

// The outcomes.
const (
	Proceed Outcome = "proceed"
	Wait    Outcome = "wait"
	Reject  Outcome = "reject"
)

// Judged carries the gates' answers about what Asking named.
type Judged struct {
	Commit   string // its promotion commit
	Gates    []Gate
	Outcome  Outcome
	Reason   string
	Decision string
	Recheck  time.Time
	// Plan and the hashes of the rendered candidate come with the answer, since
	// only what was judged may be applied.
	Plan     Plan
	Workload string
	Manifest string
	// Place is where it would run.
	Place Place
	// Sources is what its artifacts were built from.
	Sources []Source
	// Promotion completes how the candidate came to be wanted.
	Promotion Promotion
	// Reviewed is the candidate's revision as of the commit that ends its pull
	// request, zero when that is not proven.
	Reviewed Revision
}

// Seen is what the cluster says.
type Seen struct{ Observed Observed }

// Measured carries new ticks of the rollout's metric.
type Measured struct {
	Attempt int
	Step    int
	Ticks   []analysis.Tick
	// Dispersion was measured on stable before the step; it is kept from the
	// first event of a step and ignored afterwards.
	Dispersion analysis.Dispersion
}

// Controlled says what control.yaml asks for.
type Controlled struct {
	Paused bool
	// Holds are the ids of the record's holds that are in force there. One that
	// was and is no longer was taken away by a reviewed change.
	Holds []string
}

// Done says that an intent's effect is durable.
type Done struct {
	ID     string
	Commit string // the commit that was written; "" when none was needed
}

// Erred says that an intent's effect was refused for good.
type Erred struct {
	ID     string
	Reason string
	// PullRequest is the one that a person has to merge; 0 for none.
	PullRequest int
}

// Troubled says why something could not be asked or done; "" when all was.
type Troubled struct{ Reason string }

// Tick says only what time it is.
type Tick struct{}

func (Wanted) event()     {}
func (Kept) event()       {}
func (Adopted) event()    {}
func (Judged) event()     {}
func (Seen) event()       {}
func (Measured) event()   {}
func (Controlled) event() {}
func (Done) event()       {}
func (Erred) event()      {}
func (Troubled) event()   {}
func (Tick) event()       {}
