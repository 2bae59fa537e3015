package gate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/schemas"
)

// checks returns a question for each check of the policy.
func (f Facts) checks() []question {
	questions := make([]question, len(f.Environment.Checks))
	for i, check := range f.Environment.Checks {
		questions[i] = question{
			gate:   checkGate(check.Gate),
			answer: anytime(func(f Facts) finding { return f.checked(check) }),
		}
	}
	return questions
}

// checkGate keeps a check from passing itself off as one of the other gates.
func checkGate(name string) string {
	for _, r := range precedence() {
		if name == r.gate {
			return "check-" + name
		}
	}
	return name
}

// checked judges one check of the policy.
func (f Facts) checked(check schemas.Check) finding {
	facts := f.Checks[check.Gate]
	switch {
	case check.App == "":
		return unknown(fmt.Sprintf("check %s names no app, so anybody could report it", check.Gate), "the owners of the policy: name the app that reports "+foreign(check.Name))
	case facts.Unknown != "":
		return unknown(fmt.Sprintf("check %s could not be read: %s", check.Gate, foreign(facts.Unknown)), askForge)
	case !f.covered(check, facts.Subjects):
		return unknown(fmt.Sprintf("check %s has not been looked up yet", check.Gate), "Sluice, as soon as it has asked the forge")
	}
	findings := make([]finding, len(facts.Subjects))
	for i, subject := range facts.Subjects {
		findings[i] = f.checkedOn(check, subject)
	}
	return worst(findings)
}

// covered: there is an answer for everything that the check is asked on.
func (f Facts) covered(check schemas.Check, subjects []Subject) bool {
	if len(subjects) == 0 {
		return false
	}
	if check.On != schemas.OnSource {
		return true
	}
	for _, a := range f.Artifacts {
		if !asked(a, subjects) {
			return false
		}
	}
	return true
}

func asked(a Artifact, subjects []Subject) bool {
	for _, s := range subjects {
		sameRepository := strings.EqualFold(s.Repository, a.Repository)
		if sameRepository && len(s.Commits) == 1 && s.Commits[0] == a.SourceCommit {
			return true
		}
	}
	return false
}

// checkedOn judges a check on one subject.
func (f Facts) checkedOn(check schemas.Check, s Subject) finding {
	switch {
	case s.Unknown != "":
		return unknown(fmt.Sprintf("check %s could not be read: %s", check.Gate, foreign(s.Unknown)), askForge)
	case len(s.Commits) == 0 && check.OnEnvironment():
		return unprovenThere(check)
	case len(s.Commits) == 0:
		return unknown(fmt.Sprintf("check %s has no commit to be looked up on", check.Gate), askForge)
	}
	if check.On == schemas.OnSource && !s.Contained.yes() {
		return uncontained(check, s)
	}
	ran := f.concluded(check, s)
	if check.Alerts == nil {
		return ran
	}
	if check.On != schemas.OnSource {
		return unknown(fmt.Sprintf("alerts of check %s are asked on %s", check.Gate, foreign(check.On)), "the owners of the policy: ask alerts on source, where code is scanned")
	}
	return worst([]finding{ran, f.alerted(check, s)})
}

// unprovenThere: what an environment has not proven has no commit there that a
// check could speak about.
func unprovenThere(check schemas.Check) finding {
	there := foreign(check.On)
	return finding{
		cause:    Missing,
		reason:   fmt.Sprintf("check %s is asked on what %s has proven, and it has not proven this artifact with this base", check.Gate, there),
		unblocks: fmt.Sprintf("the rollout in %s, once it is stable, and then %s", there, foreign(check.App)),
	}
}

// uncontained: a check on a commit that never was on the protected branch says
// nothing about reviewed code.
func uncontained(check schemas.Check, s Subject) finding {
	commit := fmt.Sprintf("%s of %s", short(s.Commits[0]), foreign(s.Repository))
	if s.Contained.Unknown != "" {
		return unknown(fmt.Sprintf("whether %s is in a protected branch could not be asked: %s", commit, foreign(s.Contained.Unknown)), askForge)
	}
	return refused(
		fmt.Sprintf("check %s does not count: %s is not in the protected default branch%s", check.Gate, commit, explained(s.Contained.Reason)),
		"the author: promote an artifact that was built from the protected branch")
}

