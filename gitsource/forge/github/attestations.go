package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Home is the address at which people find a repository ("owner/name"), and by
// which statements about a build name it.
func (c *Client) Home(fullName string) string { return c.web + fullName }

// webAddress is where the server has its pages: Enterprise Server has them beside
// its API.
func webAddress(base *url.URL) string {
	if base.Hostname() == "api.github.com" {
		return "https://github.com/"
	}
	return base.Scheme + "://" + base.Host + "/"
}

// Attestations lists what GitHub keeps about a digest ("sha256:" and 64 digits)
// for a repository. It verifies no signature: GitHub says that whoever may write
// attestations to the repository stored them there, no more.
func (c *Client) Attestations(ctx context.Context, fullName, digest string) ([]forge.Attestation, error) {
	ctx = transport.Asking(ctx, "attestations")
	subject := fmt.Sprintf("list attestations of %s in %s", digest, fullName)
	repo, err := parseRepository(fullName)
	if err != nil {
		return nil, &forge.RejectedError{Subject: subject, Err: err}
	}
	known, _, err := c.rest.Repositories.Get(ctx, repo.owner, repo.name)
	if err != nil {
		return nil, classify(subject, err)
	}
	var out []forge.Attestation
	after := ""
	for range maxPages {
		page, next, err := c.attestationPage(ctx, repo, digest, after)
		if err != nil {
			// The repository is there, so what is not found are attestations.
			if err = classify(subject, err); errors.Is(err, forge.ErrNotFound) {
				return nil, nil
			}
			return nil, err
		}
		for _, a := range page {
			if a.RepositoryID != known.GetID() {
				return nil, transport.Incomplete(subject, "one belongs to repository %d", a.RepositoryID)
			}
			if len(a.Bundle) == 0 || string(a.Bundle) == "null" {
				return nil, transport.Incomplete(subject, "one comes without its bundle")
			}
			out = append(out, forge.Attestation{Bundle: a.Bundle})
		}
		switch {
		case next == "" && len(page) < perPage:
			return out, nil
		case next == "" || next == after:
			return nil, transport.Incomplete(subject, "a full page has no successor")
		}
		after = next
	}
	return nil, transport.Incomplete(subject, "the list goes on after %d pages", maxPages)
}

// wireAttestation keeps the bundle as it came, to the byte.
type wireAttestation struct {
	Bundle       json.RawMessage `json:"bundle"`
	RepositoryID int64           `json:"repository_id"`
}

// attestationPage asks for a page after a cursor; go-github asks by number.
func (c *Client) attestationPage(ctx context.Context, repo repository, digest, after string) (page []wireAttestation, next string, err error) {
	query := url.Values{"per_page": {fmt.Sprint(perPage)}}
	if after != "" {
		query.Set("after", after)
	}
	path := fmt.Sprintf("repos/%s/%s/attestations/%s?%s", repo.owner, repo.name, url.PathEscape(digest), query.Encode())
	req, err := c.rest.NewRequest(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, "", err
	}
	var answer struct {
		Attestations *[]wireAttestation `json:"attestations"`
	}
	resp, err := c.rest.Do(req, &answer)
	if err != nil {
		return nil, "", err
	}
	if answer.Attestations == nil {
		return nil, "", transport.Incomplete("list attestations", "there is no list")
	}
	return *answer.Attestations, resp.After, nil
}
