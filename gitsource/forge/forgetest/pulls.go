package forgetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
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
	labels      []string
	draft, open bool
	createdAt   time.Time
	updatedAt   time.Time
	closedAt    time.Time

	mergedAt    time.Time
	mergedBy    *User
	mergeCommit string
	landed      []string // commits that the merge brought to the base
	trial       trial
	reviews     []*review
	events      []event
	comments    []*comment
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
	opened.updatedAt = opened.createdAt
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
		p.touchLocked()
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
		p.touchLocked()
	}
}

// touchLocked notes that something of the pull request changed. Checks on its
// commits are no part of it.
func (p *pull) touchLocked() { p.updatedAt = p.repo.server.now() }

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

// commitSHAs are the pull request's own commits, oldest first.
func (p *pull) commitSHAs() ([]string, error) {
	now := p.snapshot()
	base := now.baseSHA
	if now.open {
		base = "refs/heads/" + now.base
	}
	out, err := p.repo.git.Git("rev-list", "--reverse", "--topo-order", base+".."+now.headSHA)
	return strings.Fields(out), err
}

// snapshot is a copy that may be read without a lock.
func (p *pull) snapshot() pull {
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	taken := *p
	taken.reviews, taken.events = nil, slices.Clone(p.events)
	for _, made := range p.reviews {
		of := *made
		taken.reviews = append(taken.reviews, &of)
	}
	return taken
}
