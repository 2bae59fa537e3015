package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

type account struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
}

func (a *account) user() forge.User {
	if a == nil || a.ID <= 0 {
		return forge.User{}
	}
	return forge.User{ID: a.ID, Login: a.Username}
}

type mergeRequest struct {
	Number          int        `json:"iid"`
	WebURL          string     `json:"web_url"`
	Title           string     `json:"title"`
	State           string     `json:"state"` // opened, closed, locked, merged
	Draft           bool       `json:"draft"`
	Source          string     `json:"source_branch"`
	Target          string     `json:"target_branch"`
	SourceProject   int64      `json:"source_project_id"`
	TargetProject   int64      `json:"target_project_id"`
	SHA             string     `json:"sha"`
	MergeCommitSHA  string     `json:"merge_commit_sha"`
	SquashCommitSHA string     `json:"squash_commit_sha"`
	MergedAt        *time.Time `json:"merged_at"`
	MergeUser       *account   `json:"merge_user"`
	MergedBy        *account   `json:"merged_by"` // before merge_user
	Author          *account   `json:"author"`
	Labels          []string   `json:"labels"`
	MergeStatus     string     `json:"detailed_merge_status"`
}

// landed is the commit on the target branch that ended the merge: the merge
// commit; where the project makes none, the squash commit; where there was
// nothing to squash, the head itself, to which the branch was moved forward.
func (m *mergeRequest) landed() string {
	for _, sha := range []string{m.MergeCommitSHA, m.SquashCommitSHA} {
		if sha != "" {
			return sha
		}
	}
	return m.SHA
}

// fact reads a merge request of the client's project. GitLab keeps the head as
// it was when the merge request was merged.
func (c *Client) fact(ctx context.Context, subject string, m *mergeRequest) (forge.PullRequest, error) {
	if m == nil || m.Number == 0 || m.State == "" || m.Target == "" || m.Source == "" || !transport.IsSHA(m.SHA) {
		return forge.PullRequest{}, transport.Incomplete(subject, "a merge request without number, state, branches or head")
	}
	from, err := c.sourceOf(ctx, m)
	if err != nil {
		return forge.PullRequest{}, err
	}
	pr := forge.PullRequest{
		Number: m.Number, URL: m.WebURL, Title: m.Title, Open: m.State == "opened", Draft: m.Draft, Merged: m.State == "merged",
		Head: forge.Branch{Repository: from, Name: m.Source, Commit: m.SHA}, Base: forge.Branch{Repository: string(c.project), Name: m.Target},
		Author: m.Author.user(), Labels: m.Labels,
	}
	if !pr.Merged {
		return pr, nil
	}
	if m.MergedAt == nil || m.MergedAt.IsZero() || !transport.IsSHA(m.landed()) {
		return forge.PullRequest{}, transport.Incomplete(subject, "!%d is merged without a time or a commit", m.Number)
	}
	pr.MergedAt, pr.MergeCommit, pr.MergedBy = m.MergedAt.UTC(), m.landed(), m.MergeUser.user()
	if !pr.MergedBy.Known() {
		pr.MergedBy = m.MergedBy.user()
	}
	return pr, nil
}

// sourceOf is the path of the project with the head; "" when it was deleted or
// is hidden.
func (c *Client) sourceOf(ctx context.Context, m *mergeRequest) (string, error) {
	if m.SourceProject == 0 || m.SourceProject == m.TargetProject {
		if m.SourceProject == 0 {
			return "", nil
		}
		return string(c.project), nil
	}
	subject := fmt.Sprintf("read the source project of !%d", m.Number)
	var answer struct {
		ID   int64
		Path string `json:"path_with_namespace"`
	}
	_, err := c.get(ctx, route("projects", strconv.FormatInt(m.SourceProject, 10)), nil, &answer)
	switch err = classified(subject, err); {
	case errors.Is(err, forge.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case answer.ID != m.SourceProject || answer.Path == "":
		return "", transport.Incomplete(subject, "it is about project %d", answer.ID)
	}
	return answer.Path, nil
}

func classified(subject string, err error) error {
	if err == nil {
		return nil
	}
	return transport.Classify(subject, err)
}

// OpenPullRequests lists the open merge requests into the branch base, oldest
// first.
func (c *Client) OpenPullRequests(ctx context.Context, base string) ([]forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "pulls")
	subject := "list open merge requests into " + base
	if err := transport.PlainRef(subject, base); err != nil {
		return nil, err
	}
	return c.list(ctx, subject, c.project.path("merge_requests"),
		url.Values{"state": {"opened"}, "target_branch": {base}, "order_by": {"created_at"}, "sort": {"asc"}})
}

func (c *Client) list(ctx context.Context, subject, path string, query url.Values) ([]forge.PullRequest, error) {
	found, err := everyPage[*mergeRequest](ctx, c, subject, path, query)
	if err != nil {
		return nil, err
	}
	var all []forge.PullRequest
	for _, answer := range found {
		pr, err := c.fact(ctx, subject, answer)
		if err != nil {
			return nil, err
		}
		all = append(all, pr)
	}
	return all, nil
}

// PullRequest returns one merge request; forge.ErrNotFound when there is none.
func (c *Client) PullRequest(ctx context.Context, number int) (forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "pull")
	subject := fmt.Sprintf("read merge request !%d", number)
	answer, err := c.mergeRequest(ctx, subject, number)
	if err != nil {
		return forge.PullRequest{}, err
	}
	return c.fact(ctx, subject, answer)
}

func (c *Client) mergeRequest(ctx context.Context, subject string, number int) (*mergeRequest, error) {
	var answer *mergeRequest
	if _, err := c.get(ctx, c.project.mergeRequest(number), nil, &answer); err != nil {
		return nil, transport.Classify(subject, err)
	}
	if answer.Number != number {
		return nil, transport.Incomplete(subject, "it is about !%d", answer.Number)
	}
	return answer, nil
}

// MergedPullRequest returns the merged merge request of the project into the
// branch base that brought the commit there. forge.ErrNoPullRequest is the fact
// that there is none. GitLab also relates the commits of a merge request to it,
// so the caller compares MergeCommit.
func (c *Client) MergedPullRequest(ctx context.Context, commit, base string) (forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "commit-pulls")
	subject := "find the merge request of " + commit
	if err := errors.Join(transport.FullSHA(subject, commit), transport.PlainRef(subject, base)); err != nil {
		return forge.PullRequest{}, err
	}
	none := fmt.Errorf("%s: %w", subject, forge.ErrNoPullRequest)
	related, err := everyPage[*mergeRequest](ctx, c, subject, c.project.path("repository", "commits", commit, "merge_requests"), nil)
	if errors.Is(err, forge.ErrNotFound) {
		if err := c.confirmReadable(ctx, c.project, err); err != nil {
			return forge.PullRequest{}, err
		}
		return forge.PullRequest{}, none
	}
	if err != nil {
		return forge.PullRequest{}, err
	}
	var best forge.PullRequest
	for _, answer := range related {
		pr, err := c.fact(ctx, subject, answer)
		if err != nil {
			return forge.PullRequest{}, err
		}
		if pr.Merged && pr.Base.Name == base && (best.Number == 0 || before(pr, best, commit)) {
			best = pr
		}
	}
	if best.Number == 0 {
		return forge.PullRequest{}, none
	}
	return best, nil
}

// before prefers who ended with the commit, and then who was first: a later one
// had nothing to bring.
func before(a, b forge.PullRequest, commit string) bool {
	if ends := a.MergeCommit == commit; ends != (b.MergeCommit == commit) {
		return ends
	}
	return a.MergedAt.Before(b.MergedAt)
}
