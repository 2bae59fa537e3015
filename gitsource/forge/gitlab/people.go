package gitlab

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

// GitLab's levels of access, of which finer roles are variations.
const (
	guest      = 10
	developer  = 30
	maintainer = 40
)

// A membership is somebody's in a group or project, inherited ones included.
type membership struct {
	ID    int64  `json:"id"`
	State string `json:"state"`
	Level int    `json:"access_level"`
}

// TeamMember reports whether the user is a member of the group "group/team",
// directly or by one above it, with a role of at least Guest. A group that the
// credentials cannot see is an error, not an empty group.
func (c *Client) TeamMember(ctx context.Context, team string, user forge.User) (bool, error) {
	ctx = transport.Asking(ctx, "team-member")
	subject := fmt.Sprintf("ask whether %s is in %s", user.Login, team)
	member, err := c.member(ctx, subject, "groups", team, user)
	if errors.Is(err, forge.ErrNotFound) {
		// 404 is "no member" only if the group itself can be seen.
		return false, c.FindTeam(ctx, team)
	}
	if err != nil {
		return false, err
	}
	return member.State == "active" && member.Level >= guest, nil
}

// Permission returns what the user may do in the environments project. Who is no
// member gets none, though everybody can read a public project.
func (c *Client) Permission(ctx context.Context, user forge.User) (forge.Permission, error) {
	ctx = transport.Asking(ctx, "permission")
	subject := fmt.Sprintf("read the permission of %s in %s", user.Login, c.project)
	member, err := c.member(ctx, subject, "projects", string(c.project), user)
	if errors.Is(err, forge.ErrNotFound) {
		return forge.NoPermission, c.confirmReadable(ctx, c.project, err)
	}
	switch {
	case err != nil:
		return "", err
	case member.State != "active" || member.Level < guest:
		return forge.NoPermission, nil
	case member.Level >= maintainer:
		return forge.AdminPermission, nil
	case member.Level >= developer:
		return forge.WritePermission, nil
	}
	return forge.ReadPermission, nil
}

func (c *Client) member(ctx context.Context, subject, kind, full string, user forge.User) (membership, error) {
	if !user.Known() {
		return membership{}, &forge.RejectedError{Subject: subject, Err: errors.New("the account is not known")}
	}
	if _, err := parsePath(subject, full); err != nil {
		return membership{}, err
	}
	var found membership
	if _, err := c.get(ctx, route(kind, full, "members", "all", strconv.FormatInt(user.ID, 10)), nil, &found); err != nil {
		return membership{}, transport.Classify(subject, err)
	}
	if found.ID != user.ID || found.State == "" {
		return membership{}, transport.Incomplete(subject, "it is about account %d instead of %d", found.ID, user.ID)
	}
	return found, nil
}

// FindTeam fails with forge.ErrNotFound for a group that does not exist or that
// the credentials may not see.
func (c *Client) FindTeam(ctx context.Context, team string) error {
	ctx = transport.Asking(ctx, "team")
	subject := "read group " + team
	if _, err := parsePath(subject, team); err != nil {
		return err
	}
	var seen struct {
		ID   int64
		Path string `json:"full_path"`
	}
	if _, err := c.get(ctx, route("groups", team), url.Values{"with_projects": {"false"}}, &seen); err != nil {
		return transport.Classify(subject, err)
	}
	if seen.ID <= 0 || !strings.EqualFold(seen.Path, team) {
		return transport.Incomplete(subject, "it is about group %q", seen.Path)
	}
	return nil
}

// A person is an account with what the credentials may see of it.
type person struct {
	account
	Bot         bool   `json:"bot"`
	Email       string `json:"email"` // for administrators alone
	PublicEmail string `json:"public_email"`
}

func (p person) kind() string {
	if p.Bot {
		return "Bot"
	}
	return "User"
}

func (c *Client) person(ctx context.Context, id int64) (person, error) {
	subject := fmt.Sprintf("ask what account %d is", id)
	var found person
	if _, err := c.get(ctx, route("users", strconv.FormatInt(id, 10)), nil, &found); err != nil {
		return person{}, transport.Classify(subject, err)
	}
	if found.ID != id {
		return person{}, transport.Incomplete(subject, "it is about account %d", found.ID)
	}
	return found, nil
}

// byEmail finds whose address an e-mail is, nobody when the server does not tell
// these credentials. It remembers in known what it asked.
func (c *Client) byEmail(ctx context.Context, email string, known map[string]forge.User) (forge.User, error) {
	email = strings.ToLower(email)
	if user, asked := known[email]; asked || email == "" {
		return user, nil
	}
	people, err := everyPage[person](ctx, c, "find whose address an author has", "users", url.Values{"search": {email}})
	if err != nil {
		return forge.User{}, err
	}
	var found []forge.User
	for _, p := range people {
		if strings.EqualFold(p.Email, email) || strings.EqualFold(p.PublicEmail, email) {
			found = append(found, p.user())
		}
	}
	known[email] = forge.User{}
	if len(found) == 1 {
		known[email] = found[0]
	}
	return known[email], nil
}
