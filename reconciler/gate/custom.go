package gate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/schemas"
	"github.com/sluice-cd/sluice/schemas/condition"
)

// custom returns a question for each gate of the policy's own. They are listed
// after the checks and asked where those are.
func (f Facts) custom() []question {
	questions := make([]question, len(f.Environment.Gates))
	for i, g := range f.Environment.Gates {
		questions[i] = question{
			gate:   f.customName(g.Name),
			answer: func(f Facts, now time.Time) finding { return f.customized(g, now) },
		}
	}
	return questions
}

// customName keeps a gate from passing itself off as another one.
func (f Facts) customName(name string) string {
	isCheck := slices.ContainsFunc(f.Environment.Checks, func(c schemas.Check) bool { return c.Gate == name })
	if isCheck || checkGate(name) != name {
		return "custom-" + name
	}
	return name
}

// customized asks a gate about every change of the release itself: what one pull
// request must not do, another after it does not make good.
func (f Facts) customized(g schemas.CustomGate, now time.Time) finding {
	var findings []finding
	for _, c := range f.Changes {
		if !c.Base {
			findings = append(findings, f.satisfied(g, f.spokenOf(c, now)))
		}
	}
	if len(findings) == 0 {
		return unknown("which pull request led to these inputs is not known", askForge)
	}
	return worst(findings)
}

// satisfied evaluates the two conditions of a gate.
func (f Facts) satisfied(g schemas.CustomGate, facts condition.Facts) finding {
	if !g.AppliesWhen.IsZero() {
		applies, err := g.AppliesWhen.Holds(facts)
		if err != nil {
			return unanswered("whether it applies", err)
		}
		if !applies {
			return met("does not apply: appliesWhen is false").because(quoted("appliesWhen", g.AppliesWhen))
		}
	}
	holds, err := g.Requires.Holds(facts)
	switch {
	case err != nil:
		return unanswered("what it requires", err).because(quoted("requires", g.Requires))
	case holds:
		return met("what it requires is true").because(quoted("requires", g.Requires))
	case g.OnFalse == schemas.OnFalseWait:
		return finding{cause: Later, reason: foreignSentence(g.Message), unblocks: foreignSentence(g.Unblocks)}.because(quoted("requires", g.Requires))
	}
	return refused(foreignSentence(g.Message), foreignSentence(g.Unblocks)).because(quoted("requires", g.Requires))
}

// unanswered: neither an error nor a fact that is not known says anything.
func unanswered(what string, err error) finding {
	unblocks := "the owners of the policy: a condition has to have an answer for every release, for example by asking has(…) or … in … first"
	if errors.Is(err, condition.ErrUnknown) {
		unblocks = askForge
	}
	return unknown(what+" could not be evaluated: "+foreign(err.Error()), unblocks)
}

func quoted(name string, c schemas.Condition) Evidence {
	return Evidence{Text: name + ": " + inert.Replace(c.String())}
}

// foreignSentence is foreign for a whole sentence of the policy.
func foreignSentence(s string) string { return inert.Replace(line(s, maxReason)) }

// spokenOf is what conditions may know of a change.
func (f Facts) spokenOf(c Change, now time.Time) condition.Facts {
	facts := condition.Facts{
		Release: condition.Release{
			Environment: f.Environment.Name, Service: f.Service, Class: f.Class, Incident: f.Incident, Version: f.Version,
		},
		Upstream: condition.Upstream{Environment: f.Upstream.Environment},
		Change:   condition.Change{Paths: c.Paths},
		Now:      now,
		Unknown:  map[string]string{},
	}
	for _, a := range f.Artifacts {
		facts.Release.Artifacts = append(facts.Release.Artifacts, condition.Artifact{
			Image: a.Image, Digest: a.Digest, Repository: a.Repository, Commit: a.SourceCommit,
		})
	}
	f.tellPullRequest(&facts, c)
	f.tellUpstream(&facts)
	facts.Checks.Source = f.conclusions(&facts, schemas.OnSource)
	facts.Checks.Merge = f.conclusions(&facts, schemas.OnMerge)
	return facts
}

func (f Facts) tellPullRequest(facts *condition.Facts, c Change) {
	const paths, pull = "change.paths", "pullRequest"
	if f.Merged && !c.Content.yes() {
		facts.Unknown[paths] = "what landed is not proven to be what was reviewed"
	}
	if c.PullRequest == nil {
		facts.Unknown[pull] = "there is none"
		return
	}
	pr := c.PullRequest
	facts.PullRequest = condition.PullRequest{Number: pr.Number, Title: pr.Title, Author: pr.Author.Login, Labels: pr.Labels}
	if why := c.unreviewable(); c.Unknown != "" || why != "" {
		facts.Unknown[pull+".approvals"] = "the reviews could not be read"
		return
	}
	t := tally(c.reviewers(f.Environment.Approvals, f.barred(c)))
	facts.PullRequest.Approvals = t.approved
	if len(t.undecided) > 0 {
		facts.Unknown[pull+".approvals"] = "whether the word of " + names(t.undecided) + " counts could not be asked"
	}
}

func (f Facts) tellUpstream(facts *condition.Facts) {
	const since = "upstream.stableSince"
	if f.Upstream.Unknown != "" {
		facts.Unknown["upstream"] = "its record could not be read"
		return
	}
	facts.Unknown[since] = "the same artifact and base were not stable there"
	for _, p := range f.Upstream.Proven {
		if !p.Since.IsZero() && p.BaseTree == f.BaseTree && f.BaseTree != "" && sameArtifacts(p.Artifacts, f.Artifacts) {
			facts.Upstream.StableSince = p.Since
			delete(facts.Unknown, since)
		}
	}
}

// conclusions is what the checks on the source or on the merge ended with. Only a
// check of all subjects is told, and the worst of its conclusions.
func (f Facts) conclusions(facts *condition.Facts, on string) map[string]string {
	given, name := f.Runs[on], "checks."+on
	if given.Unknown != "" || len(given.Subjects) == 0 {
		facts.Unknown[name] = "the checks could not be read"
		return nil
	}
	var all map[string]string
	for i, s := range given.Subjects {
		if s.Unknown != "" || on == schemas.OnSource && !s.Contained.yes() {
			facts.Unknown[name] = "the checks could not be read, or are not on a protected branch"
			return nil
		}
		ended := s.ended()
		if i == 0 {
			all = ended
			continue
		}
		for check, conclusion := range all {
			switch other, ok := ended[check]; {
			case !ok:
				delete(all, check)
			case conclusion == "success":
				all[check] = other
			}
		}
	}
	return all
}

// ended is what the latest run of each check on a subject ended with, on the first
// commit that has one.
func (s Subject) ended() map[string]string {
	out := map[string]string{}
	for _, commit := range slices.Backward(s.Commits) {
		var runs []forge.Check
		for _, run := range s.Runs {
			if run.Commit == commit && commit != "" {
				runs = append(runs, run)
			}
		}
		for _, run := range forge.LatestChecks(runs) {
			out[fmt.Sprintf("%s/%s", run.App, run.Name)] = ending(run)
		}
	}
	return out
}

func ending(run forge.Check) string {
	if run.Status != "completed" || run.Conclusion == "" {
		return "pending"
	}
	return run.Conclusion
}
