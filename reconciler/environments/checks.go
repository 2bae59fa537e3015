package environments

import (
	"context"
	"strings"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// checks gathers the runs of every check that the policy names.
func (q *inquiry) checks(ctx context.Context, rules Rules, file schemas.Release, changes []gate.Change, c Candidate) map[string]gate.CheckFacts {
	out := map[string]gate.CheckFacts{}
	environment, _ := rules.Policy.Environment(c.Key.Environment)
	for _, check := range environment.Checks {
		switch check.On {
		case schemas.OnSource:
			out[check.Gate] = q.sourceFacts(ctx, check, rules.Services[c.Key.Service], file)
		case schemas.OnMerge:
			out[check.Gate] = q.mergeFacts(ctx, changes, c)
		default:
			out[check.Gate] = q.provenFacts(ctx, c.Proven[check.On])
		}
	}
	return out
}

// sourceFacts asks about the commits that the artifacts were built from. Where
// that is belongs to the owners of the policy: whoever writes a release could
// name a repository of his own, with checks that always succeed.
func (q *inquiry) sourceFacts(ctx context.Context, check schemas.Check, service schemas.Service, file schemas.Release) gate.CheckFacts {
	var facts gate.CheckFacts
	for _, a := range file.List() {
		subject := gate.Subject{Repository: a.Source.Repository, Commits: []string{a.Source.Commit}}
		if strings.EqualFold(a.Source.Repository, service.Source.Repository) {
			subject = q.source(ctx, check, q.allowed(service, file), a.Source)
		} else {
			subject.Contained.Reason = "the service is built from " + service.Source.Repository
		}
		facts.Subjects = append(facts.Subjects, subject)
	}
	return facts
}

func (q *inquiry) source(ctx context.Context, check schemas.Check, branches []string, from schemas.ArtifactSource) gate.Subject {
	branch, contained := q.contained(ctx, branches, from)
	s := gate.Subject{Repository: from.Repository, Commits: []string{from.Commit}, Contained: contained}
	runs, err := q.ask.Checks(ctx, from.Repository, from.Commit)
	if err != nil {
		s.Unknown = err.Error()
	}
	s.Runs = runs
	if check.Alerts != nil && contained.Yes {
		s.Scan = q.scanned(ctx, branch, from.Commit)
	}
	return s
}

// mergeFacts asks about the merge of the promotion: its commit, and the
// reviewed head where the release and what checks it are the same there.
func (q *inquiry) mergeFacts(ctx context.Context, changes []gate.Change, c Candidate) gate.CheckFacts {
	if len(changes) == 0 {
		return gate.CheckFacts{Unknown: "which changes led to these inputs is not known"}
	}
	last := changes[len(changes)-1]
	subject := gate.Subject{Repository: q.name, Commits: []string{last.Commit}}
	if pr := last.PullRequest; pr != nil && pr.Merged && last.Content.Yes {
		same, err := q.sameChecked(c, last.Commit, pr.Head.Commit)
		switch {
		case err != nil:
			subject.Unknown = err.Error()
		case same:
			subject.Commits = append(subject.Commits, pr.Head.Commit)
		}
	}
	for _, commit := range subject.Commits {
		runs, err := q.ask.Checks(ctx, q.name, commit)
		if err != nil {
			subject.Unknown = err.Error()
		}
		subject.Runs = append(subject.Runs, runs...)
	}
	return gate.CheckFacts{Subjects: []gate.Subject{subject}}
}

// workflows is where the checks of a commit are written down. Those of an older
// commit may ask for less than what the branch has come to ask for since.
const workflows = ".github"

// sameChecked: a check says the same of either commit.
func (q *inquiry) sameChecked(c Candidate, a, b string) (bool, error) {
	same, err := q.sameRelease(c, a, b)
	if err != nil || !same {
		return false, err
	}
	return q.sameDirectory(workflows, a, b)
}

// sameRelease: two commits have the same directory of the release, and where
// the base is not pinned the same base.
func (q *inquiry) sameRelease(c Candidate, a, b string) (bool, error) {
	same, err := q.sameDirectory(c.Key.String(), a, b)
	if err != nil || !same || c.Want.Revision.Base != c.Want.Revision.Commit {
		return same, err
	}
	return q.sameDirectory(baseDir(c.Key), a, b)
}

func (q *inquiry) sameDirectory(dir, a, b string) (bool, error) {
	inA, err := q.git.SubtreeHash(a, dir)
	if err != nil {
		return false, err
	}
	inB, err := q.git.SubtreeHash(b, dir)
	return inA == inB, err
}

// baseDir is where the configuration of a service is that environments share.
func baseDir(key release.Key) string { return "services/" + key.Service }
