package forgetest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (c *call) self() (int, any, error) { return http.StatusOK, c.server.profile(c.user), nil }

func (c *call) account() (int, any, error) {
	for _, user := range c.server.everybody() {
		if user.ID == c.number("id") {
			return http.StatusOK, c.server.profile(user), nil
		}
	}
	return 0, nil, missing()
}

func (s *Server) everybody() []*User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.users)
}

func (c *call) accountByLogin() (int, any, error) {
	user, err := c.server.user(c.PathValue("login"))
	if err != nil {
		return 0, nil, missing()
	}
	return http.StatusOK, c.server.profile(user), nil
}

func (c *call) findTeam() (*team, error) {
	for _, team := range c.server.teams {
		if strings.EqualFold(team.org, c.PathValue("org")) && strings.EqualFold(team.slug, c.PathValue("slug")) {
			return team, nil
		}
	}
	return nil, missing()
}

// RemoveTeam deletes a team: from then on nobody can ask who is in it.
func (s *Server) RemoveTeam(org, slug string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.teams = slices.DeleteFunc(s.teams, func(t *team) bool { return t.org == org && t.slug == slug })
}

func (c *call) team() (int, any, error) {
	team, err := c.findTeam()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.server.team(team), nil
}

func (c *call) membership() (int, any, error) {
	team, err := c.findTeam()
	if err != nil {
		return 0, nil, err
	}
	user, err := c.server.user(c.PathValue("login"))
	if err != nil {
		return 0, nil, missing()
	}
	state := "active"
	if slices.Contains(team.pending, user) {
		state = "pending"
	} else if !slices.Contains(team.members, user) {
		return 0, nil, missing()
	}
	return http.StatusOK, object{"state": state, "role": "member", "url": c.server.APIURL() + c.URL.Path}, nil
}

func (c *call) repository() (int, any, error) {
	shown := c.server.repository(c.repo)
	shown["network_count"], shown["subscribers_count"] = 0, 0
	return http.StatusOK, shown, nil
}

func (c *call) branch() (int, any, error) {
	name := c.PathValue("branch")
	sha, err := c.repo.git.SHA("refs/heads/" + name)
	if err != nil {
		return 0, nil, &refusal{code: 404, message: "Branch not found"}
	}
	commit, err := c.server.commit(c.repo, sha)
	if err != nil {
		return 0, nil, err
	}
	self := c.server.APIURL() + c.URL.EscapedPath()
	protected := c.repo.protected(name)
	return http.StatusOK, object{
		"name": name, "commit": commit, "protected": protected, "protection": object{"enabled": protected},
		"protection_url": self + "/protection", "_links": object{"self": self, "html": c.server.URL + "/" + c.repo.opts.FullName},
	}, nil
}

func (c *call) permission() (int, any, error) {
	user, err := c.server.user(c.PathValue("login"))
	if err != nil {
		return 0, nil, missing()
	}
	permission := c.repo.permission(user)
	shown := c.server.person(user)
	shown["role_name"] = permission
	return http.StatusOK, object{"permission": permission, "role_name": permission, "user": shown}, nil
}

func (c *call) compare() (int, any, error) {
	base, head, found := strings.Cut(c.PathValue("basehead"), "...")
	if !found {
		return 0, nil, missing()
	}
	from, errFrom := c.repo.git.SHA(base)
	to, errTo := c.repo.git.SHA(head)
	if errFrom != nil || errTo != nil {
		return 0, nil, missing()
	}
	shown, err := c.comparison(from, to)
	return http.StatusOK, shown, err
}

func (c *call) comparison(from, to string) (object, error) {
	git := c.repo.git
	counts, err := git.Git("rev-list", "--left-right", "--count", from+"..."+to)
	if err != nil {
		return nil, err
	}
	left, right, _ := strings.Cut(counts, "\t")
	behind, _ := strconv.Atoi(left)
	ahead, _ := strconv.Atoi(right)
	root, err := git.Git("merge-base", from, to)
	if err != nil {
		return nil, &refusal{code: 404, message: "No common ancestor between " + from + " and " + to + "."}
	}
	own, err := git.Git("rev-list", "--reverse", from+".."+to)
	if err != nil {
		return nil, err
	}
	commits := []object{}
	for _, sha := range page(c, strings.Fields(own)) {
		commit, err := c.server.commit(c.repo, sha)
		if err != nil {
			return nil, err
		}
		commits = append(commits, commit)
	}
	baseCommit, errBase := c.server.commit(c.repo, from)
	rootCommit, errRoot := c.server.commit(c.repo, root)
	if errBase != nil || errRoot != nil {
		return nil, missing()
	}
	self := c.server.APIURL() + c.URL.EscapedPath()
	return object{
		"url": self, "html_url": self, "permalink_url": self, "diff_url": self + ".diff", "patch_url": self + ".patch",
		"base_commit": baseCommit, "merge_base_commit": rootCommit, "status": relation(ahead, behind),
		"ahead_by": ahead, "behind_by": behind, "total_commits": ahead, "commits": commits, "files": []object{},
	}, nil
}

func relation(ahead, behind int) string {
	switch {
	case ahead == 0 && behind == 0:
		return "identical"
	case behind == 0:
		return "ahead"
	case ahead == 0:
		return "behind"
	}
	return "diverged"
}
