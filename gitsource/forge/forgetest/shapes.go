package forgetest

import (
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"time"
)

// An object is JSON as GitHub writes it.
type object map[string]any

func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func nodeID(kind string, id int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", kind, id))
}

func (s *Server) repoURL(r *Repository) string { return s.APIURL() + "/repos/" + r.opts.FullName }

// person is GitHub's simple user; nil stays null.
func (s *Server) person(u *User) object {
	if u == nil {
		return nil
	}
	self := s.APIURL() + "/users/" + strings.ReplaceAll(strings.ReplaceAll(u.Login, "[", "%5B"), "]", "%5D")
	return object{
		"login": u.Login, "id": u.ID, "node_id": nodeID("User", u.ID), "type": u.Kind, "site_admin": false,
		"avatar_url": s.URL + "/avatar", "gravatar_id": "", "url": self, "html_url": s.URL + "/user",
		"followers_url": self + "/followers", "following_url": self + "/following{/other_user}", "gists_url": self + "/gists{/gist_id}",
		"starred_url": self + "/starred{/owner}{/repo}", "subscriptions_url": self + "/subscriptions", "organizations_url": self + "/orgs",
		"repos_url": self + "/repos", "events_url": self + "/events{/privacy}", "received_events_url": self + "/received_events",
	}
}

// profile is GitHub's public user.
func (s *Server) profile(u *User) object {
	shown := s.person(u)
	more := object{
		"name": nil, "company": nil, "blog": nil, "location": nil, "email": nil, "hireable": nil, "bio": nil, "user_view_type": "public",
		"public_repos": 0, "public_gists": 0, "followers": 0, "following": 0, "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z",
	}
	maps.Copy(shown, more)
	return shown
}

// ownerOf stands in for owners, which need not be accounts here.
func (s *Server) ownerOf(r *Repository) object {
	owner := r.owner()
	for _, user := range s.users {
		if strings.EqualFold(user.Login, owner) {
			return s.person(user)
		}
	}
	return s.person(&User{Login: owner, ID: 8_000_000 + r.id, Kind: "Organization"})
}

func (s *Server) repository(r *Repository) object {
	self := s.repoURL(r)
	_, name, _ := strings.Cut(r.opts.FullName, "/")
	shown := object{
		"id": r.id, "node_id": nodeID("Repository", r.id), "name": name, "full_name": r.opts.FullName, "owner": s.ownerOf(r),
		"private": false, "visibility": "public", "html_url": s.URL + "/" + r.opts.FullName, "description": nil, "fork": r.opts.ForkOf != "", "url": self,
		"clone_url": s.CloneURL(r.opts.FullName), "git_url": s.CloneURL(r.opts.FullName), "ssh_url": s.CloneURL(r.opts.FullName), "svn_url": s.CloneURL(r.opts.FullName),
		"mirror_url": nil, "homepage": nil, "language": nil, "license": nil, "default_branch": r.opts.DefaultBranch, "topics": []string{},
		"forks": 0, "forks_count": 0, "stargazers_count": 0, "watchers": 0, "watchers_count": 0, "size": 0, "open_issues": 0, "open_issues_count": 0,
		"has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false, "has_downloads": false, "has_discussions": false,
		"archived": false, "disabled": false, "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z", "pushed_at": "2020-01-01T00:00:00Z",
	}
	for name, path := range repositoryLinks {
		shown[name] = self + path
	}
	return shown
}

var repositoryLinks = map[string]string{
	"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}", "branches_url": "/branches{/branch}",
	"collaborators_url": "/collaborators{/collaborator}", "comments_url": "/comments{/number}", "commits_url": "/commits{/sha}",
	"compare_url": "/compare/{base}...{head}", "contents_url": "/contents/{+path}", "contributors_url": "/contributors", "deployments_url": "/deployments",
	"downloads_url": "/downloads", "events_url": "/events", "forks_url": "/forks", "git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}",
	"git_tags_url": "/git/tags{/sha}", "hooks_url": "/hooks", "issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}",
	"issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}", "languages_url": "/languages", "merges_url": "/merges",
	"milestones_url": "/milestones{/number}", "notifications_url": "/notifications{?since,all,participating}", "pulls_url": "/pulls{/number}",
	"releases_url": "/releases{/id}", "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}", "subscribers_url": "/subscribers",
	"subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams", "trees_url": "/git/trees{/sha}",
}

