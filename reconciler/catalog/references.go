package catalog

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/schemas"
)

func (r *reader) policy() {
	data, ok := r.read(Key{}, PolicyFile, false)
	if !ok {
		return
	}
	policy, err := schemas.DecodePolicy(PolicyFile, data)
	if r.hasPolicy = r.decoded(Key{}, err); !r.hasPolicy {
		return
	}
	r.catalog.Policy = policy
	for _, p := range policy.NotEnforced() {
		r.add(Key{}, p)
	}
}

func (r *reader) services() {
	entries := r.list(ServicesDir, func(name string) Key { return Key{Service: name} })
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() {
			continue
		}
		if !schemas.IsServiceName(name) {
			r.problem(Key{Service: name}, path.Join(ServicesDir, name), "use lower-case letters, digits and hyphens, at most 37", "%q cannot be the name of a service", name)
			continue
		}
		r.service(name)
	}
}

func (r *reader) service(name string) {
	scope, dir := Key{Service: name}, path.Join(ServicesDir, name)
	file := path.Join(dir, ServiceFile)
	data, ok := r.read(scope, file, false)
	if !ok {
		r.refused[name] = r.isThere(dir)
		return
	}
	service, err := schemas.DecodeService(file, name, data)
	if !r.decoded(scope, err) {
		r.refused[name] = true
		return
	}
	r.catalog.Services[name] = service
	for _, p := range service.NotEnforced() {
		r.add(scope, p)
	}
	r.checkService(service, dir)
	r.inspect(scope, dir)
}

// isThere says whether a missing file was reported as a problem of the service, as
// opposed to a service that nobody began to describe.
func (r *reader) isThere(dir string) bool {
	_, err := fs.Stat(r.fsys, dir)
	return err == nil
}

// checkService compares a service with the policy and with the files beside it.
func (r *reader) checkService(s schemas.Service, dir string) {
	scope, file := Key{Service: s.Name}, path.Join(ServicesDir, s.Name, ServiceFile)
	if r.hasPolicy {
		for _, p := range s.Conflicts(r.catalog.Policy) {
			r.add(scope, p)
		}
	}
	for i, smoke := range s.Verification.Smoke {
		if smoke.Job != "" && !r.exists(path.Join(dir, smoke.Job)) {
			r.problem(scope, file, "add the file or correct the name", "verification.smoke[%d].job names %q, which is not there", i, smoke.Job)
		}
	}
}

// environments reads every directory that the policy names, and looks for releases in
// those that it does not.
func (r *reader) environments() {
	entries, err := fs.ReadDir(r.fsys, ".")
	if err != nil {
		r.problem(Key{}, ".", "see whether the repository is complete", "the repository cannot be read: %q", err)
		return
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case !e.IsDir() && r.isEnvironment(name):
			r.problem(Key{Environment: name}, name, "put a directory in its place", "%s", kindOf(e.Type()))
		case !e.IsDir(), name == ServicesDir, strings.HasPrefix(name, "."), !isPlainName(name):
		case !r.hasPolicy || r.isEnvironment(name):
			r.environment(name)
		default:
			r.strayReleases(name)
		}
	}
}

func (r *reader) isEnvironment(name string) bool {
	return r.hasPolicy && r.catalog.Policy.Index(name) >= 0
}

func (r *reader) environment(name string) {
	r.environmentControl(name)
	entries := r.list(name, func(service string) Key { return Key{Environment: name, Service: service} })
	for _, e := range entries {
		// Without a policy any directory might be one of an environment.
		if e.IsDir() && (r.hasPolicy || r.exists(path.Join(name, e.Name(), ReleaseFile))) {
			r.release(Key{Environment: name, Service: e.Name()})
		}
	}
}

