package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/schemas"
)

// An Origin is what is known about where one artifact was built.
type Origin struct {
	// Digest, Repository and Commit are what was asked about.
	Digest     string
	Repository string
	Commit     string
	// Home is where the forge has the repository, such as
	// github.com/acme/checkout: statements name it so.
	Home string
	// Contained: the commit is in a branch of its repository that counts.
	Contained Answer
	// Statements are those that the policy may trust, whatever they say.
	Statements []Statement
	// Runs is every run of every check on the commit.
	Runs []forge.Check
	// Ignored says of what looks like a proof why it is none.
	Ignored []Evidence
	// Unknown says why some of this could not be read.
	Unknown string
}

// A Statement says which source an artifact was built from.
type Statement struct {
	// Key is the name of the policy's key that signed it; "" where the forge
	// keeps it for the source repository and nobody has verified a signature.
	Key string
	// Digests, Repository and Commit are what it says.
	Digests    []string
	Repository string
	Commit     string
	Builder    string
}

// provenance: every artifact was built from the commit that the release names,
// which its repository protects. Without this the checks on that commit would say
// nothing about what would run.
func provenance(f Facts) finding {
	p := f.Environment.Provenance
	switch {
	case p == nil || !p.Accepts():
		return unknown("the policy accepts no proof of where an artifact was built", "the owners of the policy: give provenance keys, attestation: true or a check")
	case len(f.Artifacts) == 0:
		return unknown("which artifact would run is not known", "the author: name the artifact in release.yaml")
	}
	findings := make([]finding, len(f.Artifacts))
	for i, a := range f.Artifacts {
		findings[i] = f.built(*p, a)
	}
	return worst(findings)
}

func (f Facts) built(p schemas.Provenance, a Artifact) finding {
	at := slices.IndexFunc(f.Origins, func(o Origin) bool {
		return o.Digest == a.Digest && strings.EqualFold(o.Repository, a.Repository) && o.Commit == a.SourceCommit
	})
	if at < 0 || a.SourceCommit == "" {
		return unknown(fmt.Sprintf("where %s was built has not been looked up yet", brief(a.Digest)), "Sluice, as soon as it has asked the forge")
	}
	o := f.Origins[at]
	if !o.Contained.yes() {
		return o.outside()
	}
	return f.proven(p, o)
}

// outside: who can push to an unprotected branch can have anything built there.
func (o Origin) outside() finding {
	if o.Contained.Unknown != "" {
		return unknown(fmt.Sprintf("whether %s is in a protected branch could not be asked: %s", o.source(), foreign(o.Contained.Unknown)), askForge)
	}
	return refused(fmt.Sprintf("%s is not in a protected branch that counts%s", o.source(), explained(o.Contained.Reason)),
		"the author: promote an artifact that was built from the protected branch")
}

func (o Origin) source() string {
	return fmt.Sprintf("%s of %s", short(o.Commit), foreign(o.Repository))
}

// proven asks for one proof. What could not be read might have been one, so a
// statement that says otherwise refuses only where everything was read.
func (f Facts) proven(p schemas.Provenance, o Origin) finding {
	var others []Statement
	for _, s := range o.Statements {
		switch {
		case !s.trusted(p) || !slices.Contains(s.Digests, o.Digest):
		case o.matches(s):
			return met(fmt.Sprintf("%s was built from %s", brief(o.Digest), o.source())).because(s.evidence())
		default:
			others = append(others, s)
		}
	}
	run := f.reported(p.Check, o)
	switch {
	case run.cause == Met:
		return run
	case o.Unknown != "":
		return unknown(fmt.Sprintf("where %s was built could not be read: %s", brief(o.Digest), foreign(o.Unknown)), askForge).because(o.Ignored...)
	case len(others) > 0:
		return o.contradicted(others)
	case run.cause != "":
		return run.because(o.Ignored...)
	}
	return finding{
		cause:    Missing,
		reason:   fmt.Sprintf("nothing proves yet that %s was built from %s", brief(o.Digest), o.source()),
		unblocks: "the build, by " + wanted(p, o),
	}.because(o.Ignored...)
}

