package schemas

import "fmt"

// Conflicts returns where a service and the policy do not fit together. An
// environment needs all environments before it: what was left out could not have
// proven anything.
func (s Service) Conflicts(p Policy) Problems {
	var ps Problems
	runs := make(map[string]bool, len(s.Environments))
	for _, name := range s.Environments {
		runs[name] = true
	}
	for i, name := range s.Environments {
		at := fmt.Sprintf("environments[%d]", i)
		place := p.Index(name)
		if place < 0 {
			ps.add(at, "add it to the policy or remove it here", "the policy has no environment %q", name)
			continue
		}
		for _, before := range p.Environments[:place] {
			if !runs[before.Name] {
				ps.add(at, "list "+before.Name+" too", "%s comes after %s, which is left out", name, before.Name)
			}
		}
	}
	return s.origin.located(ps)
}

// Conflicts returns where a release and its service do not fit together. Checks are
// read from artifact.source, so a foreign repository would bring its own green ones.
func (r Release) Conflicts(s Service) Problems {
	var ps Problems
	for i, a := range r.List() {
		at := "artifact.source.repository"
		if r.Artifact == nil {
			at = fmt.Sprintf("artifacts[%d].source.repository", i)
		}
		if a.Source.Repository != s.Source.Repository {
			ps.add(at, "write "+s.Source.Repository+", or correct the service", "the artifact is from %s, the service from %s", a.Source.Repository, s.Source.Repository)
		}
	}
	return r.origin.located(ps)
}

// MisplacedFor returns the settings that have no meaning where the control file is:
// for a whole environment, or for one release.
func (c Control) MisplacedFor(environment bool) Problems {
	var ps Problems
	if environment {
		if len(c.Holds) > 0 {
			ps.add("holds", "move it into the release's directory", "holds concern one release, not an environment")
		}
		if c.Paused {
			ps.add("paused", "use freeze", "an environment is frozen, not paused")
		}
	} else if c.Freeze != nil {
		ps.add("freeze", "use paused, or move it to the environment's directory", "a freeze concerns an environment, not one release")
	}
	return c.origin.located(ps)
}
