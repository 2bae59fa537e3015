package gitea

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

type account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Email string `json:"email"`
}

// user leaves out the ghost that stands for deleted accounts.
func (a *account) user() forge.User {
	if a == nil || a.ID <= 0 {
		return forge.User{}
	}
	return forge.User{ID: a.ID, Login: a.Login}
}

type side struct {
	Ref  string `json:"ref"`
	SHA  string `json:"sha"`
	Repo *struct {
		FullName string `json:"full_name"`
	} `json:"repo"`
}

func (s side) branch() forge.Branch {
	branch := forge.Branch{Name: s.Ref, Commit: s.SHA}
	if s.Repo != nil {
		branch.Repository = s.Repo.FullName
	}
	return branch
}

type pull struct {
	Number      int        `json:"number"`
	HTMLURL     string     `json:"html_url"`
	Title       string     `json:"title"`
	State       string     `json:"state"`
	Draft       bool       `json:"draft"`
	Merged      *bool      `json:"merged"`
	MergedAt    *time.Time `json:"merged_at"`
	MergeCommit string     `json:"merge_commit_sha"`
	Head        side       `json:"head"`
	Base        side       `json:"base"`
	User        *account   `json:"user"`
	MergedBy    *account   `json:"merged_by"`
	Labels      []struct {
		Name string `json:"name"`
	} `json:"labels"`
}

func (p *pull) fact(subject string) (forge.PullRequest, error) {
	if p == nil || p.Number == 0 || p.State == "" || p.Merged == nil || p.Base.Ref == "" || p.Base.Repo == nil {
		return forge.PullRequest{}, transport.Incomplete(subject, "a pull request without number, state or base")
	}
	pr := forge.PullRequest{
		Number: p.Number, URL: p.HTMLURL, Title: p.Title, Open: p.State == "open", Draft: p.Draft, Merged: *p.Merged,
		Head: p.Head.branch(), Base: p.Base.branch(), Author: p.User.user(),
	}
	for _, label := range p.Labels {
		pr.Labels = append(pr.Labels, label.Name)
	}
	if !pr.Merged {
		return pr, nil
	}
	pr.MergeCommit, pr.MergedBy = p.MergeCommit, p.MergedBy.user()
	if p.MergedAt == nil || p.MergedAt.IsZero() || !transport.IsSHA(pr.MergeCommit) {
		return forge.PullRequest{}, transport.Incomplete(subject, "#%d is merged without a time or a merge commit", pr.Number)
	}
	pr.MergedAt = p.MergedAt.UTC()
	return pr, nil
}

// OpenPullRequests lists the open pull requests into the branch base, oldest
// first.
func (c *Client) OpenPullRequests(ctx context.Context, base string) ([]forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "pulls")
	subject := "list open pull requests into " + base
	if err := transport.PlainRef(subject, base); err != nil {
		return nil, err
	}
	found, err := everyPage[*pull](ctx, c, subject, c.repository.path("pulls"),
		url.Values{"state": {"open"}, "sort": {"oldest"}, "base_branch": {base}})
	if err != nil {
		return nil, err
	}
	var open []forge.PullRequest
	for _, answer := range found {
		pr, err := answer.fact(subject)
		if err != nil {
			return nil, err
		}
		if !transport.IsSHA(pr.Head.Commit) {
			return nil, transport.Incomplete(subject, "#%d has no head", pr.Number)
		}
		if pr.Open && pr.Base.Name == base { // an older server may ignore base_branch
			open = append(open, pr)
		}
	}
	return open, nil
}

// PullRequest returns one pull request; forge.ErrNotFound when there is none.
func (c *Client) PullRequest(ctx context.Context, number int) (forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "pull")
	subject := fmt.Sprintf("read pull request #%d", number)
	var answer *pull
	if _, err := c.get(ctx, c.repository.path("pulls", strconv.Itoa(number)), nil, &answer); err != nil {
		return forge.PullRequest{}, transport.Classify(subject, err)
	}
	pr, err := answer.fact(subject)
	if err != nil {
		return forge.PullRequest{}, err
	}
	if pr.Number != number {
		return forge.PullRequest{}, transport.Incomplete(subject, "it is about #%d", pr.Number)
	}
	return c.withHead(ctx, pr)
}

