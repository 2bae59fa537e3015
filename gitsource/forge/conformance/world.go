package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

// A Driver is what the reconciler asks a forge.
type Driver interface {
	MergedPullRequest(ctx context.Context, commit, base string) (forge.PullRequest, error)
	OpenPullRequests(ctx context.Context, base string) ([]forge.PullRequest, error)
	Reviews(ctx context.Context, number int) ([]forge.Review, error)
	Commits(ctx context.Context, number int) ([]forge.PullRequestCommit, error)
	LastPushers(ctx context.Context, pr forge.PullRequest) ([]forge.User, error)
	Checks(ctx context.Context, repository, commit string) ([]forge.Check, error)
	Branch(ctx context.Context, repository, name string) (forge.BranchState, error)
	Contains(ctx context.Context, branch forge.BranchState, commit string) (bool, error)
	BaseChanges(ctx context.Context, number int) ([]time.Time, error)
	FindTeam(ctx context.Context, team string) error
	TeamMember(ctx context.Context, team string, user forge.User) (bool, error)
	Permission(ctx context.Context, user forge.User) (forge.Permission, error)
	SetStatus(ctx context.Context, commit string, status forge.Status) error
	Propose(ctx context.Context, p forge.Proposal) (forge.PullRequest, error)
	Merge(ctx context.Context, m forge.Merge) (commit string, err error)
	Withdraw(ctx context.Context, base, series string) error
	Report(ctx context.Context, commit string, report forge.Report) error
	Comment(ctx context.Context, number int, comment forge.Comment) error
}

// The people of every World: all may log in, alice and bob may write to the
// repository, carol may read it, and Team has bob as its only member.
const (
	Alice = "alice"
	Bob   = "bob"
	Carol = "carol"
	Team  = "acme/payments"
)

// How a pull request is merged.
const (
	Merge  = "merge"
	Squash = "squash"
	Rebase = "rebase"
)

// A Commit is what somebody pushes.
type Commit struct {
	Branch  string // created from main when it does not exist
	Author  string // login of the author and committer, or "Name <mail>"
	Message string
	Files   map[string]string
}

// A World is one repository of a forge on which people act. What fails ends
// the test.
type World interface {
	// Repository is "owner/name". Its branch main has one commit.
	Repository() string
	// Driver asks with credentials that are meant for it.
	Driver() Driver
	// Account is the id and login of one of the people.
	Account(login string) forge.User
	// Email is an address that belongs to the account.
	Email(login string) string
	// Renamed is a member of Team that may write and has got another login
	// since: the user with the login of before.
	Renamed() forge.User

	// Tip is the commit of a branch or another of git's revisions.
	Tip(revision string) string
	Push(as string, commit Commit) string
	// Reset moves a branch by force, or creates it.
	Reset(as, branch, commit string)
	Open(as, title, head, base string) int
	Review(as string, number int, state forge.ReviewState) int64
	Dismiss(as string, number int, review int64)
	Merge(as string, number int, method string) string
	Retarget(as string, number int, base string)
	// Report tells the outcome of a check: success, failure, or running.
	Report(as, commit, name, outcome string)
	// Reporter is the name under which the driver shows who reports as login.
	Reporter(login string) string
	// Statuses are those that the driver set on a commit, superseded ones included.
	Statuses(commit, context string) []forge.StatusState
	// Protect lets nothing but pull requests into a branch, and those with so
	// many approvals.
	Protect(branch string, approvals int)
	// Ready waits until the forge knows whether it can merge.
	Ready(number int)
	// Say writes a comment on a pull request, and Said are the bodies of all, oldest
	// first.
	Say(as string, number int, body string)
	Said(number int) []string
}

// Run plays every behaviour. Open returns a World with a repository of its own.
func Run(t *testing.T, open func(t *testing.T) World) {
	for _, b := range behaviours() {
		t.Run(b.name, func(t *testing.T) { b.play(t, open(t)) })
	}
}

type behaviour struct {
	name string
	play func(*testing.T, World)
}

func behaviours() []behaviour {
	return []behaviour{
		{"open pull requests", openPullRequests},
		{"merge", merged(Merge)},
		{"squash", merged(Squash)},
		{"rebase", merged(Rebase)},
		{"commits of a rebase", rebasedCommits},
		{"head after the merge", headAfterMerge},
		{"no pull request", noPullRequest},
		{"another base", retargeted},
		{"reviews", reviews},
		{"authors", authors},
		{"pushers", pushers},
		{"checks", checks},
		{"many checks", manyChecks},
		{"statuses", statuses},
		{"one comment", oneComment},
		{"branches", branches},
		{"ancestry", ancestry},
		{"teams and permissions", people},
		{"proposals", proposals},
		{"a proposal into a protected branch", proposedMerge},
		{"a proposal that wants an approval", refusedMerge},
	}
}
