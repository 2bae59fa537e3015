package forgetest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// faultHeader marks answers that are wrong on purpose.
const faultHeader = "X-Forgetest-Fault"

// A Fault is one way in which the REST API misbehaves. Before and Hold apply
// first, then the others; with none of them set the request is served normally.
type Fault struct {
	// On is a route, such as "GET /repos/{owner}/{repo}/pulls"; empty is all.
	On string
	// Skip is how many requests pass before the first meets it, Times how many
	// meet it then; 0 is all until ClearFaults.
	Skip  int
	Times int
	// Before runs first, for instance to let a competitor in.
	Before func()
	// Hold delays the request until the channel is closed or the client leaves.
	Hold <-chan struct{}
	// Status answers with this status, Header and Body, and does nothing else.
	Status int
	Header map[string]string // also added to a normal answer
	Body   string
	// Drop does the work and closes the connection without an answer.
	Drop bool
	// Truncate sends half of the answer and closes the connection.
	Truncate bool
	// Half sends half of the answer as if it were all.
	Half bool
	// CutPages leaves out the links to further pages.
	CutPages bool
}

// Inject adds a fault. The first one that fits a request applies.
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

// count notes the request and takes the fault that it meets.
func (s *Server) count(route string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[route]++
	for i, fault := range s.faults {
		if fault.On != "" && fault.On != route {
			continue
		}
		if fault.Skip > 0 {
			fault.Skip--
			continue
		}
		taken := *fault
		if fault.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return &taken
	}
	return nil
}

// An answer is a response that is still in our hands.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(code int) { a.code = code }

func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// serveREST answers through the fault that the request meets.
func (s *Server) serveREST(w http.ResponseWriter, r *http.Request) {
	_, route := s.mux.Handler(r)
	fault := s.count(route)
	if fault != nil {
		w.Header().Set(faultHeader, "1")
		if fault.Before != nil {
			fault.Before()
		}
		if !fault.wait(r) {
			return
		}
		if fault.Status != 0 {
			fault.refuse(w)
			return
		}
	}
	made := &answer{header: http.Header{}, code: http.StatusOK}
	s.mux.ServeHTTP(made, r)
	s.addRateLimit(made, r)
	if fault != nil {
		fault.spoil(made)
	}
	send(w, made, fault)
}

func (f *Fault) wait(r *http.Request) bool {
	if f.Hold == nil {
		return true
	}
	select {
	case <-f.Hold:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (f *Fault) refuse(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}

func (f *Fault) spoil(made *answer) {
	for name, value := range f.Header {
		made.header.Set(name, value)
	}
	if f.CutPages {
		made.header.Del("Link")
	}
	if f.Half {
		made.body.Truncate(made.body.Len() / 2)
	}
}

// send writes the answer, or as much of it as the fault leaves.
func send(w http.ResponseWriter, made *answer, fault *Fault) {
	if fault != nil && fault.Drop {
		panic(http.ErrAbortHandler) // closes the connection
	}
	maps.Copy(w.Header(), made.header)
	body := made.body.Bytes()
	if made.code != http.StatusNoContent && made.code != http.StatusNotModified {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(made.code)
	if fault != nil && fault.Truncate {
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

// budget is GitHub's hourly allowance for one installation.
const budget = 5000

// addRateLimit adds the entity tag and the budget. Confirming a known answer
// costs nothing. The budget is counted, but nobody is refused for it.
func (s *Server) addRateLimit(made *answer, r *http.Request) {
	unchanged := false
	if r.Method == http.MethodGet && made.code == http.StatusOK {
		tag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(append(made.body.Bytes(), made.header.Get("Link")...)))
		made.header.Set("ETag", tag)
		if unchanged = r.Header.Get("If-None-Match") == tag; unchanged {
			made.code = http.StatusNotModified
			made.body.Reset()
			made.header.Del("Content-Type")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); !now.Before(s.windowEnds) {
		s.windowEnds, s.used = now.Add(time.Hour), 0
	}
	if !unchanged {
		s.used = min(s.used+1, budget-1)
	}
	made.header.Set("X-RateLimit-Limit", strconv.Itoa(budget))
	made.header.Set("X-RateLimit-Remaining", strconv.Itoa(budget-s.used))
	made.header.Set("X-RateLimit-Used", strconv.Itoa(s.used))
	made.header.Set("X-RateLimit-Reset", strconv.FormatInt(s.windowEnds.Unix(), 10))
	made.header.Set("X-RateLimit-Resource", "core")
}
