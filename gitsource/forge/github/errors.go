package github

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// classify reads go-github's errors for transport.Classify: their own texts
// repeat URLs and headers.
func classify(subject string, err error) error {
	var answer *github.ErrorResponse
	var moved *github.RedirectionError
	switch {
	case errors.As(err, &moved):
		err = &transport.StatusError{Code: moved.StatusCode}
	case errors.As(err, &answer) && answer.Response != nil:
		err = &transport.StatusError{Code: answer.Response.StatusCode, Words: serverWords(answer)}
	}
	return transport.Classify(subject, err)
}

func serverWords(answer *github.ErrorResponse) string {
	words := answer.Message
	for _, detail := range answer.Errors {
		if detail.Message != "" {
			words += "; " + detail.Message
		}
	}
	return transport.Words(words)
}

// installation reports the refusal of an App's token as what it is, an answer
// of the server.
type installation struct{ next http.RoundTripper }

func (t *installation) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	var refused *ghinstallation.HTTPError
	if errors.As(err, &refused) && refused.Response != nil {
		return resp, fmt.Errorf("%w: %w", transport.ErrCredentials,
			&transport.StatusError{Code: refused.Response.StatusCode, Words: "the App's installation token was refused"})
	}
	return resp, err
}