func (s *Server) side(r *Repository, branch, sha string) object {
	shown := object{"label": r.owner() + ":" + branch, "ref": branch, "sha": sha, "user": s.ownerOf(r), "repo": nil}
	if s.Repository(r.opts.FullName) == r { // a deleted one is null
		shown["repo"] = s.repository(r)
	}
	return shown
}

// simplePull is a pull request as lists show it.
func (s *Server) simplePull(p pull) object {
	self := fmt.Sprintf("%s/pulls/%d", s.repoURL(p.repo), p.number)
	issue := fmt.Sprintf("%s/issues/%d", s.repoURL(p.repo), p.number)
	html := fmt.Sprintf("%s/%s/pull/%d", s.URL, p.repo.opts.FullName, p.number)
	statuses := s.repoURL(p.repo) + "/statuses/" + p.headSHA
	state := "closed"
	if p.open {
		state = "open"
	}
	href := func(to string) object { return object{"href": to} }
	return object{
		"id": p.id, "node_id": nodeID("PullRequest", p.id), "number": p.number, "state": state, "locked": false, "draft": p.draft,
		"title": p.title, "body": orNull(p.body), "user": s.person(p.author), "labels": s.labels(p), "milestone": nil, "assignee": nil,
		"assignees": []object{}, "requested_reviewers": []object{}, "requested_teams": []object{}, "auto_merge": nil, "active_lock_reason": nil,
		"created_at": instant(p.createdAt), "updated_at": instant(p.updatedAt), "closed_at": instant(p.closedAt), "merged_at": instant(p.mergedAt),
		"merge_commit_sha": orNull(p.mergeCommitSHA()), "author_association": "MEMBER",
		"head": s.side(p.head, p.branch, p.headSHA), "base": s.side(p.repo, p.base, p.baseSHA),
		"url": self, "html_url": html, "diff_url": html + ".diff", "patch_url": html + ".patch", "issue_url": issue, "commits_url": self + "/commits",
		"review_comments_url": self + "/comments", "review_comment_url": s.repoURL(p.repo) + "/pulls/comments{/number}", "comments_url": issue + "/comments", "statuses_url": statuses,
		"_links": object{
			"self": href(self), "html": href(html), "issue": href(issue), "comments": href(issue + "/comments"), "review_comments": href(self + "/comments"),
			"review_comment": href(s.repoURL(p.repo) + "/pulls/comments{/number}"), "commits": href(self + "/commits"), "statuses": href(statuses),
		},
	}
}

// fullPull is a pull request as the single answer shows it.
func (s *Server) fullPull(p *pull) (object, error) {
	if err := p.tryMerge(); err != nil {
		return nil, err
	}
	commits, err := p.commitSHAs()
	if err != nil {
		return nil, err
	}
	now := p.snapshot()
	shown := s.simplePull(now)
	merged := !now.mergedAt.IsZero()
	shown["merged"], shown["merged_by"] = merged, s.person(now.mergedBy)
	shown["mergeable"], shown["mergeable_state"] = nil, "unknown"
	if now.open {
		shown["mergeable"], shown["mergeable_state"] = now.trial.sha != "", "clean"
	}
	shown["commits"] = len(commits)
	for _, count := range []string{"comments", "review_comments", "additions", "deletions", "changed_files"} {
		shown[count] = 0
	}
	shown["maintainer_can_modify"] = false
	return shown, nil
}

func (s *Server) review(p pull, made review) object {
	url := fmt.Sprintf("%s/pulls/%d", s.repoURL(p.repo), p.number)
	html := fmt.Sprintf("%s/%s/pull/%d#pullrequestreview-%d", s.URL, p.repo.opts.FullName, p.number, made.id)
	shown := object{
		"id": made.id, "node_id": nodeID("Review", made.id), "user": s.person(made.user), "body": made.body, "state": made.state,
		"commit_id": made.commit, "html_url": html, "pull_request_url": url, "author_association": "MEMBER",
		"_links": object{"html": object{"href": html}, "pull_request": object{"href": url}},
	}
	if made.state != "PENDING" {
		shown["submitted_at"] = instant(made.at)
	}
	return shown
}

func (s *Server) checkRun(r *Repository, run checkRun) object {
	self := fmt.Sprintf("%s/check-runs/%d", s.repoURL(r), run.id)
	html := fmt.Sprintf("%s/%s/runs/%d", s.URL, r.opts.FullName, run.id)
	details := run.detailsURL
	if details == "" {
		details = html
	}
	return object{
		"id": run.id, "node_id": nodeID("CheckRun", run.id), "head_sha": run.commit, "name": run.name, "url": self, "html_url": html,
		"details_url": details, "external_id": run.externalID, "status": run.status, "conclusion": orNull(run.conclusion),
		"started_at": instant(run.startedAt), "completed_at": instant(run.completedAt), "check_suite": object{"id": run.app.ID}, "pull_requests": []object{},
		"output": object{"title": orNull(run.title), "summary": orNull(run.summary), "text": nil, "annotations_count": 0, "annotations_url": self + "/annotations"},
		"app":    s.app(run.app),
	}
}

