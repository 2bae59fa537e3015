package forgetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/gittest"
)

// Merge merges a pull request and returns the merge commit.
func (r *Repository) Merge(as string, number int, method gittest.Method) (string, error) {
	user, err := r.server.user(as)
	if err != nil {
		return "", err
	}
	p, err := r.pull(int64(number))
	if err != nil {
		return "", err
	}
	return p.merge(user, mergeRequest{Method: string(method)})
}

// A mergeRequest is the body of a request to merge.
type mergeRequest struct {
	Title   string `json:"commit_title"`
	Message string `json:"commit_message"`
	SHA     string `json:"sha"`
	Method  string `json:"merge_method"`
}

func (p *pull) merge(user *User, want mergeRequest) (string, error) {
	if !p.repo.mayWrite(user) {
		return "", &refusal{code: 403, message: "Resource not accessible by this account"}
	}
	if want.Method == "" {
		want.Method = string(gittest.MergeCommit)
	}
	var sha string
	err := p.repo.movingUser(user, "pr_merge", func(*User) error {
		if err := errors.Join(p.mergeable(want.SHA), p.repo.mayMerge(p.snapshot(), gittest.Method(want.Method))); err != nil {
			return err
		}
		now := p.snapshot()
		before, err := p.repo.git.SHA("refs/heads/" + now.base)
		if err != nil {
			return err
		}
		sha, err = p.repo.git.Merge(now.base, now.headSHA, gittest.Method(want.Method), p.mergeMessage(want), user.identity())
		if errors.Is(err, gittest.ErrConflict) {
			return &refusal{code: 405, message: "Pull Request is not mergeable"}
		}
		if err != nil {
			return err
		}
		return p.noteMerge(user, before, sha)
	})
	return sha, err
}

func (p *pull) mergeable(expected string) error {
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	switch {
	case !p.open || p.draft:
		return &refusal{code: 405, message: "Pull Request is not mergeable"}
	case expected != "" && expected != p.headSHA:
		return &refusal{code: 409, message: "Head branch was modified. Review and try the merge again."}
	}
	return nil
}

func (p *pull) mergeMessage(want mergeRequest) string {
	title := fmt.Sprintf("Merge pull request #%d from %s/%s", p.number, p.head.owner(), p.branch)
	body := p.title
	if want.Method == string(gittest.Squash) {
		title, body = fmt.Sprintf("%s (#%d)", p.title, p.number), p.body
	}
	if want.Title != "" {
		title = want.Title
	}
	if want.Message != "" {
		body = want.Message
	}
	return strings.TrimSpace(title+"\n\n"+body) + "\n"
}

func (p *pull) noteMerge(user *User, before, sha string) error {
	landed, err := p.repo.git.Git("rev-list", before+".."+sha)
	if err != nil {
		return err
	}
	proposed, err := p.repo.git.Git("rev-list", before+".."+p.headSHA)
	if err != nil {
		return err
	}
	server := p.repo.server
	server.mu.Lock()
	defer server.mu.Unlock()
	p.open, p.mergedAt, p.mergedBy, p.mergeCommit, p.baseSHA = false, server.now(), user, sha, before
	p.touchLocked()
	p.closedAt = p.mergedAt
	p.landed = append(strings.Fields(landed), strings.Fields(proposed)...)
	p.noteLocked("merged", user, sha)
	p.noteLocked("closed", user, "")
	return nil
}

// tryMerge makes the test merge of an open pull request up to date and puts it
// on refs/pull/N/merge.
func (p *pull) tryMerge() error {
	p.repo.writing.Lock()
	defer p.repo.writing.Unlock()
	now := p.snapshot()
	if !now.open {
		return nil
	}
	base, err := p.repo.git.SHA("refs/heads/" + now.base)
	if err != nil || now.trial.base == base && now.trial.head == now.headSHA {
		return err
	}
	made := trial{base: base, head: now.headSHA}
	if tree, err := p.repo.git.Git("merge-tree", "--write-tree", base, now.headSHA); err == nil {
		made.sha, err = p.repo.git.Git("-c", "user.name=GitHub", "-c", "user.email=noreply@github.com",
			"commit-tree", tree, "-p", base, "-p", now.headSHA, "-m", "Merge "+now.headSHA+" into "+base)
		if err == nil {
			err = p.repo.git.SetRef(fmt.Sprintf("refs/pull/%d/merge", p.number), made.sha)
		}
		if err != nil {
			return err
		}
	}
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	p.trial = made
	return nil
}

// mergeCommitSHA is the merge commit, before the merge a test merge; empty
// when there is none (yet) or head and base conflict.
func (p *pull) mergeCommitSHA() string {
	if p.open {
		return p.trial.sha
	}
	return p.mergeCommit
}
