package github

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Push implements gitsource.Pusher: GitHub makes the commit, names the owner of
// the credentials as its author and, for an App, signs it. The time is the
// server's.
//
// Nothing is trusted to come out as meant. The tree has to be the draft's to the
// last byte before a commit is made of it, and the commit has to have that tree
// and that parent before a branch moves.
func (c *Client) Push(ctx context.Context, d gitsource.Draft, _ time.Time) (string, error) {
	ctx = transport.Asking(ctx, "commit")
	subject := "commit to branch " + d.Branch
	if err := transport.PlainRef(subject, d.Branch); err != nil {
		return "", fmt.Errorf("%w: %w", gitsource.ErrRefused, err)
	}
	if err := c.createTree(ctx, d); err != nil {
		return "", unmoved(subject, err)
	}
	commit, err := c.createCommit(ctx, d)
	if err != nil {
		return "", unmoved(subject, err)
	}
	if d.New {
		err = c.createBranch(ctx, d, commit)
	} else {
		err = c.moveBranch(ctx, d, commit)
	}
	return commit, err
}

// unmoved is an error from before a branch was touched.
func unmoved(subject string, err error) error {
	err = classify(subject, err)
	var rejected *forge.RejectedError
	if errors.As(err, &rejected) {
		return fmt.Errorf("%w: %w", gitsource.ErrRefused, err)
	}
	return err
}

