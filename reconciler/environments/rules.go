package environments

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/schemas"
)

// Rules are the policy and the services of one commit.
type Rules struct {
	Commit   string
	Policy   schemas.Policy
	Services map[string]schemas.Service
	// Broken says for a service why its file cannot be used.
	Broken map[string]string
}

// First reports whether nothing comes before the environment.
func (r Rules) First(environment string) bool { return r.Policy.Index(environment) == 0 }

const policyFile = "sluice.yaml"

func serviceFile(service string) string { return "services/" + service + "/service.yaml" }

// Rules reads the policy and the services of a commit. A policy that cannot be
// used is an error; a service that cannot be used concerns itself alone.
func (r *Repository) Rules(commit string) (Rules, error) {
	return cached(&r.mu, r.rules, maxRules, commit, func() (Rules, error) { return r.readRules(commit) })
}

func (r *Repository) readRules(commit string) (Rules, error) {
	data, err := r.read(commit, policyFile)
	if err != nil {
		return Rules{}, err
	}
	policy, err := schemas.DecodePolicy(policyFile, data)
	if err != nil {
		return Rules{}, fmt.Errorf("read the policy of %.12s: %w", commit, err)
	}
	rules := Rules{Commit: commit, Policy: policy, Services: map[string]schemas.Service{}, Broken: map[string]string{}}
	names, err := r.directories(commit, "services")
	if err != nil {
		return Rules{}, err
	}
	for _, name := range names {
		service, err := r.readService(commit, name)
		if err != nil {
			rules.Broken[name] = err.Error()
			continue
		}
		rules.Services[name] = service
	}
	return rules, nil
}

func (r *Repository) readService(commit, name string) (schemas.Service, error) {
	data, err := r.read(commit, serviceFile(name))
	if err != nil {
		return schemas.Service{}, err
	}
	return schemas.DecodeService(serviceFile(name), name, data)
}

// directories lists the directories below dir; none when dir is not there.
func (r *Repository) directories(commit, dir string) ([]string, error) {
	tree, err := r.git.FS(commit)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(tree, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s in %.12s: %w", dir, commit, err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// owned reports whether a path belongs to the policy's owners: whoever writes
// it decides what everybody else may do.
func owned(p string) bool {
	return p == policyFile ||
		slices.Contains([]string{"CODEOWNERS", "docs/CODEOWNERS"}, p) ||
		strings.HasPrefix(p, ".github/") ||
		strings.HasPrefix(p, "services/") && path.Base(p) == "service.yaml" && strings.Count(p, "/") == 2
}
