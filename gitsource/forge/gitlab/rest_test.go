package gitlab_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A call is one request with its answer's header.
type call struct {
	*http.Request
	*fake
	header http.Header
}

func (f *fake) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(*call) (int, any, error){
		"GET /projects/{id}":                                         (*call).project,
		"GET /projects/{id}/repository/branches/{branch}":            (*call).branch,
		"GET /projects/{id}/repository/commits/{sha}":                (*call).commit,
		"GET /projects/{id}/repository/commits/{sha}/merge_requests": (*call).related,
		"GET /projects/{id}/repository/commits/{sha}/statuses":       (*call).listStatuses,
		"GET /projects/{id}/repository/merge_base":                   (*call).mergeBase,
		"POST /projects/{id}/statuses/{sha}":                         (*call).setStatus,
		"GET /projects/{id}/events":                                  (*call).listEvents,
		"GET /projects/{id}/pipelines":                               (*call).pipelines,
		"GET /projects/{id}/pipelines/{pipeline}/jobs":               (*call).listJobs,
		"GET /projects/{id}/members/all/{user}":                      (*call).projectMember,
		"GET /groups/{group}":                                        (*call).group,
		"GET /groups/{group}/members/all/{user}":                     (*call).groupMember,
		"GET /projects/{id}/repository/branches":                     (*call).listBranches,
		"GET /user":                                                  (*call).self,
		"POST /projects/{id}/merge_requests/{iid}/notes":             (*call).addNote,
		"PUT /projects/{id}/merge_requests/{iid}/notes/{note}":       (*call).editNote,
		"GET /users":                                     (*call).search,
		"GET /users/{user}":                              (*call).person,
		"GET /projects/{id}/merge_requests":              (*call).list,
		"POST /projects/{id}/merge_requests":             (*call).create,
		"GET /projects/{id}/merge_requests/{iid}":        (*call).show,
		"PUT /projects/{id}/merge_requests/{iid}":        (*call).update,
		"PUT /projects/{id}/merge_requests/{iid}/merge":  (*call).accept,
		"GET /projects/{id}/merge_requests/{iid}/{list}": (*call).part,
	} {
		mux.HandleFunc(strings.Replace(pattern, " ", " /api/v4", 1), func(w http.ResponseWriter, r *http.Request) {
			c := &call{Request: r, fake: f, header: w.Header()}
			if r.Header.Get("Authorization") != "Bearer "+token {
				write(w, 401, object{"message": "401 Unauthorized"})
				return
			}
			code, body, err := answer(c)
			if id := r.PathValue("id"); id != "" && id != projectPath && id != strconv.Itoa(projectID) {
				err = refusal{404, "404 Project Not Found"}
			}
			if err != nil {
				var refused refusal
				if !errors.As(err, &refused) {
					refused = refusal{500, err.Error()}
				}
				write(w, refused.code, object{"message": refused.message})
				return
			}
			write(w, code, body)
		})
	}
	return mux
}

// pageOf cuts a list as GitLab does, into at most 50.
func pageOf[T any](c *call, items []T) []T {
	size, _ := strconv.Atoi(c.URL.Query().Get("per_page"))
	number, _ := strconv.Atoi(c.URL.Query().Get("page"))
	size, number = min(max(size, 1), 50), max(number, 1)
	next := ""
	if number*size < len(items) {
		next = strconv.Itoa(number + 1)
	}
	c.header["X-Next-Page"] = []string{next}
	c.header.Set("X-Total", strconv.Itoa(len(items)))
	items = items[min((number-1)*size, len(items)):min(number*size, len(items))]
	return append([]T{}, items...)
}

func (c *call) project() (int, any, error) {
	return 200, object{"id": projectID, "path_with_namespace": projectPath, "default_branch": "main", "merge_method": "merge"}, nil
}

func (c *call) branch() (int, any, error) {
	name := c.PathValue("branch")
	sha, err := c.git.SHA("refs/heads/" + name)
	if err != nil {
		return 0, nil, refusal{404, "404 Branch Not Found"}
	}
	c.mu.Lock()
	_, protected := c.protected[name]
	c.mu.Unlock()
	commit, err := c.commitOf(sha)
	return 200, object{"name": name, "commit": commit, "protected": protected, "merged": false, "default": name == "main"}, err
}

func (c *call) listBranches() (int, any, error) {
	names, err := c.git.Git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/")
	if err != nil {
		return 0, nil, err
	}
	var all []any
	for _, name := range strings.Fields(names) {
		c.SetPathValue("branch", name)
		_, shown, err := c.branch()
		if err != nil {
			return 0, nil, err
		}
		all = append(all, shown)
	}
	return 200, pageOf(c, all), nil
}

func (c *call) commitOf(sha string) (object, error) {
	out, err := c.git.Git("show", "-s", "--format=%P%x00%ae%x00%ce%x00%B", sha)
	if err != nil {
		return nil, err
	}
	parts := strings.SplitN(out, "\x00", 4)
	return object{
		"id": sha, "short_id": sha[:8], "parent_ids": strings.Fields(parts[0]), "author_email": parts[1], "committer_email": parts[2],
		"message": parts[3], "title": strings.SplitN(parts[3], "\n", 2)[0],
	}, nil
}

func (c *call) known() (string, error) {
	sha, err := c.git.SHA(c.PathValue("sha"))
	if err != nil {
		return "", refusal{404, "404 Commit Not Found"}
	}
	return sha, nil
}

