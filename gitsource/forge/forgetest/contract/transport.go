package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	validation "github.com/pb33f/libopenapi-validator/errors"
)

// faultHeader marks answers of the fake that are wrong on purpose.
const faultHeader = "X-Forgetest-Fault"

// TB is the part of testing.TB that is used.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Transport carries requests through next and reports to the test every
// request and answer that the description does not allow. Prefix is what
// precedes the API's paths on the server, such as "/api/v3".
//
// An error status that the description does not list for a route is accepted
// whatever its body: GitHub documents few of those it uses.
func Transport(t TB, next http.RoundTripper, prefix string) http.RoundTripper {
	t.Helper()
	described, err := load()
	switch {
	case errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "" && os.Getenv("SLUICE_REQUIRE_OPENAPI") == "":
		t.Logf("not checked against GitHub's OpenAPI description: %v", err)
		return next
	case err != nil:
		t.Fatalf("load GitHub's OpenAPI description: %v", err)
	}
	return &transport{t: t, next: next, prefix: prefix, described: described}
}

type transport struct {
	t         TB
	next      http.RoundTripper
	prefix    string
	described *description
}

func (c *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := keepBody(&req.Body)
	if err != nil {
		return nil, err
	}
	asked := c.asDescribed(req, sent)
	c.report("request", asked, sent, c.described.request(asked))
	resp, err := c.next.RoundTrip(req)
	if err != nil || resp.Header.Get(faultHeader) != "" {
		return resp, err
	}
	received, err := keepBody(&resp.Body)
	if err != nil {
		return nil, err
	}
	copied := *resp
	copied.Header = http.Header{}
	for _, name := range []string{"Content-Type", "Link", "Location"} { // the description leaves the general headers out
		if values := resp.Header.Values(name); len(values) > 0 {
			copied.Header[name] = values
		}
	}
	copied.Body = io.NopCloser(bytes.NewReader(received))
	c.report("answer "+strconv.Itoa(resp.StatusCode), asked, received, c.described.answer(asked, &copied))
	return resp, nil
}

// keepBody reads a body and leaves it readable.
func keepBody(body *io.ReadCloser) ([]byte, error) {
	if *body == nil {
		return nil, nil
	}
	raw, err := io.ReadAll(*body)
	if err := errors.Join(err, (*body).Close()); err != nil {
		return nil, err
	}
	*body = io.NopCloser(bytes.NewReader(raw))
	return raw, nil
}

// asDescribed is the request as it would go to GitHub itself.
func (c *transport) asDescribed(req *http.Request, body []byte) *http.Request {
	asked := req.Clone(req.Context())
	asked.URL = &url.URL{
		Scheme: "https", Host: "api.github.com", RawQuery: req.URL.RawQuery,
		Path: strings.TrimPrefix(req.URL.Path, c.prefix), RawPath: strings.TrimPrefix(req.URL.RawPath, c.prefix),
	}
	if before, ref, found := cutRef(asked.URL.Path); found {
		asked.URL.Path = before + strings.ReplaceAll(ref, "/", ":")
		asked.URL.RawPath = ""
	}
	asked.Host = asked.URL.Host
	asked.Body = nil
	if body != nil {
		asked.Body = io.NopCloser(bytes.NewReader(body))
	}
	return asked
}

// cutRef finds a reference at the end of a path. GitHub takes its slashes as they
// are, for which OpenAPI has no words.
func cutRef(path string) (before, ref string, found bool) {
	for _, of := range []string{"/git/ref/", "/git/refs/"} {
		if before, ref, found = strings.Cut(path, of); found {
			return before + of, ref, true
		}
	}
	return path, "", false
}

func (c *transport) report(what string, asked *http.Request, body []byte, problems []string) {
	const most = 2000
	if len(problems) > 0 {
		c.t.Errorf("%s of %s %s is not as GitHub describes it:\n%s\n%s", what, asked.Method, asked.URL.RequestURI(), strings.Join(problems, "\n"), body[:min(len(body), most)])
	}
}

func (d *description) request(asked *http.Request) []string {
	if d.find(asked) == nil {
		return []string{"no such operation"}
	}
	_, problems := d.validate.ValidateHttpRequestSync(asked)
	return texts(problems)
}

func (d *description) answer(asked *http.Request, resp *http.Response) []string {
	op := d.find(asked)
	if op == nil || resp.StatusCode == http.StatusNotModified {
		return nil
	}
	if !op.statuses[strconv.Itoa(resp.StatusCode)] {
		if resp.StatusCode >= 400 {
			return nil
		}
		return []string{fmt.Sprintf("status %d is not described", resp.StatusCode)}
	}
	_, problems := d.validate.ValidateHttpResponse(asked, resp)
	return texts(problems)
}

func (d *description) find(asked *http.Request) *operation {
	for i, op := range d.statuses {
		if op.method == asked.Method && op.path.MatchString(asked.URL.EscapedPath()) {
			return &d.statuses[i]
		}
	}
	return nil
}

func texts(problems []*validation.ValidationError) []string {
	var found []string
	for _, problem := range problems {
		text := problem.Message + ": " + problem.Reason
		for _, detail := range problem.SchemaValidationErrors {
			text += fmt.Sprintf("\n  %s: %s", detail.FieldPath, detail.Reason)
		}
		found = append(found, text)
	}
	return found
}
