package release

import "time"

// Schema is the version of the stored record. A record of a later schema is
// refused: an older daemon must not guess at what a newer one decided.
const Schema = 1

// Phase is where a release stands between two passes of the loop.
type Phase string

// The phases; doc.go draws the ways between them.
const (
	// Stable: only the stable revision serves, or nothing yet.
	Stable Phase = "stable"
	// Pending: a candidate is known and some gate waits or is unknown.
	Pending Phase = "pending"
	// Rejected: a gate failed for good; the revert commit is owed.
	Rejected Phase = "rejected"
	// Preparing: the candidate's objects exist and get no traffic.
	Preparing Phase = "preparing"
	// Progressing: the candidate gets its step's share and is judged.
	Progressing Phase = "progressing"
	// Verifying: the candidate gets everything; stable is kept at full size.
	Verifying Phase = "verifying"
	// Reverting: traffic to stable is wanted and not yet seen.
	Reverting Phase = "reverting"
	// Restoring: traffic is at stable; git does not say so yet.
	Restoring Phase = "restoring"
	// Frozen: only a person moves it; traffic stays where it is.
	Frozen Phase = "frozen"
	// Removing: retired; drained and pruned.
	Removing Phase = "removing"
	// Removed: nothing runs; the record remembers that it did.
	Removed Phase = "removed"
)

// A Record is everything Sluice knows of one release. It is the only state
// that outlives the process, and Next is the only code that changes it.
type Record struct {
	Schema int   `json:"schema"`
	Key    Key   `json:"key"`
	Seq    int64 `json:"seq"` // grows with every change

	Phase  Phase     `json:"phase"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`

	// Stable is what serves; nil before the first deployment.
	Stable *Revision `json:"stable,omitempty"`
	// Adopted: Stable was running before Sluice came, under names of its own. None
	// of it is touched before the first rollout, which begins by re-homing it.
	Adopted bool `json:"adopted,omitempty"`
	// Candidate is what is wanted instead, from pending until it is settled.
	Candidate *Want `json:"candidate,omitempty"`
	// Next waits for the candidate to leave: a queue of one, the newest wins.
	Next *Want `json:"next,omitempty"`
	// Queued is what the gates say of Next while a rollout is under way.
	Queued Answer `json:"queued,omitzero"`
	// Settled is the promotion commit that was last closed without becoming
	// stable. Git may say it again until the revert commit has been read.
	Settled string `json:"settled,omitempty"`
	// Refused is the same for a promotion that the gates refused while it waited
	// behind a rollout.
	Refused string `json:"refused,omitempty"`

	// Gates is the last answer of every gate about the candidate.
	Gates []Gate `json:"gates,omitempty"`
	// Decision is the hash over everything that was proven about the candidate.
	Decision string    `json:"decision,omitempty"`
	Recheck  time.Time `json:"recheck,omitzero"`

	// Rollout is the attempt under way, or the last one.
	Rollout Rollout `json:"rollout,omitzero"`
	// Attempt numbers the rollouts and the refusals, so that no two share an
	// intent id.
	Attempt int `json:"attempt"`

	// Kept is why what runs is kept although git no longer asks for it.
	Kept string `json:"kept,omitempty"`
	// Place is where the release was put when it was last rolled out or adopted.
	// It outlives the environment and the service in the policy, so that there
	// is always a way back.
	Place Place `json:"place,omitzero"`
	// Trouble is why the last looks at the release were incomplete: something
	// could not be asked or done. It is written again at most once a minute.
	Trouble   string    `json:"trouble,omitempty"`
	TroubleAt time.Time `json:"troubleAt,omitzero"`
	// Lacking is what the cluster still lacks to look as wanted, as it was last
	// seen in this phase.
	Lacking string `json:"lacking,omitempty"`

	PausedSince time.Time `json:"pausedSince,omitzero"`
	// FrozenFrom is Stable where the baseline differs from what runs, and Removing
	// where a prune was refused.
	FrozenFrom Phase `json:"frozenFrom,omitempty"`
	// Guarded is the prune that was refused and needs a person.
	Guarded string `json:"guarded,omitempty"`

	Holds []Hold   `json:"holds,omitempty"`
	Owed  []Intent `json:"owed,omitempty"`
	// Backfills is what hotfixes owe, oldest first.
	Backfills []Backfill `json:"backfills,omitempty"`
	// Proven lists what was stable here, oldest first: the next environment's
	// proof of order.
	Proven []Proof `json:"proven,omitempty"`
}

