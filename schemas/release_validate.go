package schemas

import "fmt"

// Validate returns everything that is wrong with the meaning of a release. The
// problems have paths; Decode adds file and position.
func (r Release) Validate() Problems {
	var ps Problems
	r.validateArtifacts(&ps)
	if r.Base != "" && !IsCommit(r.Base) {
		ps.add("base", "write the 40 digits of a commit of this repository", "%q is not a commit", r.Base)
	}
	oneOf(&ps, "change", r.Change, ChangeStandard, ChangeBreaking, ChangeSecurity, ChangeHotfix)
	if r.Change == ChangeHotfix && r.Incident == "" {
		ps.add("incident", "name the incident, for example INC-2093", "a hotfix without an incident")
	}
	if r.State != "" {
		oneOf(&ps, "state", r.State, StateRetired)
	}
	return ps
}

func (r Release) validateArtifacts(ps *Problems) {
	switch {
	case r.Artifact != nil && len(r.Artifacts) > 0:
		ps.add("artifacts", "keep one of the two", "both artifact and artifacts")
	case r.Artifact != nil:
		r.Artifact.validate(ps, "artifact")
	case len(r.Artifacts) == 0:
		ps.add("artifact", "give image, digest and source", "there is no artifact")
	}
	images := map[string]bool{}
	for i, a := range r.Artifacts {
		at := fmt.Sprintf("artifacts[%d]", i)
		a.validate(ps, at)
		if images[a.Image] {
			ps.add(at+".image", "keep one digest for each image", "image %q is there twice", a.Image)
		}
		images[a.Image] = true
	}
}

func (a Artifact) validate(ps *Problems, at string) {
	if !isImage(a.Image) {
		ps.add(at+".image", "write registry/name without tag and digest", "%q is not an image name", a.Image)
	}
	if !IsDigest(a.Digest) {
		ps.add(at+".digest", "write sha256: and the 64 digits that the registry shows", "%q is not a digest", a.Digest)
	}
	if len(a.Version) > 128 {
		ps.add(at+".version", "shorten it", "the version has %d characters, the limit is 128", len(a.Version))
	}
	if !isRepository(a.Source.Repository) {
		ps.add(at+".source.repository", "write owner/name", "%q is not a repository", a.Source.Repository)
	}
	if !IsCommit(a.Source.Commit) {
		ps.add(at+".source.commit", "write the 40 digits of the commit that the artifact was built from", "%q is not a commit", a.Source.Commit)
	}
}

// Validate returns everything that is wrong with the meaning of a control file. The
// problems have paths; Decode adds file and position.
func (c Control) Validate() Problems {
	var ps Problems
	if len(c.Holds) > MaxHolds {
		ps.add(fmt.Sprintf("holds[%d]", MaxHolds), "lift those that are not needed any more, or set paused", "there are %d holds, at most %d are kept for a release", len(c.Holds), MaxHolds)
	}
	for i, h := range c.Holds {
		at := fmt.Sprintf("holds[%d]", i)
		if h.Digest == "" && h.Revision == "" {
			ps.add(at, "give digest, revision or both", "the hold holds nothing")
		}
		if h.Digest != "" && !IsDigest(h.Digest) {
			ps.add(at+".digest", "write sha256: and 64 digits", "%q is not a digest", h.Digest)
		}
		if h.Revision != "" && !revisionPattern.MatchString(h.Revision) {
			ps.add(at+".revision", "write the revision as status shows it", "%q is not a revision", h.Revision)
		}
		if h.Reason == "" {
			ps.add(at+".reason", "say why", "the hold has no reason")
		}
	}
	if c.Freeze != nil && c.Freeze.Reason == "" {
		ps.add("freeze.reason", "say why", "the freeze has no reason")
	}
	return ps
}
