package forge

import "time"

// A User is a person or a machine account of the forge.
type User struct {
	// ID is the forge's numeric id; 0 means that the forge could not say who
	// it was (a commit whose e-mail belongs to nobody, a deleted account).
	ID    int64  `json:"id"`
	Login string `json:"login"`
	// Kind is the forge's account type: "User", "Bot" or "Organization".
	Kind string `json:"kind"`
}

// Known reports whether the forge could tell who the user is.
func (u User) Known() bool { return u.ID != 0 }

// A Branch is one side of a pull request.
type Branch struct {
	Repository string `json:"repository"` // "owner/name"; empty when it was deleted
	Name       string `json:"name"`
	Commit     string `json:"commit"` // full SHA
}

// A BranchState is a branch of a repository at the moment of asking.
type BranchState struct {
	Repository string `json:"repository"`
	Name       string `json:"name"`
	Commit     string `json:"commit"`
	// Protected says that the forge enforces rules on the branch. Which rules
	// is not part of it.
	Protected bool `json:"protected"`
}

// A PullRequest is one proposal to change a base branch.
type PullRequest struct {
	Number   int       `json:"number"`
	URL      string    `json:"url"`
	Title    string    `json:"title"`
	Open     bool      `json:"open"`
	Draft    bool      `json:"draft,omitempty"`
	Merged   bool      `json:"merged"`
	MergedAt time.Time `json:"mergedAt,omitzero"`
	// MergeCommit is the commit on the base branch that ended the merge. It is
	// meaningless unless Merged: forges put a test merge there before that.
	MergeCommit string   `json:"mergeCommit,omitempty"`
	Head        Branch   `json:"head"`
	Base        Branch   `json:"base"`
	Author      User     `json:"author"` // who opened it
	MergedBy    User     `json:"mergedBy,omitzero"`
	Labels      []string `json:"labels,omitempty"`
	// UpdatedAt is when something of it changed last; zero where the forge does
	// not say. Checks on its commits are no part of it.
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
}

// A PullRequestCommit is one commit of a pull request with everybody who had
// a hand in it.
type PullRequestCommit struct {
	Commit    string `json:"commit"`
	Author    User   `json:"author"`
	Committer User   `json:"committer"`
	// CoAuthors are the identities of Co-authored-by trailers. One whose
	// e-mail the forge cannot link has ID 0.
	CoAuthors []User `json:"coAuthors,omitempty"`
}

// ReviewState is what a review says.
type ReviewState string

// The states a review can be in.
const (
	Approved         ReviewState = "approved"
	ChangesRequested ReviewState = "changes_requested"
	Commented        ReviewState = "commented"
	Dismissed        ReviewState = "dismissed"
	Pending          ReviewState = "pending"
)

// A Review is one submitted review of a pull request.
type Review struct {
	ID          int64       `json:"id"`
	User        User        `json:"user"`
	State       ReviewState `json:"state"`
	Commit      string      `json:"commit"` // the head that was reviewed
	SubmittedAt time.Time   `json:"submittedAt"`
	URL         string      `json:"url,omitempty"`
}

// A Check is one run of a check on a commit.
type Check struct {
	ID    int64  `json:"id"`
	AppID int64  `json:"appId"`
	App   string `json:"app"` // the app's slug, such as "github-actions"
	Name  string `json:"name"`
	// Commit is the head SHA the run belongs to.
	Commit string `json:"commit"`
	// Status is "queued", "in_progress" or "completed".
	Status string `json:"status"`
	// Conclusion is set once Status is "completed".
	Conclusion  string    `json:"conclusion,omitempty"`
	StartedAt   time.Time `json:"startedAt,omitzero"`
	CompletedAt time.Time `json:"completedAt,omitzero"`
	ExternalID  string    `json:"externalId,omitempty"`
	URL         string    `json:"url,omitempty"`
}

// StatusState is the state of a commit status.
type StatusState string

// The states of a commit status.
const (
	StatusPending StatusState = "pending"
	StatusSuccess StatusState = "success"
	StatusFailure StatusState = "failure"
	StatusError   StatusState = "error"
)

// A Status is a commit status that Sluice writes.
type Status struct {
	Context string      `json:"context"` // such as "sluice/production"
	State   StatusState `json:"state"`
	// Description is one line; forges cut it at 140 characters.
	Description string `json:"description"`
	URL         string `json:"url,omitempty"`
}
