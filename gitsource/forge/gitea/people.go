package gitea

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// TeamMember reports whether the user is a member of "org/team". A team that
// the credentials cannot see is an error, not an empty team.
func (c *Client) TeamMember(ctx context.Context, team string, user forge.User) (bool, error) {
	ctx = transport.Asking(ctx, "team-member")
	subject := fmt.Sprintf("ask whether %s is in %s", user.Login, team)
	id, err := c.team(ctx, team)
	if err != nil {
		return false, err
	}
	login, err := c.currentLogin(ctx, subject, user)
	if err != nil {
		return false, err
	}
	var member *account
	if _, err := c.get(ctx, teamPath(id)+"/members/"+url.PathEscape(login), nil, &member); err != nil {
		err = transport.Classify(subject, err)
		if !errors.Is(err, forge.ErrNotFound) {
			return false, err
		}
		// 404 is "no member" only if the team itself can be seen.
		return false, c.FindTeam(ctx, team)
	}
	if member.user().ID != user.ID {
		return false, transport.Incomplete(subject, "it is about account %d instead of %d", member.user().ID, user.ID)
	}
	return true, nil
}

// FindTeam fails with forge.ErrNotFound for a team ("org/team") that does not
// exist or that the credentials may not see.
func (c *Client) FindTeam(ctx context.Context, team string) error {
	ctx = transport.Asking(ctx, "team")
	subject := "read team " + team
	id, err := c.team(ctx, team)
	if err != nil {
		return err
	}
	var seen struct{ ID int64 }
	if _, err := c.get(ctx, teamPath(id), nil, &seen); err != nil {
		return transport.Classify(subject, err)
	}
	if seen.ID != id {
		return transport.Incomplete(subject, "it is about team %d", seen.ID)
	}
	return nil
}

func teamPath(id int64) string { return "teams/" + strconv.FormatInt(id, 10) }

// team finds the id by the name, which Gitea compares without regard to case.
func (c *Client) team(ctx context.Context, full string) (int64, error) {
	subject := "find team " + full
	org, name, err := forge.SplitRepository(full)
	if err != nil {
		return 0, &forge.RejectedError{Subject: subject, Err: err}
	}
	teams, err := everyPage[struct {
		ID   int64
		Name string
	}](ctx, c, subject, "orgs/"+url.PathEscape(org)+"/teams", nil)
	if err != nil {
		return 0, err
	}
	for _, team := range teams {
		switch {
		case team.ID <= 0 || team.Name == "":
			return 0, transport.Incomplete(subject, "a team without id or name")
		case strings.EqualFold(team.Name, name):
			return team.ID, nil
		}
	}
	return 0, &forge.RejectedError{Subject: subject, Err: fmt.Errorf("%w: the organization has no such team or hides it from these credentials", forge.ErrNotFound)}
}

// Permission returns what the user may do in the environments repository.
func (c *Client) Permission(ctx context.Context, user forge.User) (forge.Permission, error) {
	ctx = transport.Asking(ctx, "permission")
	subject := fmt.Sprintf("read the permission of %s in %s", user.Login, c.repository)
	login, err := c.currentLogin(ctx, subject, user)
	if err != nil {
		return "", err
	}
	var level struct {
		Permission string   `json:"permission"`
		User       *account `json:"user"`
	}
	if _, err := c.get(ctx, c.repository.path("collaborators", login, "permission"), nil, &level); err != nil {
		return "", transport.Classify(subject, err)
	}
	if level.User.user().ID != user.ID {
		return "", transport.Incomplete(subject, "it is about account %d instead of %d", level.User.user().ID, user.ID)
	}
	switch permission := forge.Permission(level.Permission); permission {
	case forge.NoPermission, forge.ReadPermission, forge.WritePermission, forge.AdminPermission:
		return permission, nil
	case "owner":
		return forge.AdminPermission, nil
	}
	return "", transport.Incomplete(subject, "the permission %q is unknown", level.Permission)
}

// currentLogin asks what the account is called now. Gitea's questions take a
// login, and a login that was renamed may belong to somebody else.
func (c *Client) currentLogin(ctx context.Context, subject string, user forge.User) (string, error) {
	if !user.Known() {
		return "", &forge.RejectedError{Subject: subject, Err: errors.New("the account is not known")}
	}
	person, err := c.person(ctx, subject, user.ID)
	if err != nil {
		return "", err
	}
	if person == nil {
		return "", &forge.RejectedError{Subject: subject, Err: fmt.Errorf("%w: account %d is no person, or hidden from these credentials", forge.ErrNotFound, user.ID)}
	}
	return person.Login, nil
}

// person is the account with the id; nil when it is not a person's or hidden.
func (c *Client) person(ctx context.Context, subject string, id int64) (*account, error) {
	found, err := c.people(ctx, subject, "uid", strconv.FormatInt(id, 10))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if len(found) != 1 || found[0].ID != id || found[0].Login == "" {
		return nil, transport.Incomplete(subject, "account %d was answered as %d", id, found[0].ID)
	}
	return &found[0], nil
}

// people searches among the accounts of people. What does not fit on a page was
// not a name or address.
func (c *Client) people(ctx context.Context, subject, key, value string) ([]account, error) {
	var found struct {
		OK   bool      `json:"ok"`
		Data []account `json:"data"`
	}
	header, err := c.get(ctx, "users/search", url.Values{key: {value}, "limit": {strconv.Itoa(perPage)}}, &found)
	if err != nil {
		return nil, transport.Classify(subject, err)
	}
	if count, err := total(header); err != nil || !found.OK || count != len(found.Data) {
		return nil, transport.Incomplete(subject, "%d of %q accounts", len(found.Data), header.Get("X-Total-Count"))
	}
	return found.Data, nil
}