// strayReleases finds a release whose environment is misspelled or was removed.
func (r *reader) strayReleases(dir string) {
	entries, err := fs.ReadDir(r.fsys, dir)
	if err != nil {
		return // not a directory that Sluice has to be able to read
	}
	for _, e := range entries {
		if e.IsDir() && isPlainName(e.Name()) && r.exists(path.Join(dir, e.Name(), ReleaseFile)) {
			r.unknownEnvironment(Key{Environment: dir, Service: e.Name()})
		}
	}
}

func (r *reader) unknownEnvironment(key Key) {
	r.problem(key, path.Join(key.String(), ReleaseFile), "add the environment to "+PolicyFile+" or move the directory", "the policy has no environment %q", key.Environment)
}

func (r *reader) environmentControl(name string) {
	scope, file := Key{Environment: name}, path.Join(name, ControlFile)
	data, ok := r.read(scope, file, true)
	if !ok {
		return
	}
	control, err := DecodeControl(file, data)
	if !r.decoded(scope, err) {
		return
	}
	r.catalog.EnvironmentControls[name] = control
}

func (r *reader) release(key Key) {
	if !schemas.IsServiceName(key.Service) || !schemas.IsEnvironmentName(key.Environment) {
		r.problem(key, key.String(), "use lower-case letters, digits and hyphens, at most 37 for a service", "%q cannot be the name of a release", key.String())
		return
	}
	if r.hasPolicy && r.catalog.Policy.Index(key.Environment) < 0 {
		r.unknownEnvironment(key)
		return
	}
	r.inspect(key, key.String())
	r.releaseControl(key)
	file := path.Join(key.String(), ReleaseFile)
	data, ok := r.read(key, file, false)
	if !ok {
		return
	}
	release, err := schemas.DecodeRelease(file, data)
	if !r.decoded(key, err) {
		return
	}
	r.catalog.Releases[key] = release
	if !r.exists(path.Join(key.String(), KustomizationFile)) {
		r.problem(key, path.Join(key.String(), KustomizationFile), "add a kustomization over ../../"+path.Join(ServicesDir, key.Service, "base"), "the file is missing")
	}
	r.checkRelease(key, release)
}

// DecodeControl reads <environment>/control.yaml or <environment>/<service>/control.yaml.
// What has no meaning there is a problem, as it would stop nothing. The error is of
// type schemas.Problems.
func DecodeControl(file string, data []byte) (schemas.Control, error) {
	control, err := schemas.DecodeControl(file, data)
	if err != nil {
		return schemas.Control{}, err
	}
	if problems := control.MisplacedFor(strings.Count(file, "/") == 1); len(problems) > 0 {
		return schemas.Control{}, problems
	}
	return control, nil
}

func (r *reader) releaseControl(key Key) {
	file := path.Join(key.String(), ControlFile)
	data, ok := r.read(key, file, true)
	if !ok {
		return
	}
	control, err := DecodeControl(file, data)
	if !r.decoded(key, err) {
		return
	}
	r.catalog.Controls[key] = control
}

func (r *reader) checkRelease(key Key, release schemas.Release) {
	file := path.Join(key.String(), ReleaseFile)
	service, ok := r.catalog.Services[key.Service]
	switch {
	case ok:
		for _, p := range release.Conflicts(service) {
			r.add(key, p)
		}
		if !slices.Contains(service.Environments, key.Environment) {
			r.problem(key, file, "add the environment to "+path.Join(ServicesDir, key.Service, ServiceFile)+" or remove the release", "service %s does not run in %s", key.Service, key.Environment)
		}
	case !r.refused[key.Service]:
		r.problem(key, file, "add "+path.Join(ServicesDir, key.Service, ServiceFile)+" or remove the release", "there is no service %q", key.Service)
	}
	if r.hasPolicy && r.catalog.Policy.Index(key.Environment) > 0 && release.Base == "" {
		r.problem(key, file, "add base: and the commit that "+path.Join(ServicesDir, key.Service)+" is to be read from; sluice promote writes it", "base is missing; only the first environment follows the tip")
	}
}
