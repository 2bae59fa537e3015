package environments

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/catalog"
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

const policyFile = catalog.PolicyFile

func serviceFile(service string) string {
	return path.Join(catalog.ServicesDir, service, catalog.ServiceFile)
}

// Rules reads the policy and the services of a commit. A policy that cannot be
// used is an error; a service that cannot be used concerns itself alone.
func (r *Repository) Rules(commit string) (Rules, error) {
	return cached(&r.mu, r.rules, maxRules, commit, func() (Rules, error) { return r.readRules(commit) })
}

func (r *Repository) readRules(commit string) (Rules, error) {
	data, err := r.read(commit, policyFile)
	if err != nil {
		return Rules{}, blameAbsent(err)
	}
	policy, err := schemas.DecodePolicy(policyFile, data)
	if err != nil {
		return Rules{}, unusable{fmt.Errorf("read the policy of %.12s: %w", commit, err)}
	}
	rules := Rules{Commit: commit, Policy: policy, Services: map[string]schemas.Service{}, Broken: map[string]string{}}
	names, err := r.directories(commit, "services")
	if err != nil {
		return Rules{}, err
	}
	for _, name := range names {
		service, err := r.readService(commit, name, policy)
		var fault unusable
		switch {
		case errors.As(err, &fault):
			rules.Broken[name] = fault.Error()
		case err != nil:
			return Rules{}, err
		default:
			rules.Services[name] = service
		}
	}
	return rules, nil
}

func (r *Repository) readService(commit, name string, policy schemas.Policy) (schemas.Service, error) {
	data, err := r.read(commit, serviceFile(name))
	if err != nil {
		return schemas.Service{}, blameAbsent(err)
	}
	service, err := schemas.DecodeService(serviceFile(name), name, data)
	if err != nil {
		return service, unusable{err}
	}
	if conflicts := service.Conflicts(policy); len(conflicts) > 0 {
		return service, unusable{conflicts}
	}
	return service, nil
}

// blameAbsent is blame for a file that has to be there.
func blameAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return unusable{err}
	}
	return blame(err)
}

// directories lists the directories below dir whose names a service can have;
// none when dir is not there. Anything else is no service and no release.
func (r *Repository) directories(commit, dir string) ([]string, error) {
	tree, err := r.git.FS(commit)
	if err != nil {
		return nil, err
	}
	info, err := fs.Stat(tree, dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s in %.12s: %w", dir, commit, err)
	}
	entries, err := fs.ReadDir(tree, dir)
	if errors.Is(err, gitsource.ErrOddName) {
		return r.plainDirectories(commit, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("list %s in %.12s: %w", dir, commit, err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && schemas.IsServiceName(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// plainDirectories is directories where a name beside them keeps the directory
// from being listed: one odd name must not hide all releases.
func (r *Repository) plainDirectories(commit, dir string) ([]string, error) {
	files, err := r.git.Changes("", commit)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, f := range files {
		rest, ok := strings.CutPrefix(f.Path, dir+"/")
		name, _, below := strings.Cut(rest, "/")
		if ok && below && schemas.IsServiceName(name) {
			seen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// governs reports whether a path is part of the rules that Sluice follows.
func governs(p string) bool {
	return p == policyFile || slices.Contains(ownerFiles(), p) ||
		strings.HasPrefix(p, "services/") && path.Base(p) == "service.yaml" && strings.Count(p, "/") == 2
}

// owned reports whether a path belongs to the policy's owners: whoever writes
// it decides what everybody else may do.
func owned(p string) bool {
	return governs(p) || p == ".github" || strings.HasPrefix(p, ".github/")
}

func ownedPaths(changes []gitsource.Change) []string { return pathsThat(owned, changes) }

func anyPath(string) bool { return true }

func pathsThat(fit func(string) bool, changes []gitsource.Change) []string {
	var out []string
	for _, c := range changes {
		if fit(c.Path) {
			out = append(out, c.Path)
		}
	}
	return out
}
