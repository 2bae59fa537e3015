package forgetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/gittest"
)

// A refusal is an answer that GitHub gives instead of acting.
type refusal struct {
	code    int
	message string
	details []string
}

func (e *refusal) Error() string {
	return strings.Join(append([]string{fmt.Sprintf("%d %s", e.code, e.message)}, e.details...), ": ")
}

func unprocessable(detail string) error {
	return &refusal{422, "Validation Failed", []string{detail}}
}

func missing() error { return &refusal{code: 404, message: "Not Found"} }

type pull struct {
	number, id  int64
	repo        *Repository // base
	base        string
	head        *Repository
	branch      string
	headSHA     string
	baseSHA     string // base tip when it was opened or merged
	author      *User
	title, body string
	draft, open bool
	createdAt   time.Time
	closedAt    time.Time

	mergedAt    time.Time
	mergedBy    *User
	mergeCommit string
	landed      []string // commits that the merge brought to the base
	trial       trial
	reviews     []*review
}

// A trial is GitHub's test merge of an open pull request.
type trial struct{ base, head, sha string }

type review struct {
	id     int64
	user   *User
	state  string // in GitHub's upper case
	body   string
	commit string
	at     time.Time
}

// OpenPR opens a pull request of head ("branch", or "owner:branch" of a fork)
// into base and returns its number.
func (r *Repository) OpenPR(as, title, head, base string) (int, error) {
	user, err := r.server.user(as)
	if err != nil {
		return 0, err
	}
	p, err := r.open(user, proposal{Title: title, Head: head, Base: base})
	if err != nil {
		return 0, err
	}
	return int(p.number), nil
}

// A proposal is the body of a request for a pull request.
type proposal struct {
	Title string `json:"title"`
	Head  string `json:"head"`
	Base  string `json:"base"`
	Body  string `json:"body"`
	Draft bool   `json:"draft"`
}

func (r *Repository) open(user *User, p proposal) (*pull, error) {
	from, branch, err := r.headOf(p.Head)
	if err != nil {
		return nil, err
	}
	headSHA, err := from.git.SHA("refs/heads/" + branch)
	if err != nil {
		return nil, unprocessable("head: invalid")
	}
	baseSHA, err := r.git.SHA("refs/heads/" + p.Base)
	if err != nil {
		return nil, unprocessable("base: invalid")
	}
	opened := &pull{
		repo: r, base: p.Base, head: from, branch: branch, headSHA: headSHA, baseSHA: baseSHA,
		author: user, title: p.Title, body: p.Body, draft: p.Draft, open: true, createdAt: r.server.now(),
	}
	if err := r.register(opened); err != nil {
		return nil, err
	}
	return opened, opened.publishHead()
}

func (r *Repository) register(opened *pull) error {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for _, p := range r.pulls {
		if p.open && p.head == opened.head && p.branch == opened.branch && p.base == opened.base {
			return unprocessable(fmt.Sprintf("A pull request already exists for %s:%s.", opened.head.owner(), opened.branch))
		}
	}
	opened.id = r.server.nextIDLocked()
	opened.number = int64(len(r.pulls) + 1)
	r.pulls = append(r.pulls, opened)
	return nil
}

func (r *Repository) headOf(head string) (*Repository, string, error) {
	owner, branch, crossing := strings.Cut(head, ":")
	if !crossing || strings.EqualFold(owner, r.owner()) {
		return r, strings.TrimPrefix(head, r.owner()+":"), nil
	}
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for _, fork := range r.server.repositories {
		if strings.EqualFold(fork.owner(), owner) && strings.EqualFold(fork.opts.ForkOf, r.opts.FullName) {
			return fork, branch, nil
		}
	}
	return nil, "", unprocessable("head: invalid")
}

// publishHead puts the head's commits into the base repository.
func (p *pull) publishHead() error {
	_, err := p.repo.git.Git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", p.head.git.Dir,
		fmt.Sprintf("+refs/heads/%s:refs/pull/%d/head", p.branch, p.number))
	return err
}

// followHeads moves the open pull requests of a branch that was pushed to; one
// whose branch is gone is closed.
func (s *Server) followHeads(from *Repository, branch, tip string) error {
	var errs []error
	for _, p := range s.headedBy(from, branch) {
		if tip == "" {
			p.close()
			continue
		}
		s.mu.Lock()
		p.headSHA = tip
		s.mu.Unlock()
		errs = append(errs, p.publishHead())
	}
	return errors.Join(errs...)
}

func (s *Server) headedBy(from *Repository, branch string) []*pull {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*pull
	for _, repo := range s.repositories {
		for _, p := range repo.pulls {
			if p.open && p.head == from && p.branch == branch {
				found = append(found, p)
			}
		}
	}
	return found
}

