package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

// maxMessage bounds how much of the server's own words an error repeats.
const maxMessage = 300

var errMoved = errors.New("the server redirects to another address, which is never followed; configure the repository's new name or the server's new address")

type questionKey struct{}

// asking names the question for metrics and logs.
func asking(ctx context.Context, question string) context.Context {
	return context.WithValue(ctx, questionKey{}, question)
}

func questionOf(ctx context.Context) string {
	question, _ := ctx.Value(questionKey{}).(string)
	return question
}

// classify turns what the transport or go-github reported into one of forge's
// two error types. It builds its texts itself: a *url.Error or a response
// repeats URLs and headers.
func classify(subject string, err error) error {
	var limit *limitError
	var answer *github.ErrorResponse
	var moved *github.RedirectionError
	var app *ghinstallation.HTTPError
	switch {
	case isClassified(err):
		return err
	case errors.As(err, &limit):
		return &forge.TransientError{Subject: subject, RetryAt: limit.until, Err: limit}
	case errors.As(err, &moved):
		return byCode(subject, moved.StatusCode, "")
	case errors.As(err, &app) && app.Response != nil:
		return byCode(subject, app.Response.StatusCode, "the App's installation token was refused")
	case errors.As(err, &answer) && answer.Response != nil:
		return byCode(subject, answer.Response.StatusCode, serverWords(answer))
	case errors.Is(err, errForeignHost):
		return &forge.RejectedError{Subject: subject, Err: errForeignHost}
	}
	return &forge.TransientError{Subject: subject, Err: withoutURL(err)}
}

func isClassified(err error) bool {
	var transient *forge.TransientError
	var rejected *forge.RejectedError
	return errors.As(err, &transient) || errors.As(err, &rejected)
}

// byCode is transient for what a server or gateway may answer differently in a
// moment without anybody changing anything.
func byCode(subject string, code int, words string) error {
	err := fmt.Errorf("the server answered %d %s: %s", code, http.StatusText(code), words)
	switch {
	case code == http.StatusNotFound:
		return &forge.RejectedError{Subject: subject, Code: code, Err: fmt.Errorf("%w: the server knows no such thing or hides it from these credentials", forge.ErrNotFound)}
	case code/100 == 3:
		return &forge.RejectedError{Subject: subject, Code: code, Err: errMoved}
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code == http.StatusConflict:
		return &forge.TransientError{Subject: subject, Err: err}
	}
	return &forge.RejectedError{Subject: subject, Code: code, Err: err}
}

// serverWords is the server's message on one line, without control characters
// that could play with a terminal.
func serverWords(answer *github.ErrorResponse) string {
	words := answer.Message
	for _, detail := range answer.Errors {
		if detail.Message != "" {
			words += "; " + detail.Message
		}
	}
	words = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, words)
	if len(words) > maxMessage {
		words = strings.ToValidUTF8(words[:maxMessage], "") + "…"
	}
	if words == "" {
		return "no reason given"
	}
	return words
}

func withoutURL(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// incomplete reports an answer that lacks what the question was about.
func incomplete(subject, format string, args ...any) error {
	return &forge.TransientError{Subject: subject, Err: fmt.Errorf("%w: "+format, append([]any{errIncomplete}, args...)...)}
}

// wasSent reports whether the server may have acted on a request that failed.
func wasSent(err error) bool {
	var limit *limitError
	var app *ghinstallation.HTTPError
	return !errors.As(err, &limit) && !errors.As(err, &app) && !errors.Is(err, errCredentials) && !errors.Is(err, errForeignHost)
}
