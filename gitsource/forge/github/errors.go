package github

import (
	"errors"

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
