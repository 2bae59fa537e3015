package gitea

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

type review struct {
	ID        int64     `json:"id"`
	User      *account  `json:"user"`
	State     string    `json:"state"`
	Dismissed *bool     `json:"dismissed"`
	Commit    string    `json:"commit_id"`
	Updated   time.Time `json:"updated_at"`
	HTMLURL   string    `json:"html_url"`
}

// states are Gitea's words; a request for a review is none.
func (r *review) state() (forge.ReviewState, bool) {
	switch r.State {
	case "APPROVED":
		return forge.Approved, true
	case "REQUEST_CHANGES":
		return forge.ChangesRequested, true
	case "COMMENT":
		return forge.Commented, true
	case "PENDING", "REQUEST_REVIEW":
		return forge.Pending, true
	}
	return "", false
}

// fact refuses states that it does not know: a new one might mean "no".
func (r *review) fact(subject string) (forge.Review, error) {
	if r == nil || r.ID == 0 || r.Updated.IsZero() || r.Dismissed == nil {
		return forge.Review{}, transport.Incomplete(subject, "a review without id, time or state")
	}
	state, known := r.state()
	if !known {
		return forge.Review{}, transport.Incomplete(subject, "review %d has the unknown state %q", r.ID, r.State)
	}
	if *r.Dismissed {
		state = forge.Dismissed
	}
	return forge.Review{ID: r.ID, User: r.User.user(), State: state, Commit: r.Commit, SubmittedAt: r.Updated.UTC(), URL: r.HTMLURL}, nil
}

// Reviews lists every submitted review of a pull request in the order of
// submission, those without effect included. Pending ones and requests for a
// review are left out.
func (c *Client) Reviews(ctx context.Context, number int) ([]forge.Review, error) {
	ctx = transport.Asking(ctx, "reviews")
	subject := fmt.Sprintf("list reviews of #%d", number)
	found, err := everyVisible[*review](ctx, c, subject, c.repository.path("pulls", strconv.Itoa(number), "reviews"))
	if err != nil {
		return nil, err
	}
	var reviews []forge.Review
	for _, answer := range found {
		made, err := answer.fact(subject)
		if err != nil {
			return nil, err
		}
		if made.State != forge.Pending {
			reviews = append(reviews, made)
		}
	}
	slices.SortStableFunc(reviews, func(a, b forge.Review) int { return a.SubmittedAt.Compare(b.SubmittedAt) })
	return c.withKinds(ctx, reviews)
}

// withKinds says which reviewers are people.
func (c *Client) withKinds(ctx context.Context, reviews []forge.Review) ([]forge.Review, error) {
	kinds := map[int64]string{0: ""}
	for i := range reviews {
		user := &reviews[i].User
		kind, asked := kinds[user.ID]
		if !asked {
			person, err := c.person(ctx, fmt.Sprintf("ask what account %d is", user.ID), user.ID)
			if err != nil {
				return nil, err
			}
			if person != nil {
				kind = "User"
			}
			kinds[user.ID] = kind
		}
		user.Kind = kind
	}
	return reviews, nil
}

type pullCommit struct {
	SHA     string                 `json:"sha"`
	Parents []struct{ SHA string } `json:"parents"`
	Author  *account               `json:"author"`
	// Committer is the account; Commit has what the commit itself says.
	Committer *account `json:"committer"`
	Commit    *struct {
		Message   string
		Author    struct{ Email string }
		Committer struct{ Email string }
	} `json:"commit"`
}

// Commits lists the commits of a pull request with their people, oldest first.
//
// A co-author is known when the e-mail is linked to an author or committer of
// the same pull request, or is the public address of exactly one person.
// Everybody else has ID 0.
func (c *Client) Commits(ctx context.Context, number int) ([]forge.PullRequestCommit, error) {
	ctx = transport.Asking(ctx, "pull-commits")
	subject := fmt.Sprintf("list commits of #%d", number)
	found, err := everyPage[pullCommit](ctx, c, subject, c.repository.path("pulls", strconv.Itoa(number), "commits"), brief(url.Values{}))
	if err != nil {
		return nil, err
	}
	slices.Reverse(found) // Gitea begins with the latest
	linked := linkedEmails(found)
	var commits []forge.PullRequestCommit
	for _, answer := range found {
		if !transport.IsSHA(answer.SHA) || answer.Commit == nil {
			return nil, transport.Incomplete(subject, "a commit without SHA or content")
		}
		commit := forge.PullRequestCommit{Commit: answer.SHA, Author: answer.Author.user(), Committer: answer.Committer.user()}
		for _, who := range forge.CoAuthors(answer.Commit.Message) {
			user, err := c.byEmail(ctx, who.Email, linked)
			if err != nil {
				return nil, err
			}
			commit.CoAuthors = append(commit.CoAuthors, user)
		}
		commits = append(commits, commit)
	}
	return commits, nil
}

// commitCount is how many commits a pull request has.
func (c *Client) commitCount(ctx context.Context, number int) (int, error) {
	read, err := readPage[pullCommit](ctx, c, c.repository.path("pulls", strconv.Itoa(number), "commits"), brief(url.Values{}), 1)
	if err != nil {
		return 0, transport.Classify(fmt.Sprintf("count commits of #%d", number), err)
	}
	return read.total, nil
}

// linkedEmails are the e-mails that the server itself tied to accounts.
func linkedEmails(found []pullCommit) map[string]forge.User {
	linked := map[string]forge.User{}
	for _, answer := range found {
		if answer.Commit == nil {
			continue
		}
		if user := answer.Author.user(); user.Known() {
			linked[strings.ToLower(answer.Commit.Author.Email)] = user
		}
		if user := answer.Committer.user(); user.Known() {
			linked[strings.ToLower(answer.Commit.Committer.Email)] = user
		}
	}
	delete(linked, "")
	return linked
}

// byEmail remembers in linked whom the server named.
func (c *Client) byEmail(ctx context.Context, email string, linked map[string]forge.User) (forge.User, error) {
	if user, known := linked[email]; known || email == "" {
		return user, nil
	}
	subject := "find whose address a co-author has"
	people, err := c.people(ctx, subject, "q", email)
	if err != nil {
		return forge.User{}, err
	}
	var found []forge.User
	for _, person := range people {
		if strings.EqualFold(person.Email, email) {
			found = append(found, person.user())
		}
	}
	if len(found) == 1 {
		linked[email] = found[0]
	} else {
		linked[email] = forge.User{}
	}
	return linked[email], nil
}
