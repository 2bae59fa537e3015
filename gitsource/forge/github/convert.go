package github

import (
	"strconv"
	"strings"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

func userOf(u *github.User) forge.User {
	return forge.User{ID: u.GetID(), Login: u.GetLogin(), Kind: u.GetType()}
}

func (c *Client) pullRequest(subject string, answer *github.PullRequest) (forge.PullRequest, error) {
	head, base := answer.GetHead(), answer.GetBase()
	if answer.GetNumber() == 0 || answer.GetState() == "" || !transport.IsSHA(head.GetSHA()) || base.GetRef() == "" || base.GetRepo().GetFullName() == "" {
		return forge.PullRequest{}, transport.Incomplete(subject, "a pull request without number, state, head or base")
	}
	pr := forge.PullRequest{
		Number: answer.GetNumber(),
		URL:    answer.GetHTMLURL(),
		Title:  answer.GetTitle(),
		Open:   answer.GetState() == "open",
		Draft:  answer.GetDraft(),
		Merged: answer.GetMerged() || answer.MergedAt != nil,
		Head:   branchOf(head),
		Base:   branchOf(base),
		Author: userOf(answer.GetUser()),

		UpdatedAt: answer.GetUpdatedAt().UTC(),
	}
	for _, label := range answer.Labels {
		pr.Labels = append(pr.Labels, label.GetName())
	}
	if !pr.Merged {
		return pr, nil
	}
	pr.MergedAt = answer.GetMergedAt().UTC()
	pr.MergedBy = userOf(answer.GetMergedBy())
	pr.MergeCommit = answer.GetMergeCommitSHA()
	if pr.MergedAt.IsZero() || !transport.IsSHA(pr.MergeCommit) {
		return forge.PullRequest{}, transport.Incomplete(subject, "#%d is merged without a time or a merge commit", pr.Number)
	}
	return pr, nil
}

func branchOf(side *github.PullRequestBranch) forge.Branch {
	return forge.Branch{Repository: side.GetRepo().GetFullName(), Name: side.GetRef(), Commit: side.GetSHA()}
}

// reviewOf refuses states that it does not know: a new one might mean "no".
func reviewOf(subject string, answer *github.PullRequestReview) (forge.Review, error) {
	state := forge.ReviewState(strings.ToLower(answer.GetState()))
	switch state {
	case forge.Approved, forge.ChangesRequested, forge.Commented, forge.Dismissed, forge.Pending:
	default:
		return forge.Review{}, transport.Incomplete(subject, "review %d has the unknown state %q", answer.GetID(), answer.GetState())
	}
	if answer.GetID() == 0 || answer.SubmittedAt == nil && state != forge.Pending {
		return forge.Review{}, transport.Incomplete(subject, "a review without id or time")
	}
	return forge.Review{
		ID:          answer.GetID(),
		User:        userOf(answer.GetUser()),
		State:       state,
		Commit:      answer.GetCommitID(),
		SubmittedAt: answer.GetSubmittedAt().UTC(),
		URL:         answer.GetHTMLURL(),
	}, nil
}

func (c *Client) commits(subject string, found []*github.RepositoryCommit) ([]forge.PullRequestCommit, error) {
	linked := linkedEmails(found)
	var commits []forge.PullRequestCommit
	for _, answer := range found {
		if !transport.IsSHA(answer.GetSHA()) || answer.Commit == nil {
			return nil, transport.Incomplete(subject, "a commit without SHA or content")
		}
		commit := forge.PullRequestCommit{Commit: answer.GetSHA(), Author: userOf(answer.GetAuthor()), Committer: userOf(answer.GetCommitter())}
		for _, who := range forge.CoAuthors(answer.GetCommit().GetMessage()) {
			commit.CoAuthors = append(commit.CoAuthors, c.account(who.Email, linked))
		}
		commits = append(commits, commit)
	}
	return commits, nil
}

// linkedEmails are the e-mails that GitHub itself tied to accounts.
func linkedEmails(found []*github.RepositoryCommit) map[string]forge.User {
	linked := map[string]forge.User{}
	for _, answer := range found {
		if user := userOf(answer.GetAuthor()); user.Known() {
			linked[strings.ToLower(answer.GetCommit().GetAuthor().GetEmail())] = user
		}
		if user := userOf(answer.GetCommitter()); user.Known() {
			linked[strings.ToLower(answer.GetCommit().GetCommitter().GetEmail())] = user
		}
	}
	delete(linked, "")
	return linked
}

func (c *Client) account(email string, linked map[string]forge.User) forge.User {
	if user, ok := linked[email]; ok {
		return user
	}
	local, domain, _ := strings.Cut(email, "@")
	id, login, found := strings.Cut(local, "+")
	if domain != c.noReply || !found {
		return forge.User{}
	}
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil || number <= 0 || login == "" {
		return forge.User{}
	}
	return forge.User{ID: number, Login: login}
}
