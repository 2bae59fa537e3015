package forgetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A handler answers a request of a known caller with a status and a body, or
// with a *refusal.
type handler func(c *call) (int, any, error)

// A call is one REST request.
type call struct {
	*http.Request
	server *Server
	header http.Header // of the answer
	user   *User
	repo   *Repository // nil outside of /repos/
}

func (s *Server) route() {
	for pattern, handle := range map[string]handler{
		"GET /user":                    (*call).self,
		"GET /user/{id}":               (*call).account,
		"GET /users/{login}":           (*call).accountByLogin,
		"GET /orgs/{org}/teams/{slug}": (*call).team,
		"GET /orgs/{org}/teams/{slug}/memberships/{login}":                 (*call).membership,
		"GET /repos/{owner}/{repo}":                                        (*call).repository,
		"GET /repos/{owner}/{repo}/activity":                               (*call).listActivity,
		"GET /repos/{owner}/{repo}/attestations/{digest}":                  (*call).listAttestations,
		"GET /repos/{owner}/{repo}/branches":                               (*call).listBranches,
		"GET /repos/{owner}/{repo}/code-scanning/alerts":                   (*call).listAlerts,
		"GET /repos/{owner}/{repo}/code-scanning/analyses":                 (*call).listAnalyses,
		"GET /repos/{owner}/{repo}/branches/{branch}":                      (*call).branch,
		"GET /repos/{owner}/{repo}/collaborators/{login}/permission":       (*call).permission,
		"GET /repos/{owner}/{repo}/commits":                                (*call).listCommits,
		"GET /repos/{owner}/{repo}/commits/{ref}/check-runs":               (*call).listCheckRuns,
		"GET /repos/{owner}/{repo}/commits/{ref}/pulls":                    (*call).listPullsOfCommit,
		"GET /repos/{owner}/{repo}/commits/{ref}/status":                   (*call).combinedStatus,
		"GET /repos/{owner}/{repo}/commits/{ref}/statuses":                 (*call).listStatuses,
		"GET /repos/{owner}/{repo}/compare/{basehead}":                     (*call).compare,
		"GET /repos/{owner}/{repo}/issues/{number}/events":                 (*call).listEvents,
		"GET /repos/{owner}/{repo}/issues/{number}/comments":               (*call).listComments,
		"POST /repos/{owner}/{repo}/issues/{number}/comments":              (*call).createComment,
		"PATCH /repos/{owner}/{repo}/issues/comments/{id}":                 (*call).editComment,
		"GET /repos/{owner}/{repo}/pulls":                                  (*call).listPulls,
		"GET /repos/{owner}/{repo}/pulls/{number}":                         (*call).pull,
		"GET /repos/{owner}/{repo}/pulls/{number}/commits":                 (*call).listPullCommits,
		"GET /repos/{owner}/{repo}/pulls/{number}/reviews":                 (*call).listReviews,
		"POST /repos/{owner}/{repo}/check-runs":                            (*call).createCheckRun,
		"PATCH /repos/{owner}/{repo}/check-runs/{id}":                      (*call).updateCheckRun,
		"POST /repos/{owner}/{repo}/pulls":                                 (*call).createPull,
		"PATCH /repos/{owner}/{repo}/pulls/{number}":                       (*call).updatePull,
		"PUT /repos/{owner}/{repo}/pulls/{number}/merge":                   (*call).mergePull,
		"POST /repos/{owner}/{repo}/pulls/{number}/reviews":                (*call).createReview,
		"PUT /repos/{owner}/{repo}/pulls/{number}/reviews/{id}/dismissals": (*call).dismissReview,
		"POST /repos/{owner}/{repo}/statuses/{ref}":                        (*call).createStatus,
	} {
		s.mux.HandleFunc(pattern, s.authenticated(handle))
	}
	for pattern, handle := range gitRoutes() {
		s.mux.HandleFunc(pattern, s.authenticated(handle))
	}
	s.mux.HandleFunc("POST /app/installations/{id}/access_tokens", s.createInstallationToken)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { writeRefusal(w, missing()) })
}

func (s *Server) authenticated(handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{Request: r, server: s, header: w.Header(), user: s.caller(bearer(r))}
		if c.user == nil {
			writeRefusal(w, &refusal{code: 401, message: "Bad credentials"})
			return
		}
		if r.PathValue("repo") != "" {
			if c.repo = s.Repository(r.PathValue("owner") + "/" + r.PathValue("repo")); c.repo == nil {
				writeRefusal(w, missing())
				return
			}
		}
		code, body, err := handle(c)
		if err != nil {
			writeRefusal(w, err)
			return
		}
		writeJSON(w, code, body)
	}
}