func (p *pull) close() {
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	if p.open {
		p.open, p.closedAt = false, p.repo.server.now()
	}
}

// Close closes a pull request without merging it.
func (r *Repository) Close(number int) error {
	p, err := r.pull(int64(number))
	if err != nil {
		return err
	}
	p.close()
	return nil
}

func (r *Repository) pull(number int64) (*pull, error) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	if number < 1 || number > int64(len(r.pulls)) {
		return nil, missing()
	}
	return r.pulls[number-1], nil
}

// Approve submits an approving review of the current head and returns its id.
func (r *Repository) Approve(as string, number int) (int64, error) {
	return r.submit(as, number, "APPROVE")
}

// RequestChanges submits a review that asks for changes.
func (r *Repository) RequestChanges(as string, number int) (int64, error) {
	return r.submit(as, number, "REQUEST_CHANGES")
}

// Comment submits a review without a verdict.
func (r *Repository) Comment(as string, number int) (int64, error) {
	return r.submit(as, number, "COMMENT")
}

func (r *Repository) submit(as string, number int, event string) (int64, error) {
	user, err := r.server.user(as)
	if err != nil {
		return 0, err
	}
	p, err := r.pull(int64(number))
	if err != nil {
		return 0, err
	}
	made, err := p.review(user, opinion{Event: event, Body: "reviewed by " + as})
	if err != nil {
		return 0, err
	}
	return made.id, nil
}

// An opinion is the body of a request for a review.
type opinion struct {
	Event    string `json:"event"`
	Body     string `json:"body"`
	CommitID string `json:"commit_id"`
}

func (p *pull) review(user *User, o opinion) (*review, error) {
	state := map[string]string{"": "PENDING", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}[o.Event]
	server := p.repo.server
	server.mu.Lock()
	defer server.mu.Unlock()
	switch {
	case state == "":
		return nil, unprocessable("event: invalid")
	case user == p.author && (o.Event == "APPROVE" || o.Event == "REQUEST_CHANGES"):
		return nil, &refusal{422, "Unprocessable Entity", []string{"Review Can not " + map[string]string{"APPROVE": "approve", "REQUEST_CHANGES": "request changes on"}[o.Event] + " your own pull request"}}
	case o.Body == "" && (o.Event == "REQUEST_CHANGES" || o.Event == "COMMENT"):
		return nil, unprocessable("body: missing")
	}
	if o.CommitID == "" {
		o.CommitID = p.headSHA
	}
	made := &review{id: server.nextIDLocked(), user: user, state: state, body: o.Body, commit: o.CommitID, at: server.now()}
	p.reviews = append(p.reviews, made)
	return made, nil
}

// Dismiss dismisses a review; only somebody who may write can.
func (r *Repository) Dismiss(as string, number int, reviewID int64) error {
	user, err := r.server.user(as)
	if err != nil {
		return err
	}
	p, err := r.pull(int64(number))
	if err != nil {
		return err
	}
	_, err = p.dismiss(user, reviewID)
	return err
}

func (p *pull) dismiss(user *User, reviewID int64) (*review, error) {
	if !p.repo.mayWrite(user) {
		return nil, &refusal{code: 403, message: "Must have write access to dismiss a review"}
	}
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	at := slices.IndexFunc(p.reviews, func(made *review) bool { return made.id == reviewID })
	if at < 0 {
		return nil, missing()
	}
	made := p.reviews[at]
	if made.state != "APPROVED" && made.state != "CHANGES_REQUESTED" {
		return nil, unprocessable("Can not dismiss a commented pull request review")
	}
	made.state = "DISMISSED"
	return made, nil
}

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
		if err := p.mergeable(want.SHA); err != nil {
			return err
		}
		before, err := p.repo.git.SHA("refs/heads/" + p.base)
		if err != nil {
			return err
		}
		sha, err = p.repo.git.Merge(p.base, p.headSHA, gittest.Method(want.Method), p.mergeMessage(want), user.identity())
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
	p.closedAt = p.mergedAt
	p.landed = append(strings.Fields(landed), strings.Fields(proposed)...)
	return nil
}

// commitSHAs are the pull request's own commits, oldest first.
func (p *pull) commitSHAs() ([]string, error) {
	now := p.snapshot()
	base := now.baseSHA
	if now.open {
		base = "refs/heads/" + p.base
	}
	out, err := p.repo.git.Git("rev-list", "--reverse", "--topo-order", base+".."+now.headSHA)
	return strings.Fields(out), err
}

// snapshot is a copy that may be read without a lock.
func (p *pull) snapshot() pull {
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	taken := *p
	taken.reviews = nil
	for _, made := range p.reviews {
		of := *made
		taken.reviews = append(taken.reviews, &of)
	}
	return taken
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
	base, err := p.repo.git.SHA("refs/heads/" + p.base)
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
