package github

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Account returns who has a login at the moment; forge.ErrNotFound when nobody
// does. An empty login stands for whoever asks, which an App is not told.
func (c *Client) Account(ctx context.Context, login string) (forge.User, error) {
	ctx = transport.Asking(ctx, "account")
	subject := "find account " + login
	if login == "" {
		subject = "find out whose token this is"
	}
	if strings.ContainsAny(login, "/?#%\\. \t\r\n") {
		return forge.User{}, fmt.Errorf("%s: it cannot be a login: %w", subject, forge.ErrNotFound)
	}
	account, _, err := c.rest.Users.Get(ctx, login)
	if err != nil {
		return forge.User{}, classify(subject, err)
	}
	user := userOf(account)
	if !user.Known() || user.Login == "" {
		return forge.User{}, transport.Incomplete(subject, "it lacks the account's id or login")
	}
	return user, nil
}
