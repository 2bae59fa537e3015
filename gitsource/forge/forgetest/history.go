package forgetest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Label replaces the labels of a pull request.
func (r *Repository) Label(number int, labels ...string) error {
	p, err := r.pull(int64(number))
	if err != nil {
		return err
	}
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	p.labels = slices.Clone(labels)
	return nil
}

func (s *Server) labels(p pull) []object {
	shown := []object{}
	for i, name := range p.labels {
		id := p.id*100 + int64(i)
		shown = append(shown, object{
			"id": id, "node_id": nodeID("Label", id), "url": fmt.Sprintf("%s/labels/%s", s.repoURL(p.repo), url.PathEscape(name)),
			"name": name, "description": "", "color": "d73a4a", "default": false,
		})
	}
	return shown
}

// listCommits lists a commit and its ancestors, newest first.
func (c *call) listCommits() (int, any, error) {
	from := c.URL.Query().Get("sha")
	if from == "" {
		from = "HEAD"
	}
	sha, err := c.repo.git.SHA(from)
	if err != nil {
		return 0, nil, missing()
	}
	out, err := c.repo.git.Git("rev-list", "--topo-order", sha)
	if err != nil {
		return 0, nil, err
	}
	shown := []object{}
	for _, ancestor := range page(c, strings.Fields(out)) {
		commit, err := c.server.commit(c.repo, ancestor)
		if err != nil {
			return 0, nil, err
		}
		shown = append(shown, commit)
	}
	return http.StatusOK, shown, nil
}
