package gitlab_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

func (c *call) listEvents() (int, any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := slices.Clone(c.events)
	slices.Reverse(found)
	return 200, pageOf(c, found), nil
}

func (c *call) listStatuses() (int, any, error) {
	sha, err := c.known()
	if err != nil {
		return 0, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []object
	for _, s := range c.statuses {
		if s.commit == sha {
			found = append(found, s.shown())
		}
	}
	return 200, pageOf(c, found), nil
}

func (s *status) shown() object {
	return object{
		"id": s.id, "sha": s.commit, "ref": "main", "status": s.state, "name": s.name, "target_url": s.url, "description": s.text, "allow_failure": false,
		"created_at": instant(s.at), "started_at": nil, "finished_at": nil, "coverage": nil, "pipeline_id": 1, "author": object{"id": s.by.id, "username": s.by.name, "name": s.by.name, "state": s.by.state},
	}
}

func (c *call) setStatus() (int, any, error) {
	var want struct {
		State, Name, Description string
		URL                      string `json:"target_url"`
	}
	sha, err := c.known()
	if err != nil || json.NewDecoder(c.Body).Decode(&want) != nil {
		return 0, nil, errors.Join(err, refusal{400, "400 Bad request"})
	}
	made, err := c.report(c.user("sluice"), status{commit: sha, name: want.Name, state: want.State, text: want.Description, url: want.URL})
	if err != nil {
		return 0, nil, err
	}
	return 201, made.shown(), nil
}

// report changes the status of that name while it is not over, and refuses to
// bring it where it is.
func (f *fake) report(by *user, want status) (*status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	want.by, want.at = by, f.tickLocked()
	for _, s := range f.statuses {
		if s.commit == want.commit && s.name == want.name && s.by == by && (s.state == "pending" || s.state == "running") {
			if s.state == want.state {
				return nil, refusal{400, "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}
			}
			s.state, s.text, s.url = want.state, want.text, want.url
			f.said = append(f.said, want)
			return s, nil
		}
	}
	want.id = f.nextLocked()
	f.statuses = append(f.statuses, &want)
	f.said = append(f.said, want)
	return &want, nil
}

// pipelines are two: GitLab's own, and that of what is reported from outside.
func (c *call) pipelines() (int, any, error) {
	return 200, pageOf(c, []object{{"id": 1, "source": "external"}, {"id": 2, "source": "push"}}), nil
}

func (c *call) listJobs() (int, any, error) {
	jobs := []object{}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.PathValue("pipeline") == "2" {
		for _, id := range c.ciJobs {
			jobs = append(jobs, object{"id": id})
		}
	}
	return 200, pageOf(c, jobs), nil
}

func (c *call) byID() (*user, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range c.users {
		if strconv.FormatInt(u.id, 10) == c.PathValue("user") {
			return u, nil
		}
	}
	return nil, refusal{404, "404 User Not Found"}
}

func (c *call) projectMember() (int, any, error) {
	u, err := c.byID()
	if err != nil || u.level == 0 {
		return 0, nil, errors.Join(refusal{404, "404 Not found"}, err)
	}
	return 200, object{"id": u.id, "username": u.name, "state": u.state, "access_level": u.level}, nil
}

func (c *call) group() (int, any, error) {
	if c.PathValue("group") != "acme/payments" {
		return 0, nil, refusal{404, "404 Group Not Found"}
	}
	return 200, object{"id": 70, "full_path": "acme/payments"}, nil
}

func (c *call) groupMember() (int, any, error) {
	u, err := c.byID()
	if err != nil || !u.inTeam || c.PathValue("group") != "acme/payments" {
		return 0, nil, errors.Join(refusal{404, "404 Not found"}, err)
	}
	return 200, object{"id": u.id, "username": u.name, "state": u.state, "access_level": 10}, nil
}

func (u *user) profile() object {
	shown := u.basic()
	shown["bot"], shown["public_email"] = u.bot, u.name+"@forge.example"
	return shown
}

func (c *call) person() (int, any, error) {
	u, err := c.byID()
	if err != nil {
		return 0, nil, err
	}
	return 200, u.profile(), nil
}

func (c *call) search() (int, any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := []object{}
	for _, u := range c.users {
		if strings.Contains(u.name+"@forge.example", c.URL.Query().Get("search")) {
			found = append(found, u.profile())
		}
	}
	return 200, pageOf(c, found), nil
}

func (c *call) self() (int, any, error) { return 200, c.user("sluice").profile(), nil }

func (c *call) addNote() (int, any, error) {
	var want struct{ Body string }
	r, err := c.request()
	if err != nil || json.NewDecoder(c.Body).Decode(&want) != nil {
		return 0, nil, errors.Join(err, refusal{400, "400 Bad request"})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteLocked(r, c.user("sluice"), false, want.Body)
	return 201, r.notes[len(r.notes)-1], nil
}

func (c *call) editNote() (int, any, error) {
	var want struct{ Body string }
	r, err := c.request()
	if err != nil || json.NewDecoder(c.Body).Decode(&want) != nil {
		return 0, nil, errors.Join(err, refusal{400, "400 Bad request"})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range r.notes {
		if strconv.FormatInt(n["id"].(int64), 10) == c.PathValue("note") {
			n["body"] = want.Body
			return 200, n, nil
		}
	}
	return 0, nil, refusal{404, "404 Note Not Found"}
}
