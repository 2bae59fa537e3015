package forgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A comment is one below a pull request's description.
type comment struct {
	id             int64
	author         *User
	app            *App // whose token wrote it, nil for a user's own
	body           string
	made, modified time.Time
}

// maxComment is GitHub's limit, in characters.
const maxComment = 65536

// A CommentRecord is a comment on a pull request and who wrote it.
type CommentRecord struct {
	ID     int64
	Author string
	Body   string
}

// Comments returns what was written on a pull request, oldest first.
func (r *Repository) Comments(number int) []CommentRecord {
	p, err := r.pull(int64(number))
	if err != nil {
		return nil
	}
	var found []CommentRecord
	for _, c := range p.everyComment() {
		found = append(found, CommentRecord{c.id, c.author.Login, c.body})
	}
	return found
}

// Remark writes a comment on a pull request as a user and returns its id.
func (r *Repository) Remark(as string, number int, body string) (int64, error) {
	user, err := r.server.user(as)
	if err != nil {
		return 0, err
	}
	p, err := r.pull(int64(number))
	if err != nil {
		return 0, err
	}
	made, err := p.remark(user, body)
	return made.id, err
}

func (p *pull) everyComment() []comment {
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	var found []comment
	for _, c := range p.comments {
		found = append(found, *c)
	}
	return found
}

func (p *pull) remark(user *User, body string) (comment, error) {
	if err := checkComment(body); err != nil {
		return comment{}, err
	}
	server := p.repo.server
	server.mu.Lock()
	defer server.mu.Unlock()
	made := &comment{id: server.nextIDLocked(), author: user, body: body, made: server.now(), modified: server.now()}
	if app, found := server.appOf(user); found {
		made.app = &app
	}
	p.comments = append(p.comments, made)
	p.touchLocked()
	return *made, nil
}

func checkComment(body string) error {
	switch {
	case strings.TrimSpace(body) == "":
		return &refusal{422, "Validation Failed", []string{"body: missing"}}
	case len([]rune(body)) > maxComment:
		return &refusal{422, "Validation Failed", []string{fmt.Sprintf("body is too long (maximum is %d characters)", maxComment)}}
	}
	return nil
}

func (c *call) listComments() (int, any, error) {
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	shown := []object{}
	for _, made := range page(c, p.everyComment()) {
		shown = append(shown, c.server.comment(p, made))
	}
	return http.StatusOK, shown, nil
}

func (c *call) createComment() (int, any, error) {
	var want struct {
		Body string `json:"body"`
	}
	if err := c.decode(&want); err != nil {
		return 0, nil, err
	}
	p, err := c.repo.pull(c.number("number"))
	if err != nil {
		return 0, nil, err
	}
	made, err := p.remark(c.user, want.Body)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, c.server.comment(p, made), nil
}

func (c *call) editComment() (int, any, error) {
	var want struct {
		Body string `json:"body"`
	}
	if err := c.decode(&want); err != nil {
		return 0, nil, err
	}
	if err := checkComment(want.Body); err != nil {
		return 0, nil, err
	}
	for _, p := range c.repo.everyPull() {
		if made, found := p.comment(c.number("id")); found {
			if made.author != c.user && !c.repo.mayWrite(c.user) {
				return 0, nil, &refusal{code: 403, message: "Must have admin rights to Repository."}
			}
			return http.StatusOK, c.server.comment(p, p.rephrase(made.id, want.Body)), nil
		}
	}
	return 0, nil, missing()
}

func (p *pull) comment(id int64) (comment, bool) {
	all := p.everyComment()
	at := slices.IndexFunc(all, func(k comment) bool { return k.id == id })
	if at < 0 {
		return comment{}, false
	}
	return all[at], true
}

func (p *pull) rephrase(id int64, body string) comment {
	server := p.repo.server
	server.mu.Lock()
	defer server.mu.Unlock()
	at := slices.IndexFunc(p.comments, func(k *comment) bool { return k.id == id })
	p.comments[at].body, p.comments[at].modified = body, server.now()
	p.touchLocked()
	return *p.comments[at]
}

func (s *Server) comment(p *pull, made comment) object {
	issue := fmt.Sprintf("%s/issues/%d", s.repoURL(p.repo), p.number)
	shown := object{
		"id": made.id, "node_id": nodeID("IssueComment", made.id), "url": fmt.Sprintf("%s/issues/comments/%d", s.repoURL(p.repo), made.id),
		"html_url":  fmt.Sprintf("%s/%s/pull/%d#issuecomment-%d", s.URL, p.repo.opts.FullName, p.number, made.id),
		"issue_url": issue, "user": s.person(made.author), "body": made.body, "author_association": "MEMBER",
		"created_at": instant(made.made), "updated_at": instant(made.modified), "performed_via_github_app": nil,
	}
	if made.app != nil {
		shown["performed_via_github_app"] = s.app(*made.app)
	}
	return shown
}
