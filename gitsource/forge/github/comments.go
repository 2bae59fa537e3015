package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// A comment is one on a pull request. The library's own leaves out the App.
type comment struct {
	ID   int64        `json:"id"`
	Body string       `json:"body"`
	User *github.User `json:"user"`
	App  *github.App  `json:"performed_via_github_app"`
}

// Comment makes this account's comment with the marker say something, and writes
// it where there is none. It looks first and writes only what is new, so it may be
// repeated after any failure, also one that leaves open whether it was written.
func (c *Client) Comment(ctx context.Context, number int, want forge.Comment) error {
	ctx = transport.Asking(ctx, "comment")
	subject := fmt.Sprintf("comment on #%d", number)
	if want.Marker == "" || !strings.HasPrefix(want.Body, want.Marker) {
		return &forge.RejectedError{Subject: subject, Err: fmt.Errorf("the body does not begin with the marker %q", want.Marker)}
	}
	mine, err := c.authorship(ctx, subject)
	if err != nil {
		return err
	}
	all, err := c.comments(ctx, subject, number)
	if err != nil {
		return err
	}
	for _, known := range all {
		if !mine(known) || !strings.HasPrefix(known.Body, want.Marker) {
			continue
		}
		if plainText(known.Body) == plainText(want.Body) {
			return nil
		}
		_, _, err := c.rest.Issues.EditComment(ctx, c.repository.owner, c.repository.name, known.ID, &github.IssueComment{Body: &want.Body})
		return classified(subject, err)
	}
	if want.Keep {
		return nil
	}
	_, _, err = c.rest.Issues.CreateComment(ctx, c.repository.owner, c.repository.name, number, &github.IssueComment{Body: &want.Body})
	return classified(subject, err)
}

func classified(subject string, err error) error {
	if err != nil {
		return classify(subject, err)
	}
	return nil
}

// authorship tells this account's comments from those of others. What a person
// wrote through the App is the person's.
func (c *Client) authorship(ctx context.Context, subject string) (func(comment) bool, error) {
	if c.app != 0 {
		return func(k comment) bool { return k.App.GetID() == c.app && k.User.GetType() == "Bot" }, nil
	}
	self, _, err := c.rest.Users.Get(ctx, "")
	if err != nil {
		return nil, classify(subject+": ask whose token it is", err)
	}
	if self.GetID() == 0 {
		return nil, transport.Incomplete(subject, "the token's account has no id")
	}
	return func(k comment) bool { return k.User.GetID() == self.GetID() }, nil
}

func (c *Client) comments(ctx context.Context, subject string, number int) ([]comment, error) {
	found, err := everyPage(subject, func(opts github.ListOptions) ([]comment, *github.Response, error) {
		url := fmt.Sprintf("repos/%s/%s/issues/%d/comments?page=%d&per_page=%d", c.repository.owner, c.repository.name, number, opts.Page, opts.PerPage)
		req, err := c.rest.NewRequest(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, nil, err
		}
		var page []comment
		resp, err := c.rest.Do(req, &page)
		return page, resp, err
	})
	if err != nil {
		return nil, err
	}
	for _, k := range found {
		if k.ID == 0 {
			return nil, transport.Incomplete(subject, "a comment without an id")
		}
	}
	return found, nil
}

// plainText forgives what a forge changes of a text when it keeps it.
func plainText(body string) string {
	return strings.TrimSpace(strings.ReplaceAll(body, "\r\n", "\n"))
}
