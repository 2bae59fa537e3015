package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

// maxMessage bounds how much of the server's own words an error repeats.
const maxMessage = 300

var errMoved = errors.New("the server redirects to another address, which is never followed; configure the repository's new name or the server's new address")

type questionKey struct{}

// Asking names the question for metrics and logs: a small fixed set.
func Asking(ctx context.Context, question string) context.Context {
	return context.WithValue(ctx, questionKey{}, question)
}

func questionOf(ctx context.Context) string {
	question, _ := ctx.Value(questionKey{}).(string)
	return question
}

// A StatusError is an answer that is not a success.
type StatusError struct {
	Code  int
	Words string // the server's own, see Words
}

// Error names the status and the server's words.
func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answered %d %s: %s", e.Code, http.StatusText(e.Code), e.Words)
}

// Classify turns what a transport or a driver reported into one of forge's two
// error types. It builds its texts itself: a *url.Error repeats the URL.
func Classify(subject string, err error) error {
	var limit *limitError
	var answer *StatusError
	switch {
	case isClassified(err):
		return err
	case errors.As(err, &limit):
		return &forge.TransientError{Subject: subject, RetryAt: limit.until, Err: limit}
	case errors.As(err, &answer):
		return byCode(subject, answer)
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
func byCode(subject string, answer *StatusError) error {
	code := answer.Code
	switch {
	case code == http.StatusNotFound:
		return &forge.RejectedError{Subject: subject, Code: code, Err: fmt.Errorf("%w: the server knows no such thing or hides it from these credentials", forge.ErrNotFound)}
	case code/100 == 3:
		return &forge.RejectedError{Subject: subject, Code: code, Err: errMoved}
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code == http.StatusConflict:
		return &forge.TransientError{Subject: subject, Err: answer}
	}
	return &forge.RejectedError{Subject: subject, Code: code, Err: answer}
}

// Words is what a server said, on one line and without control characters that
// could play with a terminal.
func Words(said string) string {
	words := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, said)
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

// Incomplete reports an answer that lacks what the question was about.
func Incomplete(subject, format string, args ...any) error {
	return &forge.TransientError{Subject: subject, Err: fmt.Errorf("%w: "+format, append([]any{errIncomplete}, args...)...)}
}

// WasSent reports whether the server may have acted on a request that failed.
func WasSent(err error) bool {
	var limit *limitError
	return !errors.As(err, &limit) && !errors.Is(err, ErrCredentials) && !errors.Is(err, errForeignHost)
}
