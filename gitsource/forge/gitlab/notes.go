package gitlab

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// A note is what somebody wrote, or with System what the server wrote about what
// somebody did. Nobody can write one of those, but an import from elsewhere can
// bring them.
type note struct {
	ID       int64     `json:"id"`
	Body     string    `json:"body"`
	System   *bool     `json:"system"`
	Imported bool      `json:"imported"`
	Author   *account  `json:"author"`
	Created  time.Time `json:"created_at"`
}

// How the server's own notes begin. They are not translated.
const (
	noteApproved   = "approved this merge request"
	noteObjected   = "requested changes"
	noteRetargeted = "changed target branch from "
)

func (n note) says(what string) bool {
	return *n.System && !n.Imported && strings.HasPrefix(n.Body, what)
}

// notes are those of a merge request, oldest first.
func (c *Client) notes(ctx context.Context, subject string, number int) ([]note, error) {
	found, err := everyPage[note](ctx, c, subject, c.project.mergeRequest(number, "notes"),
		url.Values{"order_by": {"created_at"}, "sort": {"asc"}})
	if err != nil {
		return nil, err
	}
	for _, n := range found {
		if n.ID == 0 || n.System == nil || n.Created.IsZero() {
			return nil, transport.Incomplete(subject, "a note without id, kind or time")
		}
	}
	slices.SortStableFunc(found, func(a, b note) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return found, nil
}

// BaseChanges returns when the merge request was given another target branch, in
// the order in which that happened. GitLab keeps no record of a target branch
// that was rewritten.
func (c *Client) BaseChanges(ctx context.Context, number int) ([]time.Time, error) {
	ctx = transport.Asking(ctx, "pull-events")
	found, err := c.notes(ctx, fmt.Sprintf("list changes of the target of !%d", number), number)
	if err != nil {
		return nil, err
	}
	var changes []time.Time
	for _, n := range found {
		if n.says(noteRetargeted) {
			changes = append(changes, n.Created.UTC())
		}
	}
	return changes, nil
}

// A version is what the head of a merge request was from a moment on.
type version struct {
	ID      int64     `json:"id"`
	Head    string    `json:"head_commit_sha"`
	Created time.Time `json:"created_at"`
}

// versions are those of a merge request, oldest first.
func (c *Client) versions(ctx context.Context, subject string, number int) ([]version, error) {
	found, err := everyPage[version](ctx, c, subject, c.project.mergeRequest(number, "versions"), nil)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, transport.Incomplete(subject, "a merge request without versions")
	}
	for _, v := range found {
		if v.ID == 0 || v.Created.IsZero() || !transport.IsSHA(v.Head) {
			return nil, transport.Incomplete(subject, "a version without id, head or time")
		}
	}
	slices.SortFunc(found, func(a, b version) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return found, nil
}

// headAt is the head that the server had when something was said: of the last
// version that is older. What came at the same moment is taken for later. ""
// when there was none.
func headAt(versions []version, at time.Time) string {
	head := ""
	for _, v := range versions {
		if v.Created.Before(at) {
			head = v.Head
		}
	}
	return head
}

// Reviews lists approvals, requests for changes and comments of a merge request
// in order, those without effect included.
//
// The server's notes tell when somebody approved or asked for changes; what still
// stands is what the lists of approvals and reviewers say. The commit is the head
// at that time.
func (c *Client) Reviews(ctx context.Context, number int) ([]forge.Review, error) {
	ctx = transport.Asking(ctx, "reviews")
	subject := fmt.Sprintf("list reviews of !%d", number)
	standing, err := c.standing(ctx, subject, number)
	if err != nil {
		return nil, err
	}
	notes, err := c.notes(ctx, subject, number)
	if err != nil {
		return nil, err
	}
	versions, err := c.versions(ctx, subject, number)
	if err != nil {
		return nil, err
	}
	var reviews []forge.Review
	for _, n := range slices.Backward(notes) { // the latest of a person is what can stand
		state := n.review(standing)
		if state == "" {
			continue
		}
		reviews = append(reviews, forge.Review{
			ID: n.ID, User: n.Author.user(), State: state, Commit: headAt(versions, n.Created), SubmittedAt: n.Created.UTC(),
		})
	}
	for vote := range standing {
		return nil, transport.Incomplete(subject, "no note says when account %d had it %s", vote.user, vote.state)
	}
	slices.Reverse(reviews)
	return c.withKinds(ctx, reviews)
}

// A vote is what a person's word on a merge request comes to.
type vote struct {
	user  int64
	state forge.ReviewState
}

// standing are the votes that count as the server has it.
func (c *Client) standing(ctx context.Context, subject string, number int) (map[vote]bool, error) {
	var approvals struct {
		ApprovedBy *[]struct{ User *account } `json:"approved_by"`
	}
	if _, err := c.get(ctx, c.project.mergeRequest(number, "approvals"), nil, &approvals); err != nil {
		return nil, transport.Classify(subject, err)
	}
	if approvals.ApprovedBy == nil {
		return nil, transport.Incomplete(subject, "it does not say who approved")
	}
	reviewers, err := everyReviewer(ctx, c, subject, number)
	if err != nil {
		return nil, err
	}
	standing := map[vote]bool{}
	for _, by := range *approvals.ApprovedBy {
		if user := by.User.user(); user.Known() { // a deleted account approves nothing
			standing[vote{user.ID, forge.Approved}] = true
		}
	}
	for _, r := range reviewers {
		if r.State == "requested_changes" {
			standing[vote{r.User.user().ID, forge.ChangesRequested}] = true
		}
	}
	return standing, nil
}

type reviewer struct {
	User  *account `json:"user"`
	State string   `json:"state"`
}

// everyReviewer reads a list that GitLab does not cut into pages.
func everyReviewer(ctx context.Context, c *Client, subject string, number int) ([]reviewer, error) {
	var found []reviewer
	if _, err := c.get(ctx, c.project.mergeRequest(number, "reviewers"), nil, &found); err != nil {
		return nil, transport.Classify(subject, err)
	}
	for _, r := range found {
		if r.State == "" {
			return nil, transport.Incomplete(subject, "a reviewer without state")
		}
	}
	return found, nil
}

// review is what a note is as a review, "" for none. It takes from standing what
// it finds there.
func (n note) review(standing map[vote]bool) forge.ReviewState {
	var said forge.ReviewState
	switch {
	case !*n.System:
		return forge.Commented
	case n.says(noteApproved):
		said = forge.Approved
	case n.says(noteObjected):
		said = forge.ChangesRequested
	default:
		return ""
	}
	v := vote{n.Author.user().ID, said}
	if !standing[v] {
		return forge.Dismissed
	}
	delete(standing, v)
	return said
}

// withKinds says which reviewers are people.
func (c *Client) withKinds(ctx context.Context, reviews []forge.Review) ([]forge.Review, error) {
	kinds := map[int64]string{0: ""}
	for i := range reviews {
		user := &reviews[i].User
		kind, asked := kinds[user.ID]
		if !asked {
			person, err := c.person(ctx, user.ID)
			if err != nil {
				return nil, err
			}
			kind = person.kind()
			kinds[user.ID] = kind
		}
		user.Kind = kind
	}
	return reviews, nil
}
