package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// minRevision is the shortest abbreviation of a revision that a hold is
// compared by; anything shorter would meet others by chance.
const minRevision = 8

// hold: the inputs were not put on hold after a rollback, or by a person.
func hold(f Facts) finding {
	for _, h := range f.Holds {
		if !h.refuses(f) {
			continue
		}
		return refused("on hold: "+h.why(), h.lift()).because(h.evidence())
	}
	return met("nothing of it is on hold")
}

func (h Hold) refuses(f Facts) bool {
	if h.Inputs != "" && h.Inputs == f.Inputs || sameRevision(h.Revision, f.Revision) || sameRevision(h.Revision, f.Inputs) {
		return true
	}
	return slices.ContainsFunc(f.Artifacts, func(a Artifact) bool { return slices.Contains(h.Digests, a.Digest) })
}

// sameRevision compares ids of which either may be abbreviated.
func sameRevision(a, b string) bool {
	n := min(len(a), len(b))
	return n >= minRevision && a[:n] == b[:n]
}

func (h Hold) why() string {
	if why := foreign(h.Reason); why != "" {
		return why
	}
	return "no reason was given"
}

func (h Hold) lift() string {
	return fmt.Sprintf("anybody: promote another artifact, or remove the hold from %s in a reviewed pull request", h.file())
}

func (h Hold) file() string {
	if h.Path == "" {
		return "control.yaml"
	}
	return foreign(h.Path)
}

func (h Hold) evidence() Evidence {
	text := "held"
	if !h.At.IsZero() {
		text += " since " + instant(h.At)
	}
	if h.By != "" {
		text += " by " + foreign(h.By)
	}
	return Evidence{Text: text, URL: h.URL}
}

// paused: nobody has stopped the release for now.
func paused(f Facts) finding {
	if !f.Paused.Paused {
		return met("not paused")
	}
	file := "control.yaml"
	if f.Paused.Path != "" {
		file = foreign(f.Paused.Path)
	}
	return finding{
		cause:    Later,
		reason:   "paused" + explained(f.Paused.Reason),
		unblocks: fmt.Sprintf("anybody, by removing paused from %s", file),
	}
}

// incident: a hotfix says which incident it is for.
func incident(f Facts) finding {
	switch {
	case !f.hotfix():
		return met("this is no hotfix")
	case strings.TrimSpace(f.Incident) == "":
		return refused("a hotfix has to name its incident", "the author: write incident into release.yaml, or another change class")
	}
	return met("hotfix for " + foreign(f.Incident))
}

// render: the inputs give manifests.
func render(f Facts) finding {
	switch {
	case f.RenderError == "" && f.Rendered:
		return met("the manifests render")
	case f.RenderError == "":
		return unrendered()
	}
	return refused("the manifests do not render: "+line(inert.Replace(f.RenderError), maxReason), "the author: correct the file that is named")
}

// probes: whoever runs the workload can ask it whether it has started, lives and
// is ready.
func probes(f Facts) finding {
	switch {
	case f.RenderError != "" || !f.Rendered:
		return unrendered()
	case len(f.Unprobed) > 0:
		return refused(foreign(f.Unprobed[0])+more(len(f.Unprobed)-1, "probe"),
			"the author: declare the probe that is named; or the owners of the policy: change health of the service, with reason and incident",
		).because(listed(f.Unprobed)...)
	case f.Exception != "":
		return met("the probes are those of a documented exception").because(Evidence{Text: "exception: " + foreign(f.Exception)})
	}
	return met("startup, liveness and readiness probes ask the paths of the service")
}

func listed(texts []string) []Evidence {
	evidence := make([]Evidence, len(texts))
	for i, text := range texts {
		evidence[i] = Evidence{Text: foreign(text)}
	}
	return evidence
}

func unrendered() finding {
	return unknown("the manifests have not been rendered yet", "Sluice, as soon as it has rendered them")
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
