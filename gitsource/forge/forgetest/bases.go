package forgetest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// An event is what GitHub lists about a pull request besides its reviews.
type event struct {
	id     int64
	kind   string
	actor  *User
	commit string // empty is null
	at     time.Time
}

// noteLocked adds an event to a pull request's list.
func (p *pull) noteLocked(kind string, actor *User, commit string) {
	server := p.repo.server
	p.events = append(p.events, event{id: server.nextIDLocked(), kind: kind, actor: actor, commit: commit, at: server.now()})
	p.touchLocked()
}

// Retarget gives an open pull request another base branch.
func (r *Repository) Retarget(as string, number int, base string) error {
	user, err := r.server.user(as)
	if err != nil {
		return err
	}
	p, err := r.pull(int64(number))
	if err != nil {
		return err
	}
	return p.retarget(user, base, "base_ref_changed")
}

func (p *pull) retarget(user *User, base, kind string) error {
	tip, err := p.repo.git.SHA("refs/heads/" + base)
	if err != nil {
		return unprocessable("base: invalid")
	}
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	switch {
	case !p.open:
		return unprocessable("Cannot change the base branch of a closed pull request.")
	case p.base == base:
		return nil
	}
	for _, other := range p.repo.pulls {
		if other.open && other.head == p.head && other.branch == p.branch && other.base == base {
			return unprocessable(fmt.Sprintf("A pull request already exists for base branch '%s' and head branch '%s'", base, p.branch))
		}
	}
	p.base, p.baseSHA = base, tip
	p.noteLocked(kind, user, "")
	return nil
}

// followBases lets the open pull requests into a branch notice that it was
// rewritten or is gone. When it went away after it had been merged itself, they
// go where it went; else they are closed.
func (r *Repository) followBases(user *User, branch, to, how string) error {
	var errs []error
	for _, p := range r.basedOn(branch) {
		switch next := r.mergedInto(branch); {
		case how == "force_push":
			r.server.mu.Lock()
			p.noteLocked("base_ref_force_pushed", user, to)
			r.server.mu.Unlock()
		case to == "" && next != "":
			errs = append(errs, p.retarget(user, next, "automatic_base_change_succeeded"))
		case to == "":
			p.close()
		}
	}
	return errors.Join(errs...)
}

func (r *Repository) basedOn(branch string) []*pull {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.pulls), func(p *pull) bool { return !p.open || p.base != branch })
}

// mergedInto is where the last merged pull request of a branch went, "" without
// one.
func (r *Repository) mergedInto(branch string) string {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for _, p := range slices.Backward(r.pulls) {
		if p.head == r && p.branch == branch && p.mergeCommit != "" {
			return p.base
		}
	}
	return ""
}

func (c *call) listEvents() (int, any, error) {
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	now := p.snapshot()
	shown := []object{}
	for _, e := range page(c, now.events) {
		shown = append(shown, c.server.event(c.repo, e))
	}
	return http.StatusOK, shown, nil
}

func (s *Server) event(r *Repository, e event) object {
	shown := object{
		"id": e.id, "node_id": nodeID("Event", e.id), "url": fmt.Sprintf("%s/issues/events/%d", s.repoURL(r), e.id),
		"actor": s.person(e.actor), "event": e.kind, "commit_id": orNull(e.commit), "commit_url": nil,
		"created_at": instant(e.at), "performed_via_github_app": nil,
	}
	if e.commit != "" {
		shown["commit_url"] = s.repoURL(r) + "/commits/" + e.commit
	}
	return shown
}
