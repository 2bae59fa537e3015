package restore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// A Proposer works with pull requests. Everything may be called again. An error
// is a *forge.RejectedError where only a person can help, and otherwise may have
// happened nevertheless.
type Proposer interface {
	// Propose returns the pull request for a head, which it opens unless there is
	// or was one, and closes the others of the series.
	Propose(ctx context.Context, p forge.Proposal) (forge.PullRequest, error)
	// Merge merges while the head is still what it names.
	Merge(ctx context.Context, m forge.Merge) (commit string, err error)
	// Withdraw closes what is open of a series.
	Withdraw(ctx context.Context, base, series string) error
}

// pushAgain is how long a refused push is not tried again. What waits in a pull
// request is looked at every half a minute and should not cost a push each time.
const pushAgain = 10 * time.Minute

func (c *Committer) closed(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Proposer != nil && now.Before(c.closedUntil)
}

func (c *Committer) close(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closedUntil = now.Add(pushAgain)
}

// propose brings the commit to the branch by a pull request, as far as Sluice may:
// because says why not by a push. It is done only when the branch itself shows
// that nothing is left to do.
func (c *Committer) propose(ctx context.Context, key release.Key, commit release.Commit, because error) (string, error) {
	var unwritten error
	draft, err := c.Writer.Draft(ctx, c.proposal(key, commit, &unwritten))
	switch {
	case errors.Is(err, gitsource.ErrNothingToDo):
		return "", errors.Join(refuse(unwritten), c.Proposer.Withdraw(ctx, c.Branch, series(key)))
	case err != nil:
		return "", final(err, because)
	}
	head := branchFor(key, commit, draft)
	sha, err := c.Writer.Offer(ctx, draft, head, time.Now())
	if errors.Is(err, gitsource.ErrTaken) {
		return "", refuse(fmt.Errorf("delete branch %s, which somebody else wrote to: %w", head, err))
	}
	if err != nil {
		return "", final(err, because)
	}
	subject, body, _ := strings.Cut(draft.Message, "\n")
	pr, err := c.Proposer.Propose(ctx, forge.Proposal{
		Head: head, Base: c.Branch, Title: subject, Body: c.explain(draft, body), Series: series(key),
	})
	if err != nil {
		return "", final(err, because)
	}
	return c.merge(ctx, key, commit, pr, forge.Merge{
		Number: pr.Number, Head: sha, Title: fmt.Sprintf("%s (#%d)", subject, pr.Number), Message: strings.TrimSpace(body),
	}, because)
}

// merge merges what was offered, where that is Sluice's to do.
func (c *Committer) merge(ctx context.Context, key release.Key, commit release.Commit, pr forge.PullRequest, m forge.Merge, because error) (string, error) {
	var rejected *forge.RejectedError
	switch {
	case pr.Merged:
		return "", fmt.Errorf("#%d is merged, and %s does not show it yet", pr.Number, c.Branch)
	case !pr.Open:
		return "", &reconciler.ProposedError{PullRequest: pr, Err: fmt.Errorf("somebody closed it; reopen it first: %w", because)}
	case commit.Propose:
		return "", &reconciler.ProposedError{PullRequest: pr, Err: because}
	}
	sha, err := c.Proposer.Merge(ctx, m)
	switch {
	case errors.As(err, &rejected):
		return "", &reconciler.ProposedError{PullRequest: pr, Err: fmt.Errorf("%w; %w", because, err)}
	case err != nil:
		return "", err
	}
	var unwritten error
	_, err = c.Writer.Draft(ctx, c.proposal(key, commit, &unwritten))
	switch {
	case errors.Is(err, gitsource.ErrNothingToDo) && unwritten == nil:
		return sha, nil
	case errors.Is(err, gitsource.ErrNothingToDo):
		return "", refuse(fmt.Errorf("#%d restored %s, but %w", pr.Number, key, unwritten))
	case err == nil:
		err = fmt.Errorf("%s does not show it yet", c.Branch)
	}
	return "", fmt.Errorf("after the merge of #%d: %w", pr.Number, err)
}

// final marks what only a person can resolve. because is told along.
func final(err, because error) error {
	var rejected *forge.RejectedError
	if errors.As(err, &rejected) || errors.Is(err, gitsource.ErrRefused) || errors.Is(err, gitsource.ErrBadPlan) || errors.Is(err, gitsource.ErrBadMessage) {
		return refuse(fmt.Errorf("%w; %w", because, err))
	}
	return fmt.Errorf("propose what could not be pushed: %w", err)
}

// series is how the branches of a release's proposals begin.
func series(key release.Key) string { return fmt.Sprintf("sluice/restore/%s/", key) }

// branchFor is the same for the same change of the same state after the same
// promotion, so that a crash finds its pull request again, and another one as
// soon as the branch asks for another change.
func branchFor(key release.Key, commit release.Commit, d gitsource.Draft) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n", commit.Bad.Promotion.Commit)
	for _, x := range d.Changes {
		fmt.Fprintf(sum, "%q %o %s %o %s\n", x.Path, x.OldMode, x.OldBlob, x.NewMode, x.NewBlob)
	}
	return fmt.Sprintf("%s%.12x", series(key), sum.Sum(nil))
}

// explain tells who finds the pull request what it is. What comes from outside is
// indented, which is code to Markdown: nobody is mentioned and nothing is linked.
func (c *Committer) explain(d gitsource.Draft, message string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Sluice could not commit this to `%s` itself. Merging it makes git say again what runs;\nuntil then they differ. It changes nothing but:\n\n", c.Branch)
	for _, x := range d.Changes {
		fmt.Fprintf(&b, "    %q\n", x.Path)
	}
	b.WriteString("\nWhat happened:\n\n")
	for line := range strings.Lines(strings.TrimSpace(message)) {
		b.WriteString("    " + line)
	}
	return b.String() + "\n"
}
