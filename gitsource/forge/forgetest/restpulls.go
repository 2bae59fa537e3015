package forgetest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (c *call) listPulls() (int, any, error) {
	query := c.URL.Query()
	state := query.Get("state")
	var found []*pull
	for _, p := range c.repo.everyPull() {
		now := p.snapshot()
		fits := state == "all" || now.open == (state != "closed")
		head := query.Get("head")
		if fits && (query.Get("base") == "" || query.Get("base") == now.base) && (head == "" || head == p.head.owner()+":"+p.branch) {
			found = append(found, p)
		}
	}
	if query.Get("direction") != "asc" {
		slices.Reverse(found)
	}
	return http.StatusOK, c.simplePulls(page(c, found)), nil
}

func (r *Repository) everyPull() []*pull {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return slices.Clone(r.pulls)
}

func (c *call) simplePulls(pulls []*pull) []object {
	shown := []object{}
	for _, p := range pulls {
		shown = append(shown, c.server.simplePull(p.snapshot()))
	}
	return shown
}

func (c *call) pull() (int, any, error) {
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	shown, err := c.server.fullPull(p)
	return http.StatusOK, shown, err
}

func (c *call) createPull() (int, any, error) {
	var want proposal
	if err := c.decode(&want); err != nil {
		return 0, nil, err
	}
	p, err := c.repo.open(c.user, want)
	if err != nil {
		return 0, nil, err
	}
	shown, err := c.server.fullPull(p)
	return http.StatusCreated, shown, err
}

func (c *call) updatePull() (int, any, error) {
	var want struct {
		Title *string `json:"title"`
		Body  *string `json:"body"`
		State *string `json:"state"`
		Base  *string `json:"base"`
	}
	if err := c.decode(&want); err != nil {
		return 0, nil, err
	}
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	if c.user != p.author && !c.repo.mayWrite(c.user) {
		return 0, nil, &refusal{code: 403, message: "Resource not accessible by this account"}
	}
	if want.State != nil && *want.State == "closed" {
		p.close()
	}
	if want.Base != nil {
		if err := p.retarget(c.user, *want.Base, "base_ref_changed"); err != nil {
			return 0, nil, err
		}
	}
	p.rewrite(want.Title, want.Body)
	shown, err := c.server.fullPull(p)
	return http.StatusOK, shown, err
}

func (p *pull) rewrite(title, body *string) {
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	if title != nil {
		p.title = *title
	}
	if body != nil {
		p.body = *body
	}
	p.touchLocked()
}

func (c *call) mergePull() (int, any, error) {
	var want mergeRequest
	if err := c.decode(&want); err != nil {
		return 0, nil, err
	}
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	sha, err := p.merge(c.user, want)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"sha": sha, "merged": true, "message": "Pull Request successfully merged"}, nil
}

func (c *call) listPullCommits() (int, any, error) {
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	shas, err := p.commitSHAs()
	if err != nil {
		return 0, nil, err
	}
	const most = 250 // GitHub's own limit
	shown := []object{}
	for _, sha := range page(c, shas[:min(len(shas), most)]) {
		commit, err := c.server.commit(c.repo, sha)
		if err != nil {
			return 0, nil, err
		}
		shown = append(shown, commit)
	}
	return http.StatusOK, shown, nil
}

// listPullsOfCommit names the merged pull requests that brought a commit and
// the open ones that propose it.
func (c *call) listPullsOfCommit() (int, any, error) {
	sha, err := c.commit()
	if err != nil {
		return 0, nil, err
	}
	var found []*pull
	for _, p := range c.repo.everyPull() {
		commits := p.snapshot().landed
		if p.snapshot().open {
			if commits, err = p.commitSHAs(); err != nil {
				return 0, nil, err
			}
		}
		if slices.Contains(commits, sha) {
			found = append(found, p)
		}
	}
	return http.StatusOK, c.simplePulls(page(c, found)), nil
}

func (c *call) listReviews() (int, any, error) {
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	now := p.snapshot()
	visible := slices.DeleteFunc(now.reviews, func(r *review) bool { return r.state == "PENDING" && r.user != c.user })
	shown := []object{}
	for _, made := range page(c, visible) {
		shown = append(shown, c.server.review(now, *made))
	}
	return http.StatusOK, shown, nil
}

func (c *call) createReview() (int, any, error) {
	var want opinion
	if err := c.decode(&want); err != nil {
		return 0, nil, err
	}
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	made, err := p.review(c.user, want)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.server.review(p.snapshot(), *made), nil
}

func (c *call) dismissReview() (int, any, error) {
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	made, err := p.dismiss(c.user, c.number("id"))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.server.review(p.snapshot(), *made), nil
}

// listActivity pages by cursor: an id that the next page starts after.
func (c *call) listActivity() (int, any, error) {
	query := c.URL.Query()
	ref := query.Get("ref")
	if ref != "" && !strings.HasPrefix(ref, "refs/") {
		ref = "refs/heads/" + ref
	}
	after, _ := strconv.ParseInt(query.Get("after"), 10, 64)
	var found []activity
	for _, a := range slices.Backward(c.repo.moves()) {
		if (ref == "" || a.ref == ref) && (after == 0 || a.id < after) {
			found = append(found, a)
		}
	}
	if size := c.pageSize(); len(found) > size {
		found = found[:size]
		query.Set("after", strconv.FormatInt(found[size-1].id, 10))
		c.setLinks([]string{c.link("next", query)})
	}
	shown := []object{}
	for _, a := range found {
		shown = append(shown, object{
			"id": a.id, "node_id": nodeID("Activity", a.id), "before": a.before, "after": a.after, "ref": a.ref,
			"timestamp": instant(a.at), "activity_type": a.kind, "actor": c.server.person(a.actor),
		})
	}
	return http.StatusOK, shown, nil
}

func (r *Repository) moves() []activity {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return slices.Clone(r.activity)
}
