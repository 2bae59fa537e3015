package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/schemas"
)

// artifact: what would run is named by content, all of it, and by the very
// bytes that the environment before has proven or is proving. Whether it has
// proven them already is for order to say.
func artifact(f Facts) finding {
	if len(f.Artifacts) == 0 {
		return unknown("which artifact would run is not known", "the author: name the artifact in release.yaml")
	}
	for _, a := range f.Artifacts {
		if !schemas.IsDigest(a.Digest) {
			return refused(fmt.Sprintf("%s is not named by a digest: %q", foreign(a.Image), foreign(a.Digest)),
				"the author: write sha256: and the 64 digits of the image that was tested")
		}
	}
	if len(f.Unpinned) > 0 {
		return refused(fmt.Sprintf("%s has no digest%s", foreign(f.Unpinned[0]), more(len(f.Unpinned)-1, "image")),
			"the author: pin every image by its digest").because(unpinned(f.Unpinned)...)
	}
	if !f.Rendered {
		return unrendered()
	}
	if f.First || f.Return {
		return met("every image is pinned by digest").because(digests(f.Artifacts)...)
	}
	return f.seenUpstream()
}

func (f Facts) seenUpstream() finding {
	if f.Upstream.Unknown != "" {
		return f.upstreamUnknown()
	}
	for _, a := range f.Artifacts {
		if !f.Upstream.knows(a.Digest) {
			return refused(fmt.Sprintf("%s of %s was never deployed in %s", brief(a.Digest), foreign(a.Image), f.Upstream.name()),
				fmt.Sprintf("the author: promote to %s first, or name the digest that was stable there", f.Upstream.name()),
			).because(digests(f.Artifacts)...)
		}
	}
	return met("every image is pinned, by the digests known in " + f.Upstream.name()).because(digests(f.Artifacts)...)
}

func (f Facts) upstreamUnknown() finding {
	return unknown(fmt.Sprintf("what %s has proven could not be read: %s", f.Upstream.name(), foreign(f.Upstream.Unknown)),
		"Sluice, as soon as it can read the record")
}

func (u Upstream) name() string {
	if u.Environment == "" {
		return "the environment before"
	}
	return foreign(u.Environment)
}

func (u Upstream) knows(digest string) bool {
	has := func(a Artifact) bool { return a.Digest == digest }
	return slices.ContainsFunc(u.Moving, has) ||
		slices.ContainsFunc(u.Proven, func(p Proof) bool { return slices.ContainsFunc(p.Artifacts, has) })
}

// order: this artifact and this base were stable together in the environment
// before. Either alone proves nothing about the pair. A hotfix need not wait until
// the environment before is done with verifying it.
func order(f Facts) finding {
	before := f.Upstream.name()
	switch {
	case f.Upstream.Unknown != "":
		return f.upstreamUnknown()
	case f.BaseTree == "":
		return unknown("which base the release pins is not known", "the author: pin the base that was stable in "+before)
	}
	artifactAlone := false
	for _, p := range f.Upstream.Proven {
		if p.Since.IsZero() || !sameArtifacts(p.Artifacts, f.Artifacts) {
			continue
		}
		if p.BaseTree == f.BaseTree {
			return met(fmt.Sprintf("artifact and base were stable together in %s since %s", before, instant(p.Since))).
				because(Evidence{Text: "base " + short(p.BaseTree), URL: p.URL})
		}
		artifactAlone = true
	}
	if p := f.Upstream.Serving; p != nil && f.hotfix() && p.BaseTree == f.BaseTree && sameArtifacts(p.Artifacts, f.Artifacts) {
		return met(fmt.Sprintf("artifact and base serve all traffic of %s together, healthy since %s; a hotfix need not wait for more", before, instant(p.Since))).
			because(Evidence{Text: "base " + short(p.BaseTree)})
	}
	return f.unproven(before, artifactAlone)
}

func (f Facts) unproven(before string, artifactAlone bool) finding {
	moving := true
	for _, a := range f.Artifacts {
		moving = moving && slices.ContainsFunc(f.Upstream.Moving, func(m Artifact) bool { return sameImage(m, a) })
	}
	wait := finding{
		cause:    Later,
		reason:   "this artifact has not been stable in " + before + " yet",
		unblocks: "whoever promotes it to " + before + " and its rollout there",
	}
	switch {
	case moving:
		wait.reason = before + " is still proving this artifact"
		wait.unblocks = "the rollout in " + before + ", once it is stable"
	case artifactAlone:
		wait.reason = "this artifact was stable in " + before + ", but with another base"
		wait.unblocks = "the author: pin the base that was stable with it, or promote this base to " + before + " first"
	}
	return wait
}

func sameArtifacts(a, b []Artifact) bool {
	return slices.Equal(identities(a), identities(b))
}

func identities(artifacts []Artifact) []string {
	ids := make([]string, len(artifacts))
	for i, a := range artifacts {
		ids[i] = a.Image + "@" + a.Digest
	}
	slices.Sort(ids)
	return ids
}

func sameImage(a, b Artifact) bool { return a.Image == b.Image && a.Digest == b.Digest }

func digests(artifacts []Artifact) []Evidence {
	evidence := make([]Evidence, len(artifacts))
	for i, a := range artifacts {
		evidence[i] = Evidence{Text: foreign(a.Image) + " " + foreign(a.Digest)}
	}
	return evidence
}

func unpinned(images []string) []Evidence {
	evidence := make([]Evidence, len(images))
	for i, image := range images {
		evidence[i] = Evidence{Text: foreign(image) + " has no digest"}
	}
	return evidence
}

// brief abbreviates a digest that is well formed.
func brief(digest string) string { return cut(foreign(digest), len("sha256:")+13) }

func more(n int, noun string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " (and 1 more " + noun + ")"
	}
	return " (and " + strings.TrimSpace(fmt.Sprintf("%d more %ss", n, noun)) + ")"
}