func (s Statement) trusted(p schemas.Provenance) bool {
	if s.Key == "" {
		return p.Attestation
	}
	return slices.ContainsFunc(p.Keys, func(k schemas.ProvenanceKey) bool { return k.Name == s.Key })
}

func (o Origin) matches(s Statement) bool {
	return o.Home != "" && strings.EqualFold(s.Repository, o.Home) && strings.EqualFold(s.Commit, o.Commit)
}

// contradicted: what was promoted is not what was reviewed and tested.
func (o Origin) contradicted(others []Statement) finding {
	s := others[0]
	f := refused(
		fmt.Sprintf("%s was built from %s of %s, not from %s", brief(o.Digest), short(s.Commit), foreign(s.Repository), o.source()),
		"the author: name the commit that the artifact was built from, or promote the artifact of that commit")
	for _, s := range others {
		f = f.because(s.evidence())
	}
	return f.because(o.Ignored...)
}

func (s Statement) evidence() Evidence {
	by := "attestation kept by the forge, its signature not verified"
	if s.Key != "" {
		by = "statement signed with key " + foreign(s.Key)
	}
	text := fmt.Sprintf("%s: %s of %s", by, short(s.Commit), foreign(s.Repository))
	if s.Builder != "" {
		text += ", by " + foreign(s.Builder)
	}
	return Evidence{Text: text}
}

// reported judges the policy's check. A run without an external id speaks of
// every digest: who repeats a build and fails takes back what it said. Runs that
// name another digest are about another artifact. Without a run the zero finding.
func (f Facts) reported(check *schemas.ProvenanceCheck, o Origin) finding {
	if check == nil || check.App == "" {
		return finding{}
	}
	named := schemas.Check{Gate: Provenance, Name: check.Name, App: check.App}
	ours, ignored := matching(named, o.Runs, o.Commit)
	ours = slices.DeleteFunc(ours, func(run forge.Check) bool { return run.ExternalID != "" && run.ExternalID != o.Digest })
	if len(ours) == 0 {
		if len(ignored) == 0 {
			return finding{}
		}
		return finding{
			cause:    Missing,
			reason:   fmt.Sprintf("no check proves yet that %s was built from %s", brief(o.Digest), o.source()),
			unblocks: foreign(check.App) + ", by reporting " + foreign(check.Name) + " with the digest as external id",
		}.because(ignored...)
	}
	latest := forge.LatestChecks(ours)
	verdict := f.verdict(named, Subject{Repository: o.Repository, Commits: []string{o.Commit}}, latest).because(ignored...)
	if verdict.cause != Met {
		return verdict
	}
	if !slices.ContainsFunc(latest, func(run forge.Check) bool { return run.ExternalID == o.Digest }) {
		return finding{
			cause:    Missing,
			reason:   fmt.Sprintf("check %s on %s names no digest", foreign(check.Name), o.source()),
			unblocks: foreign(check.App) + ", by reporting it with the digest as external id",
		}.because(verdict.evidence...)
	}
	verdict.reason = fmt.Sprintf("%s was built from %s", brief(o.Digest), o.source())
	return verdict.because(Evidence{Text: fmt.Sprintf("check %s by %s has the digest as external id", foreign(check.Name), foreign(check.App))})
}

// wanted lists what would do.
func wanted(p schemas.Provenance, o Origin) string {
	var ways []string
	if p.Attestation {
		ways = append(ways, "attesting it in "+foreign(o.Repository))
	}
	if len(p.Keys) > 0 {
		ways = append(ways, "a statement signed with a key of the policy")
	}
	if p.Check != nil {
		ways = append(ways, fmt.Sprintf("check %s of %s with the digest as external id", foreign(p.Check.Name), foreign(p.Check.App)))
	}
	return strings.Join(ways, ", or ")
}