// withHead replaces the head commit by the one that the server keeps for the
// pull request: a branch may move on after the merge.
func (c *Client) withHead(ctx context.Context, pr forge.PullRequest) (forge.PullRequest, error) {
	subject := fmt.Sprintf("read the head of #%d", pr.Number)
	name := fmt.Sprintf("refs/pull/%d/head", pr.Number)
	var found []struct {
		Ref    string
		Object struct{ SHA string }
	}
	if _, err := c.get(ctx, c.repository.path("git", "refs", "pull", strconv.Itoa(pr.Number), "head"), nil, &found); err != nil {
		return forge.PullRequest{}, transport.Classify(subject, err)
	}
	for _, ref := range found {
		if ref.Ref == name && transport.IsSHA(ref.Object.SHA) {
			pr.Head.Commit = ref.Object.SHA
			return pr, nil
		}
	}
	return forge.PullRequest{}, transport.Incomplete(subject, "%s is not among the %d references", name, len(found))
}

// MergedPullRequest returns the merged pull request of the repository and the
// branch base that brought the commit there. forge.ErrNoPullRequest is the fact
// that there is none. A commit inside a rebase merge belongs to its pull
// request too, so the caller compares MergeCommit.
func (c *Client) MergedPullRequest(ctx context.Context, commit, base string) (forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "commit-pulls")
	subject := "find the pull request of " + commit
	if err := errors.Join(transport.FullSHA(subject, commit), transport.PlainRef(subject, base)); err != nil {
		return forge.PullRequest{}, err
	}
	pr, err := c.mergedAt(ctx, subject, commit)
	if errors.Is(err, forge.ErrNoPullRequest) {
		pr, err = c.rebasedOver(ctx, subject, commit, base)
	}
	if err != nil {
		return forge.PullRequest{}, err
	}
	if !pr.Merged || pr.Base.Name != base || !strings.EqualFold(pr.Base.Repository, c.repository.String()) {
		return forge.PullRequest{}, fmt.Errorf("%s: %w: #%d goes elsewhere", subject, forge.ErrNoPullRequest, pr.Number)
	}
	return c.withHead(ctx, pr)
}

// mergedAt finds the pull request whose merge ended with the commit.
func (c *Client) mergedAt(ctx context.Context, subject, commit string) (forge.PullRequest, error) {
	var answer *pull
	_, err := c.get(ctx, c.repository.path("commits", commit, "pull"), nil, &answer)
	if err != nil {
		err = transport.Classify(subject, err)
		if !errors.Is(err, forge.ErrNotFound) {
			return forge.PullRequest{}, err
		}
		if err := c.confirmReadable(ctx, c.repository, err); err != nil {
			return forge.PullRequest{}, err
		}
		return forge.PullRequest{}, fmt.Errorf("%s: %w", subject, forge.ErrNoPullRequest)
	}
	pr, err := answer.fact(subject)
	if err == nil && pr.MergeCommit != commit {
		return forge.PullRequest{}, transport.Incomplete(subject, "#%d was merged as %s", pr.Number, pr.MergeCommit)
	}
	return pr, err
}

// maxRebased is how many commits of one rebase merge are followed.
const maxRebased = 50

// rebasedOver finds the pull request of a commit that is not the last of its
// rebase merge. The server knows the last one only, so the commits that follow
// on the branch are asked about, up to the first merge of anything.
func (c *Client) rebasedOver(ctx context.Context, subject, commit, base string) (forge.PullRequest, error) {
	none := fmt.Errorf("%s: %w", subject, forge.ErrNoPullRequest)
	known, err := c.hasCommit(ctx, subject, c.repository, commit)
	if err != nil {
		return forge.PullRequest{}, err
	}
	if !known {
		return forge.PullRequest{}, none
	}
	following, err := c.following(ctx, subject, commit, base)
	if err != nil {
		return forge.PullRequest{}, err
	}
	for distance, next := range following {
		pr, err := c.mergedAt(ctx, subject, next)
		if errors.Is(err, forge.ErrNoPullRequest) {
			continue
		}
		if err != nil {
			return forge.PullRequest{}, err
		}
		count, err := c.commitCount(ctx, pr.Number)
		if err != nil || distance+1 < count {
			return pr, err
		}
		break
	}
	return forge.PullRequest{}, none
}

// following are the commits after the given one on the branch, the next first,
// up to the first with several parents.
func (c *Client) following(ctx context.Context, subject, commit, base string) ([]string, error) {
	later, err := everyPage[pullCommit](ctx, c, subject, c.repository.path("commits"),
		brief(url.Values{"sha": {base}, "not": {commit}}))
	if err != nil {
		return nil, err
	}
	next := map[string]string{}
	for _, commit := range later {
		if len(commit.Parents) == 1 {
			next[commit.Parents[0].SHA] = commit.SHA
		}
	}
	var line []string
	for at := next[commit]; at != "" && len(line) < maxRebased; at = next[at] {
		line = append(line, at)
	}
	return line, nil
}

// brief leaves out of commits what costs the server a process each.
func brief(query url.Values) url.Values {
	query.Set("stat", "false")
	query.Set("verification", "false")
	query.Set("files", "false")
	return query
}