// A Revision is one set of inputs and where in git it is found.
type Revision struct {
	// ID names the workload's objects. It outlives changes of scale and of
	// shared objects, so that those restart nothing.
	ID string `json:"id"`
	// Inputs is the identity of artifacts, base and configuration together.
	Inputs string `json:"inputs"`
	// Commit holds the release's directory, Base the service's subtree.
	Commit string `json:"commit"`
	Base   string `json:"base"`
	// BaseTree is the git tree id of the service's subtree at Base.
	BaseTree  string     `json:"baseTree"`
	Artifacts []Artifact `json:"artifacts"`
	Version   string     `json:"version,omitempty"`
	// Workload is the hash of the rendered workload outside scale fields, and
	// Manifest that of every rendered object. Both are known once rendered.
	Workload string `json:"workload,omitempty"`
	Manifest string `json:"manifest,omitempty"`
}

// An Artifact is one image by content.
type Artifact struct {
	Image  string `json:"image"`
	Digest string `json:"digest"`
}

// A Want is a revision that accepted git asks for, and how it came to ask.
type Want struct {
	Revision  Revision  `json:"revision"`
	Promotion Promotion `json:"promotion"`
	// Return: it goes back to what was stable here not long ago; see Returns.
	Return bool `json:"return,omitempty"`
}

// A Promotion is the change that asked for a revision.
type Promotion struct {
	// Commit is the commit on the default branch, and At when it got there.
	Commit string    `json:"commit"`
	At     time.Time `json:"at,omitzero"`
	// Before is the commit to go back to when there is no stable revision yet.
	Before      string   `json:"before,omitempty"`
	PullRequest int      `json:"pullRequest,omitempty"`
	URL         string   `json:"url,omitempty"`
	Author      string   `json:"author,omitempty"`
	MergedBy    string   `json:"mergedBy,omitempty"`
	ApprovedBy  []string `json:"approvedBy,omitempty"`
	Class       string   `json:"class,omitempty"`
	Incident    string   `json:"incident,omitempty"`
	// Genesis: an operator named this commit as the baseline, so no gate is asked.
	Genesis bool `json:"genesis,omitempty"`
	// Policy is the commit of the policy that was in force.
	Policy string `json:"policy,omitempty"`
}

// A Gate is one gate's answer as people see it and as evidence keeps it.
type Gate struct {
	Name    string `json:"name"`
	Verdict string `json:"verdict"` // pass, fail or wait
	Reason  string `json:"reason"`
	// Evidence holds links or facts, one line each.
	Evidence []string `json:"evidence,omitempty"`
	// Unblocks says who or what can change the answer.
	Unblocks string `json:"unblocks,omitempty"`
	// Until is when the answer may change by time alone, zero for never.
	Until time.Time `json:"until,omitzero"`
}

// A Hold refuses inputs that were rolled back.
type Hold struct {
	ID     string `json:"id"` // the rollback's id
	Inputs string `json:"inputs"`
	// Digests are refused on their own; empty when stable has the same ones
	// and the fault must be in the configuration.
	Digests []string  `json:"digests,omitempty"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	// InGit: the control file was seen to carry it.
	InGit bool `json:"inGit,omitempty"`
}

// A Proof says that artifacts and base were stable together.
type Proof struct {
	Artifacts []Artifact `json:"artifacts"`
	BaseTree  string     `json:"baseTree"`
	Inputs    string     `json:"inputs"`
	Commit    string     `json:"commit"`
	Since     time.Time  `json:"since"`
	Until     time.Time  `json:"until,omitzero"`
	// Soak is what they have shown meanwhile, nil where nobody looked.
	Soak *Soak `json:"soak,omitempty"`
}

// maxProven bounds the memory of what was stable; older entries are in the
// audit branch.
const maxProven = 30
