package giteatest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Password is what every user but the administrator logs in with.
const Password = "loopback-only-too"

// Do sends a request to /api/v1 in the name of a user and decodes the answer
// into into, unless that is nil. Anything but a success is an error with the
// server's words.
func (s *Server) Do(ctx context.Context, user, method, path string, body, into any) error {
	req, err := s.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "token "+s.token)
	req.Header.Set("Sudo", user)
	return exchange(req, into)
}

// CreateUser adds a user and returns the account's id.
func (s *Server) CreateUser(ctx context.Context, login, email string) (int64, error) {
	var account struct{ ID int64 }
	err := s.Do(ctx, admin, http.MethodPost, "/admin/users", map[string]any{
		"username": login, "email": email, "password": Password, "must_change_password": false,
	}, &account)
	return account.ID, err
}

// Token makes a token of the user with Gitea's scopes.
func (s *Server) Token(ctx context.Context, user string, scopes ...string) (string, error) {
	req, err := s.request(ctx, http.MethodPost, "/users/"+url.PathEscape(user)+"/tokens", map[string]any{
		"name": strings.Join(scopes, " "), "scopes": scopes,
	})
	if err != nil {
		return "", err
	}
	req.SetBasicAuth(user, Password)
	var token struct{ SHA1 string }
	err = exchange(req, &token)
	return token.SHA1, err
}

// GitURL is where the user pushes to and fetches from.
func (s *Server) GitURL(user, repository string) string {
	return strings.Replace(s.URL, "://", "://"+user+":"+Password+"@", 1) + "/" + repository + ".git"
}

func (s *Server) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+"/api/v1"+path, &sent)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

func exchange(req *http.Request, into any) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, resp.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
