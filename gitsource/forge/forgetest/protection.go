package forgetest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/gittest"
)

// A Protection is what a branch that takes no pushes wants of a pull request.
// It binds administrators and Apps too.
type Protection struct {
	// Approvals is how many people have to approve before a merge.
	Approvals int
	// Methods are the ways of merging that are allowed; none given is all.
	Methods []gittest.Method
}

// guard is git's own way to refuse one branch of a push.
const guard = `#!/bin/sh
if grep -qxF "$1" "$GIT_DIR/guarded"; then
	echo "error: GH006: Protected branch update failed for $1."
	echo "error: Changes must be made through a pull request."
	exit 1
fi
`

// Protect makes a branch change by pull requests alone. The helpers that push as
// somebody (Push, Branch) go past it.
func (r *Repository) Protect(branch string, p Protection) error {
	return r.guard(func(guarded map[string]Protection) { guarded[branch] = p })
}

// Unprotect takes pushes again.
func (r *Repository) Unprotect(branch string) error {
	return r.guard(func(guarded map[string]Protection) { delete(guarded, branch) })
}

func (r *Repository) guard(change func(map[string]Protection)) error {
	r.writing.Lock() // no push is half through
	defer r.writing.Unlock()
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	if r.guarded == nil {
		r.guarded = map[string]Protection{}
	}
	change(r.guarded)
	var refs strings.Builder
	for _, branch := range slices.Sorted(maps.Keys(r.guarded)) {
		refs.WriteString("refs/heads/" + branch + "\n")
	}
	if err := os.WriteFile(filepath.Join(r.git.Dir, "guarded"), []byte(refs.String()), 0o600); err != nil {
		return fmt.Errorf("protect a branch of %s: %w", r.opts.FullName, err)
	}
	hook := filepath.Join(r.git.Dir, "hooks", "update")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		return fmt.Errorf("protect a branch of %s: %w", r.opts.FullName, err)
	}
	if err := os.WriteFile(hook, []byte(guard), 0o755); err != nil { //nolint:gosec // git runs it
		return fmt.Errorf("protect a branch of %s: %w", r.opts.FullName, err)
	}
	return nil
}

func (r *Repository) protection(branch string) (Protection, bool) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	p, found := r.guarded[branch]
	return p, found
}

// protected is what the API says of a branch.
func (r *Repository) protected(branch string) bool {
	_, guarded := r.protection(branch)
	return guarded || slices.Contains(r.opts.Protected, branch)
}

// mayPush refuses what the REST API would do to a protected branch.
func (r *Repository) mayPush(branch string) error {
	if _, guarded := r.protection(branch); guarded {
		return &refusal{code: 422, message: "Repository rule violations found\n\nChanges must be made through a pull request.\n"}
	}
	return nil
}

// mayMerge asks for what the branch that a pull request goes to demands.
func (r *Repository) mayMerge(p pull, method gittest.Method) error {
	want, _ := r.protection(p.base)
	if len(want.Methods) > 0 && !slices.Contains(want.Methods, method) {
		return &refusal{code: 405, message: strings.ToUpper(string(method[:1])) + string(method[1:]) + " merges are not allowed on this repository."}
	}
	latest := map[*User]string{}
	for _, made := range p.reviews {
		if made.state != "COMMENTED" && r.mayWrite(made.user) {
			latest[made.user] = made.state
		}
	}
	have := 0
	for _, state := range latest {
		if state == "APPROVED" {
			have++
		}
	}
	if have < want.Approvals {
		return &refusal{code: 405, message: fmt.Sprintf("At least %d approving review is required by reviewers with write access.", want.Approvals)}
	}
	return nil
}