func bearer(r *http.Request) string {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token
}

func writeRefusal(w http.ResponseWriter, err error) {
	var refused *refusal
	if !errors.As(err, &refused) {
		refused = &refusal{code: 500, message: err.Error()}
	}
	body := object{"message": refused.message, "documentation_url": "https://docs.github.com/rest"}
	if len(refused.details) > 0 {
		body["errors"] = refused.details
	}
	// GitHub describes two kinds of 422: a list of objects, or of texts.
	if refused.message == "Validation Failed" {
		body["errors"] = []object{{"resource": "PullRequest", "code": "custom", "message": strings.Join(refused.details, "; ")}}
	}
	writeJSON(w, refused.code, body)
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		_, _ = fmt.Fprintf(w, "encode the answer: %v", err)
	}
}

// decode reads the request's body.
func (c *call) decode(into any) error {
	if err := json.NewDecoder(c.Body).Decode(into); err != nil {
		return &refusal{code: 400, message: "Problems parsing JSON"}
	}
	return nil
}

func (c *call) number(name string) int64 {
	n, _ := strconv.ParseInt(c.PathValue(name), 10, 64)
	return n
}

// commit resolves the path's {ref}.
func (c *call) commit() (string, error) {
	sha, err := c.repo.git.SHA(c.PathValue("ref"))
	if err != nil {
		return "", &refusal{422, "No commit found for SHA: " + c.PathValue("ref"), nil}
	}
	return sha, nil
}

// page cuts a list as GitHub does and links to its neighbours.
func page[T any](c *call, items []T) []T {
	size := c.pageSize()
	number := max(1, queryInt(c, "page", 1))
	last := max(1, (len(items)+size-1)/size)
	var links []string
	link := func(relation string, to int) {
		query := c.URL.Query()
		query.Set("page", strconv.Itoa(to))
		links = append(links, c.link(relation, query))
	}
	if number > 1 {
		link("prev", number-1)
		link("first", 1)
	}
	if number < last {
		link("next", number+1)
		link("last", last)
	}
	c.setLinks(links)
	from := min((number-1)*size, len(items))
	return items[from:min(from+size, len(items))]
}

func (c *call) link(relation string, query url.Values) string {
	return fmt.Sprintf(`<%s%s?%s>; rel=%q`, c.server.APIURL(), c.URL.EscapedPath(), query.Encode(), relation)
}

func (c *call) setLinks(links []string) {
	if len(links) > 0 {
		c.header.Set("Link", strings.Join(links, ", "))
	}
}

func (c *call) pageSize() int {
	return min(max(1, queryInt(c, "per_page", 30)), c.server.maxPerPage)
}

func queryInt(c *call, name string, otherwise int) int {
	if n, err := strconv.Atoi(c.URL.Query().Get(name)); err == nil {
		return n
	}
	return otherwise
}

// createInstallationToken gives an App that proves itself a fresh token.
func (s *Server) createInstallationToken(w http.ResponseWriter, r *http.Request) {
	for _, app := range s.apps {
		if strconv.FormatInt(app.InstallationID, 10) != r.PathValue("id") || app.PublicKey == nil {
			continue
		}
		if !proves(bearer(r), app.PublicKey) {
			writeRefusal(w, &refusal{code: 401, message: "A JSON web token could not be decoded"})
			return
		}
		writeJSON(w, http.StatusCreated, object{
			"token": s.issue(app), "expires_at": s.now().Add(time.Hour).UTC().Format(time.RFC3339),
			"permissions": object{"contents": "write", "pull_requests": "write", "statuses": "write"}, "repository_selection": "all",
		})
		return
	}
	writeRefusal(w, missing())
}

func (s *Server) issue(app App) string {
	secret := make([]byte, 20)
	_, _ = rand.Read(secret) // never fails
	token := "ghs_" + hex.EncodeToString(secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = s.userLocked(app.Slug + "[bot]")
	return token
}

// proves checks a JSON web token's RS256 signature.
func proves(token string, key *rsa.PublicKey) bool {
	at := strings.LastIndexByte(token, '.')
	if at < 0 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	digest := sha256.Sum256([]byte(token[:at]))
	return err == nil && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
}