func (c *call) commit() (int, any, error) {
	sha, err := c.known()
	if err != nil {
		return 0, nil, err
	}
	shown, err := c.commitOf(sha)
	return 200, shown, err
}

// related is what GitLab's by_related_commit_sha finds.
func (c *call) related() (int, any, error) {
	sha, err := c.known()
	if err != nil {
		return 0, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []object
	for _, r := range slices.Backward(c.requests) {
		if r.mergeCommit == sha || r.squash == sha || slices.Contains(r.commits, sha) {
			found = append(found, c.showLocked(r))
		}
	}
	return 200, pageOf(c, found), nil
}

func (c *call) mergeBase() (int, any, error) {
	refs := c.URL.Query()["refs[]"]
	base, err := c.git.Git(append([]string{"merge-base"}, refs...)...)
	if err != nil {
		return 0, nil, refusal{404, "404 Merge Base Not Found"}
	}
	shown, err := c.commitOf(base)
	return 200, shown, err
}

func (c *call) showLocked(r *request) object {
	shown := object{
		"id": 100 + r.iid, "iid": r.iid, "project_id": projectID, "title": r.title, "description": r.body, "state": r.state, "draft": false,
		"created_at": instant(r.created), "source_branch": r.source, "target_branch": r.target, "source_project_id": projectID, "target_project_id": projectID,
		"author": r.author.basic(), "labels": []string{}, "sha": r.head, "merge_commit_sha": nil, "squash_commit_sha": nil, "merged_at": nil, "merge_user": nil,
		"detailed_merge_status": c.whyNotLocked(r), "web_url": c.url + "/" + projectPath + "/-/merge_requests/" + strconv.Itoa(r.iid),
	}
	if r.mergeCommit != "" {
		shown["merge_commit_sha"] = r.mergeCommit
	}
	if r.squash != "" {
		shown["squash_commit_sha"] = r.squash
	}
	if r.mergedBy != nil {
		shown["merged_at"], shown["merge_user"], shown["merged_by"] = instant(r.merged), r.mergedBy.basic(), r.mergedBy.basic()
	}
	return shown
}

func (c *call) list() (int, any, error) {
	query := c.URL.Query()
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []object
	for _, r := range c.requests {
		if (query.Get("state") == "all" || r.state == query.Get("state")) && r.target == query.Get("target_branch") &&
			(!query.Has("source_branch") || r.source == query.Get("source_branch")) {
			found = append(found, c.showLocked(r))
		}
	}
	if query.Get("sort") == "desc" {
		slices.Reverse(found)
	}
	return 200, pageOf(c, found), nil
}

func (c *call) request() (*request, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	iid, _ := strconv.Atoi(c.PathValue("iid"))
	if iid < 1 || iid > len(c.requests) {
		return nil, refusal{404, "404 Not found"}
	}
	return c.requests[iid-1], nil
}

func (c *call) answer(code int, r *request, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return code, c.showLocked(r), nil
}

func (c *call) show() (int, any, error) {
	r, err := c.request()
	return c.answer(200, r, err)
}

func (c *call) create() (int, any, error) {
	var want struct {
		Title, Description string
		Source             string `json:"source_branch"`
		Target             string `json:"target_branch"`
	}
	if err := json.NewDecoder(c.Body).Decode(&want); err != nil {
		return 0, nil, refusal{400, "400 Bad request"}
	}
	r, err := c.open(c.user("sluice"), want.Title, want.Description, want.Source, want.Target)
	return c.answer(201, r, err)
}

func (c *call) update() (int, any, error) {
	var want struct {
		Event string `json:"state_event"`
	}
	r, err := c.request()
	if err != nil || json.NewDecoder(c.Body).Decode(&want) != nil || want.Event != "close" {
		return 0, nil, errors.Join(err, refusal{400, "400 Bad request"})
	}
	c.mu.Lock()
	r.state = "closed"
	c.mu.Unlock()
	return c.answer(200, r, nil)
}

func (c *call) accept() (int, any, error) {
	var want struct {
		SHA     string
		Message string `json:"merge_commit_message"`
	}
	r, err := c.request()
	if err == nil {
		err = json.NewDecoder(c.Body).Decode(&want)
	}
	if err == nil {
		err = c.merge(c.user("sluice"), r, "merge", want.SHA, want.Message)
	}
	return c.answer(200, r, err)
}

// part is one of the lists of a merge request.
func (c *call) part() (int, any, error) {
	r, err := c.request()
	if err != nil {
		return 0, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.PathValue("list") {
	case "versions":
		return 200, pageOf(c, r.versions), nil
	case "notes":
		return 200, pageOf(c, r.notes), nil
	case "commits":
		shown, err := c.commitsLocked(r)
		return 200, pageOf(c, shown), err
	case "approvals":
		by := []object{}
		for _, a := range r.approvals {
			by = append(by, object{"user": a.by.basic(), "approved_at": instant(a.at)})
		}
		return 200, object{"user_has_approved": false, "user_can_approve": true, "approved": len(by) > 0, "approved_by": by}, nil
	case "reviewers":
		shown := []object{}
		for u, state := range r.reviewers {
			shown = append(shown, object{"user": u.basic(), "state": state, "created_at": instant(r.created)})
		}
		return 200, shown, nil
	}
	return 0, nil, refusal{404, "404 Not Found"}
}

func (c *call) commitsLocked(r *request) ([]object, error) {
	var shown []object
	for _, sha := range r.commits {
		one, err := c.commitOf(sha)
		if err != nil {
			return nil, err
		}
		shown = append(shown, one)
	}
	return shown, nil
}
