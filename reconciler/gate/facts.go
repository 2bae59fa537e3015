package gate

import (
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/schemas"
)

// Facts is everything that is known about one release's candidate inputs.
type Facts struct {
	// Environment is the release's environment in the policy in force, which is
	// never the policy that the candidate itself brings along.
	Environment schemas.Environment
	// First: nothing comes before this environment, so nothing was proven
	// before and only what keeps the release deployable is asked.
	First bool
	// Merged: the inputs are on the default branch and are judged as of their
	// merge. False: a preview for an open pull request.
	Merged bool
	// Return: a person goes back to inputs that were stable here not long ago. (The
	// way back that Sluice goes by itself asks no gate.)
	Return bool
	// Retired: the candidate drains and removes the release.
	Retired bool

	// Repository ("owner/name") and Branch are the environments repository and
	// the branch that Sluice follows.
	Repository string
	Branch     string

	// Changes is every change to the inputs since the last verified ones,
	// oldest first, those to the pinned base included. Each has to be proven:
	// one unreviewed change is not cured by a reviewed one after it.
	Changes []Change
	// Class is the change class, see Class; Incident is what a hotfix refers to.
	Class    string
	Incident string

	// Classes says which signs in the source repositories make it stricter than
	// Class, and Sources what was found there. They are not asked where that would
	// change nothing, see AsksSources.
	Classes schemas.Classes
	Sources []Source

	// Inputs is the identity of the candidate's inputs and Revision its short id.
	Inputs   string
	Revision string
	// Artifacts is what would run; BaseTree is the git tree id of the service's
	// subtree at the pinned base.
	Artifacts []Artifact
	BaseTree  string
	Upstream  Upstream

	// Origins has one entry for each artifact.
	Origins []Origin

	// Checks has the facts of each check of the policy, by its gate.
	Checks map[string]CheckFacts

	// Service, Version and Runs are for custom gates alone: Runs has what ran on the
	// source and on the merge. It is only asked where the policy has such gates.
	Service string
	Version string
	Runs    map[string]CheckFacts

	// Rendered: the inputs were rendered, so that the absence of an error and
	// of unpinned images says something.
	Rendered bool
	// RenderError says why the inputs do not render; "" when they do. A reason
	// that lies outside the inputs does not belong here: leave Rendered false.
	RenderError string
	// Unpinned lists the images of the rendered manifests without a digest.
	Unpinned []string
	// Unprobed says of each health probe that the rendered workload lacks which
	// one; Exception is why it may have other probes than usual, "" when it may not.
	Unprobed  []string
	Exception string

	// Backfills is what earlier hotfixes of the release owe. It is only asked of
	// what goes the normal flow.
	Backfills []Backfill

	Holds  []Hold
	Paused Pause
	Frozen Freeze
}

// An Answer is the answer to a question about git or a forge. The zero value
// says no without a reason.
type Answer struct {
	Yes bool
	// Reason says in words why not.
	Reason string
	// Unknown says why the question could not be asked; it overrides Yes.
	Unknown string
}

func (a Answer) yes() bool { return a.Yes && a.Unknown == "" }

