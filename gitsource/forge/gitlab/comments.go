package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Report shows the status of a report on a commit; GitLab shows no more than that.
func (c *Client) Report(ctx context.Context, commit string, report forge.Report) error {
	return c.SetStatus(ctx, commit, report.Status)
}

// Comment makes this account's note with the marker say something, and writes it
// where there is none. It looks first and writes only what is new, so it may be
// repeated after any failure, also one that leaves open whether it was written.
func (c *Client) Comment(ctx context.Context, number int, want forge.Comment) error {
	ctx = transport.Asking(ctx, "comment")
	subject := fmt.Sprintf("comment on !%d", number)
	if want.Marker == "" || !strings.HasPrefix(want.Body, want.Marker) {
		return &forge.RejectedError{Subject: subject, Err: fmt.Errorf("the body does not begin with the marker %q", want.Marker)}
	}
	var self account
	if _, err := c.get(ctx, "user", nil, &self); err != nil {
		return transport.Classify(subject+": ask whose token it is", err)
	}
	if self.ID == 0 {
		return transport.Incomplete(subject, "the token's account has no id")
	}
	all, err := c.notes(ctx, subject, number)
	if err != nil {
		return err
	}
	on := c.project.mergeRequest(number, "notes")
	for _, known := range all {
		if *known.System || known.Author.user().ID != self.ID || !strings.HasPrefix(known.Body, want.Marker) {
			continue
		}
		if strings.TrimSpace(strings.ReplaceAll(known.Body, "\r\n", "\n")) == strings.TrimSpace(want.Body) {
			return nil
		}
		return c.say(ctx, subject, http.MethodPut, on+"/"+strconv.FormatInt(known.ID, 10), http.StatusOK, want.Body)
	}
	if want.Keep {
		return nil
	}
	return c.say(ctx, subject, http.MethodPost, on, http.StatusCreated, want.Body)
}

func (c *Client) say(ctx context.Context, subject, method, path string, code int, body string) error {
	var made note
	if _, err := c.send(ctx, method, path, map[string]string{"body": body}, code, &made); err != nil {
		return transport.Classify(subject, err)
	}
	if made.ID == 0 {
		return transport.Incomplete(subject, "the server does not say that it was written")
	}
	return nil
}
