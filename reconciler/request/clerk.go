package request

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
)

// Writer makes commits; see gitsource.Writer.
type Writer interface {
	Write(ctx context.Context, p gitsource.Proposal) (sha string, err error)
	Draft(ctx context.Context, p gitsource.Proposal) (gitsource.Draft, error)
	Offer(ctx context.Context, d gitsource.Draft, branch string, now time.Time) (sha string, err error)
}

// History reads commits that were fetched; see gitsource.Mirror.
type History interface {
	Commit(sha string) (gitsource.Commit, error)
	FS(commit string) (fs.FS, error)
	SubtreeHash(commit, dir string) (string, error)
	TreeHashWithout(commit, dir string, except ...string) (string, error)
}

// A Proposer opens pull requests. One for the same head that is or was there is
// returned as it is.
type Proposer interface {
	Propose(ctx context.Context, p forge.Proposal) (forge.PullRequest, error)
}

// A Clerk files requests.
type Clerk struct {
	Writer   Writer
	History  History
	Proposer Proposer
	// Branch is the followed one.
	Branch string
	// Repository is "owner/name" of the environments repository and Web the
	// address of the forge for people, without a slash at its end; "" leaves links
	// out.
	Repository, Web string
}

// A RefusedError says why a request makes no sense, and what would.
type RefusedError struct{ Reason, Remedy string }

// Error gives the reason first.
func (e *RefusedError) Error() string {
	if e.Remedy == "" {
		return e.Reason
	}
	return e.Reason + "; " + e.Remedy
}

func refused(remedy, reason string, args ...any) error {
	return &RefusedError{Reason: fmt.Sprintf(reason, args...), Remedy: remedy}
}

// A plan is what a request comes to on one tip.
type plan struct {
	subject  string // of the commit, and the pull request's title
	body     string // of the pull request, Markdown
	message  string // what the commit says below its subject
	trailers []gitsource.Trailer
	edits    []gitsource.Edit
	// head begins the name of the branch; since tells two requests for the same
	// change at different times apart.
	head, since string
	// restored is the commit whose files a return brings back.
	restored string
	notes    []string
}

// Filed is what became of a request.
type Filed struct {
	Title string `json:"title"`
	Body  string `json:"body,omitempty"`
	// Branch has the commit, which is "" where nothing was written.
	Branch      string             `json:"branch"`
	Commit      string             `json:"commit,omitempty"`
	PullRequest *forge.PullRequest `json:"pullRequest,omitempty"`
	Files       []File             `json:"files"`
	// Notes are what whoever asks should know, although it stands in the way of
	// nothing here.
	Notes []string `json:"notes,omitempty"`
}

// A File is one that the request changes; nil stands for one that is not there.
type File struct {
	Path   string `json:"path"`
	Before []byte `json:"-"`
	After  []byte `json:"-"`
}

// draft decides on the newest tip.
func (c *Clerk) draft(ctx context.Context, decide func(tip gitsource.TipView) (plan, error)) (gitsource.Draft, plan, error) {
	var p plan
	d, err := c.Writer.Draft(ctx, c.proposal(&p, decide))
	return d, p, err
}

func (c *Clerk) proposal(p *plan, decide func(tip gitsource.TipView) (plan, error)) gitsource.Proposal {
	return gitsource.Proposal{Branch: c.Branch, Time: time.Now(), Decide: func(tip gitsource.TipView) (gitsource.Plan, error) {
		var err error
		*p, err = decide(tip)
		return gitsource.Plan{
			Message: strings.TrimSpace(p.subject + "\n\n" + p.message), Trailers: p.trailers, Edits: p.edits,
		}, err
	}}
}

// review files a request as a pull request. With dry it only says what it would be.
func (c *Clerk) review(ctx context.Context, dry bool, decide func(tip gitsource.TipView) (plan, error)) (Filed, error) {
	d, p, err := c.draft(ctx, decide)
	if err != nil {
		return Filed{}, reasonOf(err)
	}
	head := branchFor(p, d)
	filed := Filed{Title: p.subject, Body: p.body, Branch: head, Notes: p.notes}
	if filed.Files, err = c.files(d, p.restored); err != nil || dry {
		return filed, err
	}
	if filed.Commit, err = c.Writer.Offer(ctx, d, head, time.Now()); err != nil {
		return filed, takenBy(err, head)
	}
	pr, err := c.Proposer.Propose(ctx, forge.Proposal{Head: head, Base: c.Branch, Title: p.subject, Body: p.body, Series: head})
	if err != nil {
		return filed, err
	}
	filed.PullRequest = &pr
	return filed, stillOpen(pr, c.Branch)
}

// reasonOf gives a refusal without the way that it came.
func reasonOf(err error) error {
	var refusal *RefusedError
	if errors.As(err, &refusal) {
		return refusal
	}
	if errors.Is(err, gitsource.ErrNothingToDo) {
		return refused("", "nothing to do: the branch is what was asked for already")
	}
	return err
}

func takenBy(err error, head string) error {
	if errors.Is(err, gitsource.ErrTaken) {
		return refused("look at who wrote to it, delete it and ask again", "branch %s holds something else than this request", head)
	}
	return err
}

func stillOpen(pr forge.PullRequest, branch string) error {
	switch {
	case pr.Open:
		return nil
	case pr.Merged:
		return refused("ask again in a moment", "#%d is merged and %s does not show it yet", pr.Number, branch)
	}
	return refused("reopen it if it is wanted after all: "+pr.URL, "#%d makes this very change, and somebody closed it", pr.Number)
}

// branchFor is the same for the same change of the same state.
func branchFor(p plan, d gitsource.Draft) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n", p.since)
	for _, x := range d.Changes {
		fmt.Fprintf(sum, "%q %o %s %o %s\n", x.Path, x.OldMode, x.OldBlob, x.NewMode, x.NewBlob)
	}
	return fmt.Sprintf("%s-%.6x", p.head, sum.Sum(nil))
}

// files are the contents before and after a draft.
func (c *Clerk) files(d gitsource.Draft, restored string) ([]File, error) {
	var out []File
	for _, x := range d.Changes {
		f := File{Path: x.Path}
		var err error
		if x.OldBlob != "" {
			f.Before, err = c.read(d.Parent, x.Path)
		}
		if err != nil {
			return nil, err
		}
		if f.After, err = c.after(d, x, restored); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func (c *Clerk) after(d gitsource.Draft, x gitsource.Change, restored string) ([]byte, error) {
	if data, added := d.Blob(x.NewBlob); added || x.NewBlob == "" {
		return data, nil
	}
	return c.read(restored, x.Path)
}

func (c *Clerk) read(commit, path string) ([]byte, error) {
	tree, err := c.History.FS(commit)
	if err != nil {
		return nil, err
	}
	return fs.ReadFile(tree, path)
}

// since is the oldest commit of the branch, without a gap up to the tip, in which
// a directory is as it is there. The walk is bounded: any commit on the way has
// the same directory.
func (c *Clerk) since(tip, dir string, except ...string) (string, error) {
	want, err := c.History.TreeHashWithout(tip, dir, except...)
	if err != nil {
		return "", err
	}
	for at, n := tip, 0; ; n++ {
		commit, err := c.History.Commit(at)
		if err != nil {
			return "", err
		}
		if len(commit.Parents) == 0 || n == maxWalk {
			return at, nil
		}
		had, err := c.History.TreeHashWithout(commit.Parents[0], dir, except...)
		if err != nil {
			return "", err
		}
		if had != want {
			return at, nil
		}
		at = commit.Parents[0]
	}
}

// maxWalk is years of merges, and a second or two of reading.
const maxWalk = 20_000