func (c *Client) createTree(ctx context.Context, d gitsource.Draft) error {
	var entries []*github.TreeEntry
	for _, change := range d.Changes {
		entry, err := c.treeEntry(ctx, d, change)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	made, _, err := c.rest.Git.CreateTree(ctx, c.repository.owner, c.repository.name, d.ParentTree, entries)
	if err != nil {
		return err
	}
	if made.GetSHA() != d.Tree {
		return &forge.RejectedError{Subject: "write the tree of branch " + d.Branch, Err: fmt.Errorf(
			"the server made tree %q of what has to be %s, so it is not used", made.GetSHA(), d.Tree)}
	}
	return nil
}

// treeEntry carries text along and saves a write; what is no text goes ahead as
// a blob, because JSON could not carry it unchanged.
func (c *Client) treeEntry(ctx context.Context, d gitsource.Draft, change gitsource.Change) (*github.TreeEntry, error) {
	mode := change.NewMode
	if mode == 0 {
		mode = change.OldMode // of what goes away
	}
	entry := &github.TreeEntry{Path: &change.Path, Mode: github.Ptr(fmt.Sprintf("%06o", mode)), Type: github.Ptr("blob")}
	if mode == 0o160000 {
		entry.Type = github.Ptr("commit")
	}
	if change.NewMode == 0 {
		return entry, nil // neither content nor SHA: deleted
	}
	content, added := d.Blob(change.NewBlob)
	switch {
	case !added:
		entry.SHA = &change.NewBlob
	case utf8.Valid(content) && !strings.ContainsRune(string(content), 0):
		entry.Content = github.Ptr(string(content))
	default:
		entry.SHA = &change.NewBlob
		return entry, c.createBlob(ctx, change, content)
	}
	return entry, nil
}

func (c *Client) createBlob(ctx context.Context, change gitsource.Change, content []byte) error {
	made, _, err := c.rest.Git.CreateBlob(ctx, c.repository.owner, c.repository.name, github.Blob{
		Content: github.Ptr(base64.StdEncoding.EncodeToString(content)), Encoding: github.Ptr("base64"),
	})
	if err == nil && made.GetSHA() != change.NewBlob {
		err = transport.Incomplete("write "+change.Path, "the server made blob %q of what has to be %s", made.GetSHA(), change.NewBlob)
	}
	return err
}

func (c *Client) createCommit(ctx context.Context, d gitsource.Draft) (string, error) {
	want := github.Commit{Message: &d.Message, Tree: &github.Tree{SHA: &d.Tree}}
	if d.Parent != "" {
		want.Parents = []*github.Commit{{SHA: &d.Parent}}
	}
	made, _, err := c.rest.Git.CreateCommit(ctx, c.repository.owner, c.repository.name, want, nil)
	if err != nil {
		return "", err
	}
	same := len(made.Parents) == len(want.Parents) && made.GetTree().GetSHA() == d.Tree
	if same && d.Parent != "" {
		same = made.Parents[0].GetSHA() == d.Parent
	}
	if !same || !transport.IsSHA(made.GetSHA()) {
		return "", transport.Incomplete("make a commit for branch "+d.Branch, "it has another tree or parent")
	}
	return made.GetSHA(), nil
}

func (c *Client) createBranch(ctx context.Context, d gitsource.Draft, commit string) error {
	made, _, err := c.rest.Git.CreateRef(ctx, c.repository.owner, c.repository.name,
		github.CreateRef{Ref: "refs/heads/" + d.Branch, SHA: commit})
	return c.moved(ctx, d, commit, made, err)
}

// moveBranch reads the branch first: to the server, a branch that was reset to
// before the parent is as good a start for a fast-forward as the parent.
func (c *Client) moveBranch(ctx context.Context, d gitsource.Draft, commit string) error {
	tip, err := c.tip(ctx, d.Branch)
	if err != nil {
		return err
	}
	if tip != d.Parent {
		return gitsource.ErrMoved
	}
	made, _, err := c.rest.Git.UpdateRef(ctx, c.repository.owner, c.repository.name,
		"heads/"+d.Branch, github.UpdateRef{SHA: commit, Force: github.Ptr(false)})
	return c.moved(ctx, d, commit, made, err)
}

// tip is where a branch is; "" where it does not exist.
func (c *Client) tip(ctx context.Context, branch string) (string, error) {
	subject := "read branch " + branch
	found, _, err := c.rest.Git.GetRef(ctx, c.repository.owner, c.repository.name, "heads/"+branch)
	if err != nil {
		if err = classify(subject, err); errors.Is(err, forge.ErrNotFound) {
			return "", nil
		}
		return "", err
	}
	if found.GetRef() != "refs/heads/"+branch || !transport.IsSHA(found.GetObject().GetSHA()) {
		return "", transport.Incomplete(subject, "it is about another branch or lacks its commit")
	}
	return found.GetObject().GetSHA(), nil
}

// moved sorts what came of asking the server to put the branch at the commit.
func (c *Client) moved(ctx context.Context, d gitsource.Draft, commit string, ref *github.Reference, err error) error {
	subject := "move branch " + d.Branch
	if err == nil {
		if ref.GetObject().GetSHA() != commit {
			return fmt.Errorf("%w: %w", gitsource.ErrUnclear, transport.Incomplete(subject, "the server put it at %q", ref.GetObject().GetSHA()))
		}
		return nil
	}
	told := classify(subject, err)
	var answer *github.ErrorResponse
	var rejected *forge.RejectedError
	switch {
	case !transport.WasSent(err):
		return told
	case errors.As(err, &answer) && lostRace(answer):
		return fmt.Errorf("%w: %w", gitsource.ErrMoved, told)
	case !errors.As(told, &rejected):
		return fmt.Errorf("%w: %w", gitsource.ErrUnclear, told)
	}
	// The server has no one word for a lost race.
	was := d.Parent
	if d.New {
		was = ""
	}
	if now, err := c.tip(ctx, d.Branch); err == nil && now != was {
		return fmt.Errorf("%w: %w", gitsource.ErrMoved, told)
	}
	return fmt.Errorf("%w: %w", gitsource.ErrRefused, told)
}

func lostRace(answer *github.ErrorResponse) bool {
	text := serverWords(answer)
	return answer.Response.StatusCode == http.StatusConflict ||
		strings.Contains(text, "not a fast forward") || strings.Contains(text, "Reference already exists")
}