func (s *Server) app(a App) object {
	return object{
		"id": a.ID, "slug": a.Slug, "node_id": nodeID("App", a.ID), "name": a.Slug, "description": nil, "external_url": s.URL, "html_url": s.URL + "/apps/" + a.Slug,
		"owner": s.person(&User{Login: "github", ID: 9919, Kind: "Organization"}), "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z",
		"permissions": object{"checks": "write"}, "events": []string{},
	}
}

// status is a commit status as the combination shows it.
func (s *Server) status(r *Repository, set *status) object {
	return object{
		"id": set.id, "node_id": nodeID("Status", set.id), "state": set.State, "context": set.Context, "description": orNull(set.Description),
		"target_url": orNull(set.URL), "avatar_url": s.URL + "/avatar", "url": s.repoURL(r) + "/statuses/" + set.commit,
		"created_at": instant(set.at), "updated_at": instant(set.at),
	}
}

func (s *Server) statusWithCreator(r *Repository, set *status) object {
	shown := s.status(r, set)
	shown["creator"] = s.person(set.creator)
	return shown
}

func (s *Server) team(t *team) object {
	self := s.APIURL() + "/orgs/" + t.org + "/teams/" + t.slug
	org := s.APIURL() + "/orgs/" + t.org
	return object{
		"id": 1, "node_id": nodeID("Team", 1), "name": t.slug, "slug": t.slug, "description": nil, "privacy": "closed", "permission": "pull", "parent": nil,
		"url": self, "html_url": s.URL + "/orgs/" + t.org, "members_url": self + "/members{/member}", "repositories_url": self + "/repos",
		"type": "organization", "members_count": len(t.members), "repos_count": 0, "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z",
		"organization": object{
			"login": t.org, "id": 1, "node_id": nodeID("Organization", 1), "url": org, "repos_url": org + "/repos", "events_url": org + "/events", "hooks_url": org + "/hooks",
			"issues_url": org + "/issues", "members_url": org + "/members{/member}", "public_members_url": org + "/public_members{/member}", "avatar_url": s.URL + "/avatar",
			"description": nil, "html_url": s.URL + "/" + t.org, "has_organization_projects": false, "has_repository_projects": false, "public_repos": 0, "public_gists": 0,
			"followers": 0, "following": 0, "type": "Organization", "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z", "archived_at": nil,
		},
	}
}

// commit is a commit as GitHub shows it: git's own people, and the accounts
// that their e-mails are linked to.
func (s *Server) commit(r *Repository, sha string) (object, error) {
	const separator = "\x1f"
	out, err := r.git.Git("show", "--no-patch", "--format="+strings.Join([]string{"%T", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B"}, separator), sha)
	if err != nil {
		return nil, err
	}
	f := strings.SplitN(out, separator, 9)
	if len(f) != 9 {
		return nil, fmt.Errorf("read commit %s: %d fields", sha, len(f))
	}
	self := s.repoURL(r) + "/git/commits/" + sha
	parents := []object{}
	for _, parent := range strings.Fields(f[1]) {
		parents = append(parents, object{"sha": parent, "url": s.repoURL(r) + "/commits/" + parent, "html_url": s.URL + "/" + r.opts.FullName + "/commit/" + parent})
	}
	return object{
		"sha": sha, "node_id": base64.RawURLEncoding.EncodeToString([]byte("Commit:" + sha)), "url": s.repoURL(r) + "/commits/" + sha,
		"html_url": s.URL + "/" + r.opts.FullName + "/commit/" + sha, "comments_url": s.repoURL(r) + "/commits/" + sha + "/comments",
		"author": s.linked(f[3]), "committer": s.linked(f[6]), "parents": parents,
		"commit": object{
			"author": object{"name": f[2], "email": f[3], "date": f[4]}, "committer": object{"name": f[5], "email": f[6], "date": f[7]},
			"message": f[8], "tree": object{"sha": f[0], "url": s.repoURL(r) + "/git/trees/" + f[0]}, "url": self, "comment_count": 0,
		},
	}, nil
}

func (s *Server) linked(email string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user := s.emailLocked(email); user != nil {
		return s.person(user)
	}
	return nil
}
