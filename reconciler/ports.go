package reconciler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/meter"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// A Store keeps small documents. Load fails with release.ErrNotFound when there
// is none. A Save is durable when it returns, and it replaces only the version
// that it names ("" for none yet) or fails with release.ErrConflict. After any
// other error the document may have been written.
type Store interface {
	Load(ctx context.Context, name string) (data []byte, version string, err error)
	Save(ctx context.Context, name string, data []byte, version string) (newVersion string, err error)
}

// A Source reads the followed branch. It may be called again at any time.
type Source interface {
	// Begin reads the baseline, Poll what came after the record's mark. After an
	// error of Poll the record holds what was read before it. One that wraps
	// environments.ErrStuck needs a person.
	Begin(ctx context.Context, genesis string) (intake.Repository, error)
	Poll(ctx context.Context, record intake.Repository, now time.Time) (intake.Repository, error)
}

// Releases says what git asks for. Answers about a commit never change.
type Releases interface {
	Rules(commit string) (environments.Rules, error)
	Want(rules environments.Rules, key release.Key, of intake.Release) (release.Want, error)
	Manifests(key release.Key, revision release.Revision, namespace string) (render.Input, error)
}

// Facts asks the forge about candidates. What it could not ask is unknown in
// the facts; an error is git's.
type Facts interface {
	Facts(ctx context.Context, rules environments.Rules, c environments.Candidate, now time.Time) (gate.Facts, error)
	Proposals(ctx context.Context, rules environments.Rules) ([]environments.Proposal, error)
	// Backfilled says whether what is owed is on the default branch of its
	// repository and in what was promoted. What could not be asked is unknown.
	Backfilled(ctx context.Context, promoted, owed []release.Source) gate.Answer
}

// A Renderer builds manifests. The same input gives the same output.
type Renderer interface {
	Build(ctx context.Context, in render.Input) (render.Output, error)
}

// A Cluster runs releases. Converge makes it look like the state; it is level
// triggered, does not wait for readiness and may be called at any time. Observe
// says what it looks like; a question it could not answer is an error or an
// unknown readiness, never an absence. Both take manifests by revision id.
// Compare says whether something runs under the names that its authors gave it
// (plain is rendered without a revision) and in what it differs; "" when it does
// not. It writes nothing.
type Cluster interface {
	Converge(ctx context.Context, key release.Key, state release.State, manifests map[string]render.Output, place release.Place) error
	Observe(ctx context.Context, key release.Key, state release.State, manifests map[string]render.Output, place release.Place) (release.Observed, error)
	Compare(ctx context.Context, key release.Key, plain render.Output) (found bool, differs string, err error)
}

// A Meter reads the counters of rollouts. What cannot be read is in the ticks; an
// error is the context's, or a question that can never be answered.
type Meter interface {
	Ticks(ctx context.Context, q meter.Question, now time.Time) (meter.Reading, error)
	Dispersion(ctx context.Context, q meter.Question) (analysis.Dispersion, error)
}

// A Committer makes git say again what runs. It returns the commit, or "" when
// the branch needed none. It may be called again after any error and finds out
// by content whether it is already done. ErrRefused is final, and a *ProposedError
// says what a person has to merge.
type Committer interface {
	Commit(ctx context.Context, key release.Key, commit release.Commit) (sha string, err error)
}

// A Ledger keeps evidence for good. Appending the same record again changes
// nothing.
type Ledger interface {
	Append(ctx context.Context, id string, e release.Evidence) error
}

// ErrRefused is wrapped by an error that will not go away by trying again.
var ErrRefused = errors.New("refused")

// A ProposedError is an ErrRefused of a Committer that has gone as far as it may:
// what is to be committed is in a pull request that a person has to merge.
type ProposedError struct {
	PullRequest forge.PullRequest
	Err         error // why a person has to
}

// Error tells what to do first and why second.
func (e *ProposedError) Error() string {
	return fmt.Sprintf("merge #%d, %s: %v", e.PullRequest.Number, e.PullRequest.URL, e.Err)
}

// Unwrap makes it an ErrRefused as well.
func (e *ProposedError) Unwrap() []error { return []error{ErrRefused, e.Err} }

// An Announcer shows people what the gates say and how deployments go. Showing the
// same again changes nothing, also after an error that leaves open whether it was
// shown.
type Announcer interface {
	// Report shows something on a commit, as fully as the forge can.
	Report(ctx context.Context, commit string, report forge.Report) error
	// Comment makes the one comment on a pull request say something.
	Comment(ctx context.Context, number int, comment forge.Comment) error
}