// A Change is one pull request's first-parent range of commits, or one commit
// that belongs to none.
type Change struct {
	// Commit ends the range on the followed branch.
	Commit string
	// PullRequest is nil for a commit that was pushed directly.
	PullRequest *forge.PullRequest
	// Content: what landed equals what was reviewed. It is only asked of a
	// merged pull request; without one, its reason says what else is wrong than
	// that there is none.
	Content Answer
	// Base: it changed the base that the release pins, and nothing else of it
	// counts. Anybody who may write may have approved it.
	Base bool
	// Class is what the release's file said of this change, "" where it says
	// nothing; Facts.Class, which is the newest one's, counts for all.
	Class string
	// Owned lists the paths of the change that belong to the policy's owners, and
	// Weakens says what it takes away from the rules.
	Owned   []string
	Weakens []string
	// Paths is everything that it changes, and Sections whose that is.
	Paths    []string
	Sections Sections

	Reviews []forge.Review
	// Commits is every commit of the pull request, the head included.
	Commits []forge.PullRequestCommit
	// EqualHeads lists earlier heads that promote the same content as the final
	// one (before a rebase); their reviews count.
	EqualHeads []string
	// Pushers is who pushed the final head, or one of the equal ones.
	Pushers    []forge.User
	PushRecord Record
	// BaseChanges is when the pull request got another base branch, its base was
	// rewritten, or a part of it came there by another pull request: who approved
	// before saw another difference than what lands.
	BaseChanges []time.Time
	BaseRecord  Record
	// Members has the members of a team (or the user of that name) by the
	// policy's spelling. A team that could not be read is absent; a user who is
	// absent from a team is not a member.
	Members map[string]map[int64]bool
	// Writers is who may write to the repository; nil when it could not be read.
	// It is needed with teams too, since any writer may object.
	Writers map[int64]bool

	// Unknown says why some of these facts could not be read, "" when all were.
	Unknown string
}

// A Record says what became of a question that a forge answers from a record of
// the past. The zero value is the unfavourable one.
type Record string

// The states of a record.
const (
	RecordSilent Record = ""     // one is kept, but it does not answer
	RecordTold   Record = "told" // it answered
	NoRecord     Record = "none" // the forge keeps none; the evidence says so
)

// An Artifact is one image of the candidate.
type Artifact struct {
	Image  string
	Digest string
	// Repository and SourceCommit are what the release says it was built from.
	Repository   string
	SourceCommit string
}

// Upstream is what is known of the same service in the environment before.
type Upstream struct {
	Environment string
	// Proven is what was stable there.
	Proven []Proof
	// Serving is what gets all traffic there and is healthy, before its window is
	// over; nil for nothing.
	Serving *Proof
	// Moving is what that environment wants but has not proven yet.
	Moving []Artifact
	// Soak is what the environment asks for before anything may leave it; nil for
	// nothing. MaxErrorRate, in percent, is the limit where nothing was stable
	// before, and Metered says that the service has counters.
	Soak         *schemas.Soak
	MaxErrorRate float64
	Metered      bool
	// Unknown says why the environment could not be asked.
	Unknown string
}

// A Proof says that artifacts and base were stable together.
type Proof struct {
	Artifacts []Artifact
	BaseTree  string
	Since     time.Time
	Until     time.Time // zero while it lasts
	Soak      Soak
	URL       string // the evidence, where there is any
}

// CheckFacts is what is known about one check of the policy. Every subject
// needs it.
type CheckFacts struct {
	Subjects []Subject
	// Unknown says why the subjects could not be found out.
	Unknown string
}

// A Subject is what a check has to succeed on: the source commit of an
// artifact, the merge of the promotion, or the merge by which an earlier
// environment got the same artifact and base.
type Subject struct {
	Repository string
	// Commits is in order of preference: the first that has a run of the check
	// decides. Several only for the merge: its commit, then the reviewed head
	// where the release's inputs are the same there. None where the earlier
	// environment has not proven them.
	Commits []string
	// Runs is every run of every check on these commits.
	Runs []forge.Check
	// Contained: the source commit is in its repository's protected default
	// branch. Not asked of a merge.
	Contained Answer
	// Scan is nil where no check asks for alerts.
	Scan *Scan
	// Unknown says why the runs could not be read.
	Unknown string
}

// A Hold refuses inputs until a reviewed change lifts it. Any of Inputs,
// Revision and Digests that matches refuses.
type Hold struct {
	Inputs   string
	Revision string
	Digests  []string
	Reason   string
	By       string
	At       time.Time
	// Path is the file of the repository that carries the hold.
	Path string
	URL  string
}

// Freeze closes an environment until somebody opens it again. The policy's own
// freezes have dates and are part of the environment.
type Freeze struct {
	Frozen bool
	Reason string
	Path   string
}

// Pause stops a release from moving forward.
type Pause struct {
	Paused bool
	Reason string
	Path   string
}
