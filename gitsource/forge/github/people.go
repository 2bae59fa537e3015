package github

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// TeamMember reports whether the user is an active member of "org/team" (the
// team's slug) or of one of its child teams. A team that the credentials cannot
// see is an error, not an empty team.
func (c *Client) TeamMember(ctx context.Context, team string, user forge.User) (bool, error) {
	ctx = transport.Asking(ctx, "team-member")
	subject := fmt.Sprintf("ask whether %s is in %s", user.Login, team)
	org, slug, err := forge.SplitRepository(team)
	if err != nil {
		return false, &forge.RejectedError{Subject: subject, Err: err}
	}
	login, err := c.currentLogin(ctx, subject, user)
	if err != nil {
		return false, err
	}
	membership, _, err := c.rest.Teams.GetTeamMembershipBySlug(ctx, org, slug, login)
	if err == nil {
		return membershipState(subject, membership)
	}
	err = classify(subject, err)
	if !errors.Is(err, forge.ErrNotFound) {
		return false, err
	}
	// 404 is "no member" only if the team itself can be seen.
	return false, c.FindTeam(ctx, team)
}

// FindTeam fails with forge.ErrNotFound for a team ("org/team") that does not
// exist or that the credentials may not see: GitHub answers both alike.
func (c *Client) FindTeam(ctx context.Context, team string) error {
	ctx = transport.Asking(ctx, "team")
	subject := "read team " + team
	org, slug, err := forge.SplitRepository(team)
	if err != nil {
		return &forge.RejectedError{Subject: subject, Err: err}
	}
	found, _, err := c.rest.Teams.GetTeamBySlug(ctx, org, slug)
	if err != nil {
		return classify(subject, err)
	}
	if !strings.EqualFold(found.GetSlug(), slug) {
		return transport.Incomplete(subject, "it is about team %q", found.GetSlug())
	}
	return nil
}

func membershipState(subject string, membership *github.Membership) (bool, error) {
	switch membership.GetState() {
	case "active":
		return true, nil
	case "pending":
		return false, nil
	}
	return false, transport.Incomplete(subject, "the membership has the unknown state %q", membership.GetState())
}

// Permission returns what the user may do in the environments repository.
func (c *Client) Permission(ctx context.Context, user forge.User) (forge.Permission, error) {
	ctx = transport.Asking(ctx, "permission")
	subject := fmt.Sprintf("read the permission of %s in %s", user.Login, c.repository)
	login, err := c.currentLogin(ctx, subject, user)
	if err != nil {
		return "", err
	}
	level, _, err := c.rest.Repositories.GetPermissionLevel(ctx, c.repository.owner, c.repository.name, login)
	if err != nil {
		return "", classify(subject, err)
	}
	if level.GetUser().GetID() != user.ID {
		return "", transport.Incomplete(subject, "it is about account %d instead of %d", level.GetUser().GetID(), user.ID)
	}
	switch permission := forge.Permission(level.GetPermission()); permission {
	case forge.NoPermission, forge.ReadPermission, forge.WritePermission, forge.AdminPermission:
		return permission, nil
	}
	return "", transport.Incomplete(subject, "the permission %q is unknown", level.GetPermission())
}

// currentLogin asks what the account is called now. GitHub's questions take a
// login, and a login that was renamed may belong to somebody else.
func (c *Client) currentLogin(ctx context.Context, subject string, user forge.User) (string, error) {
	if !user.Known() {
		return "", &forge.RejectedError{Subject: subject, Err: errors.New("the account is not known")}
	}
	account, _, err := c.rest.Users.GetByID(ctx, user.ID)
	if err != nil {
		return "", classify(subject, err)
	}
	if account.GetID() != user.ID || account.GetLogin() == "" {
		return "", transport.Incomplete(subject, "account %d was answered as %d", user.ID, account.GetID())
	}
	return account.GetLogin(), nil
}