// concluded judges the latest runs on the first commit that has any: a head
// speaks for the merge only as long as the merge has nothing to say itself.
func (f Facts) concluded(check schemas.Check, s Subject) finding {
	var decisive []forge.Check
	var ignored []Evidence
	for _, commit := range s.Commits {
		ours, others := matching(check, s.Runs, commit)
		ignored = append(ignored, others...)
		if len(decisive) == 0 {
			decisive = forge.LatestChecks(ours)
		}
	}
	return f.verdict(check, s, decisive).because(ignored...)
}

// verdict: one failure is enough to refuse, and one run under way to wait.
func (f Facts) verdict(check schemas.Check, s Subject, runs []forge.Check) finding {
	var succeeded, running, failed []forge.Check
	for _, run := range runs {
		switch {
		case run.Status != "completed":
			running = append(running, run)
		case run.Conclusion == "success":
			succeeded = append(succeeded, run)
		default:
			failed = append(failed, run)
		}
	}
	app := foreign(check.App)
	switch {
	case len(failed) > 0:
		return finding{
			cause:    Concluded,
			reason:   fmt.Sprintf("check %s ended with %s", check.Gate, conclusion(failed[0])),
			unblocks: fmt.Sprintf("%s, by repeating %s with success; else a fix and a new artifact", app, foreign(check.Name)),
			since:    f.since(failed),
		}.because(runEvidence(failed)...)
	case len(running) > 0:
		return finding{
			cause:    Missing,
			reason:   fmt.Sprintf("check %s is running", check.Gate),
			unblocks: fmt.Sprintf("%s, by finishing %s", app, foreign(check.Name)),
		}.because(runEvidence(running)...)
	case len(succeeded) > 0:
		return met(fmt.Sprintf("check %s succeeded", check.Gate)).because(runEvidence(succeeded)...)
	}
	return finding{
		cause:    Missing,
		reason:   fmt.Sprintf("check %s has not reported yet", check.Gate),
		unblocks: fmt.Sprintf("%s, by reporting %s on %s of %s", app, foreign(check.Name), short(s.Commits[0]), foreign(s.Repository)),
	}
}

// matching separates the runs of a check on a commit from those that only
// have its name.
func matching(check schemas.Check, runs []forge.Check, commit string) (ours []forge.Check, others []Evidence) {
	for _, run := range runs {
		if run.Name != check.Name || run.Commit != commit || commit == "" {
			continue
		}
		if writtenBy(run, check.App) {
			ours = append(ours, run)
			continue
		}
		others = append(others, Evidence{
			Text: fmt.Sprintf("a check of the same name by app %s (%d) does not count", foreign(run.App), run.AppID),
			URL:  run.URL,
		})
	}
	return ours, others
}

// writtenBy compares the app's id where the policy gives a number, otherwise
// its slug. A number is never compared with slugs: an app may be called so.
func writtenBy(run forge.Check, app string) bool {
	if id, err := strconv.ParseInt(app, 10, 64); err == nil {
		return id != 0 && run.AppID == id
	}
	return app != "" && run.App == app
}

// since is when the time for a repetition began: with the first failure, but
// not before the merge, since nobody had to hurry until then.
func (f Facts) since(failed []forge.Check) time.Time {
	first := failed[0].CompletedAt
	for _, run := range failed {
		if run.CompletedAt.Before(first) {
			first = run.CompletedAt
		}
	}
	return f.afterMerge(first)
}

// afterMerge is an instant, or the last merge if that came later.
func (f Facts) afterMerge(at time.Time) time.Time {
	for _, c := range f.Changes {
		if c.PullRequest != nil && c.PullRequest.Merged && c.PullRequest.MergedAt.After(at) {
			at = c.PullRequest.MergedAt
		}
	}
	return at
}

func conclusion(run forge.Check) string {
	if run.Conclusion == "" {
		return "no result"
	}
	return foreign(strings.ReplaceAll(run.Conclusion, "_", " "))
}

func runEvidence(runs []forge.Check) []Evidence {
	evidence := make([]Evidence, len(runs))
	for i, run := range runs {
		state := run.Status
		if run.Status == "completed" {
			state = conclusion(run)
		}
		evidence[i] = Evidence{
			Text: fmt.Sprintf("%s by %s on %s: %s", foreign(run.Name), foreign(run.App), short(run.Commit), foreign(state)),
			URL:  run.URL,
			ID:   fmt.Sprintf("check %d", run.ID),
		}
	}
	return evidence
}
