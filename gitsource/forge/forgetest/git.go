package forgetest

import (
	"net/http"
	"strings"
)

// serveGit lets git's own server answer and notes who moved which branch.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	path, _, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	repo := s.Repository(path)
	if !found || repo == nil {
		http.NotFound(w, r)
		return
	}
	handler := http.StripPrefix("/"+path+".git", repo.git.Handler())
	push := strings.HasSuffix(r.URL.Path, "/git-receive-pack") || r.URL.Query().Get("service") == "git-receive-pack"
	if !push {
		handler.ServeHTTP(w, r)
		return
	}
	_, token, _ := r.BasicAuth()
	user := s.caller(token)
	if user == nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		http.Error(w, "Invalid username or token.", http.StatusUnauthorized)
		return
	}
	if !repo.mayWrite(user) {
		http.Error(w, "Permission to "+path+".git denied to "+user.Login+".", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodPost {
		handler.ServeHTTP(w, r)
		return
	}
	repo.writing.Lock()
	defer repo.writing.Unlock()
	before, err := repo.branches()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	handler.ServeHTTP(w, r)
	if err := repo.noteMoves(user, before, ""); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (s *Server) caller(token string) *User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[token]
}
