package gittest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"strconv"
)

// The endpoints of a repository: keys of Requests and values of Fault.On.
const (
	// Refs lists references before a fetch.
	Refs = "GET /info/refs?service=git-upload-pack"
	// Pack sends objects.
	Pack = "POST /git-upload-pack"
	// PushRefs lists references before a push.
	PushRefs = "GET /info/refs?service=git-receive-pack"
	// Push receives objects and moves references.
	Push = "POST /git-receive-pack"
)

// Fault is one way in which a server misbehaves. Hold applies first, then the
// others; with none of them set the request is served normally.
type Fault struct {
	// On is the endpoint that it applies to; empty means all.
	On string
	// Times is how many requests meet it; 0 means all until ClearFaults.
	Times int
	// Hold delays the request until the channel is closed or the client leaves.
	Hold <-chan struct{}
	// Before runs before the request is served, for instance to let a
	// competitor in.
	Before func()
	// Status answers with this status and does nothing else.
	Status int
	// CutBefore closes the connection before git sees the request.
	CutBefore bool
	// CutAfter lets git do its work and closes the connection without a reply.
	CutAfter bool
	// Half sends half of the reply's body and closes the connection.
	Half bool
	// Answer replaces git, for instance by an endless body or a redirect.
	Answer http.Handler
}

// Inject adds a fault. Faults apply in the order in which they were added.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults makes the server well again.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func endpoint(r *http.Request) string {
	key := r.Method + " " + r.URL.Path
	if service := r.URL.Query().Get("service"); service != "" {
		key += "?service=" + service
	}
	return key
}

func (f *Fault) serve(git *cgi.Handler, w http.ResponseWriter, r *http.Request) {
	if f.Hold != nil {
		select {
		case <-f.Hold:
		case <-r.Context().Done():
			return
		}
	}
	if f.Before != nil {
		f.Before()
	}
	switch {
	case f.Status != 0:
		http.Error(w, "injected fault", f.Status)
	case f.CutBefore:
		cut(w)
	case f.CutAfter:
		serveGit(git, httptest.NewRecorder(), r)
		cut(w)
	case f.Half:
		half(git, w, r)
	case f.Answer != nil:
		f.Answer.ServeHTTP(w, r)
	default:
		serveGit(git, w, r)
	}
}

// half announces the whole reply and sends the first half of it.
func half(git *cgi.Handler, w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	serveGit(git, rec, r)
	body := rec.Body.Bytes()
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body[:len(body)/2])
	if fl, ok := w.(http.Flusher); ok {
		fl.Flush()
	}
	cut(w)
}

// cut closes the connection under the client's feet.
func cut(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	conn, _, err := h.Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// serveGit buffers a chunked request first, since CGI needs its length.
func serveGit(git *cgi.Handler, w http.ResponseWriter, r *http.Request) {
	if r.ContentLength < 0 {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		r.TransferEncoding = nil
	}
	git.ServeHTTP(w, r)
}
