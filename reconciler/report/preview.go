package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// A Preview is what merging a pull request would do.
type Preview struct {
	Number int
	URL    string
	// Environments are all that this daemon reports on, in order of promotion.
	Environments []string
	// Scope names the daemon among several that share an account; "" for one.
	Scope    string
	Releases []Release // by name
	// Policy lists the files of the pull request that belong to the policy's owners.
	Policy []string
}

// A Release is what the gates say about one release that a pull request changes.
type Release struct {
	Environment string
	Service     string
	// From and To are the versions, for people; "" where there is none.
	From, To string
	Results  []gate.Result
	// Problem is why no gate could be asked, and Status what that means.
	Problem string
	Status  gate.Status
	Diff    Diff
}

func (r Release) name() string { return r.Environment + "/" + r.Service }

func (r Release) summary() gate.Summary {
	if r.Problem != "" {
		return gate.Summary{Verdict: gate.Wait, Status: r.Status, Title: cut(visible(r.Problem), maxProblem)}
	}
	return gate.Summarize(r.Results)
}

// Reports are what is shown on the head of the pull request, one for each
// environment.
func (p Preview) Reports() []forge.Report {
	var out []forge.Report
	for _, environment := range p.Environments {
		var touched []Release
		for _, r := range p.Releases {
			if r.Environment == environment {
				touched = append(touched, r)
			}
		}
		if len(touched) == 0 {
			out = append(out, p.neutral(environment))
		} else {
			out = append(out, p.report(environment, touched))
		}
	}
	return out
}

func (p Preview) neutral(environment string) forge.Report {
	title := "No release of " + environment + " changes"
	if len(p.Policy) > 0 {
		title += "; the owners decide about " + list(p.Policy, 20)
	}
	return forge.Report{
		Status:  forge.Status{Context: "sluice/" + environment, State: forge.StatusSuccess, Description: title, URL: p.URL},
		Neutral: true, Summary: inert(title) + ".\n",
	}
}

// report is about one environment; its title that of the worst release.
func (p Preview) report(environment string, releases []Release) forge.Report {
	worst := slices.MinFunc(releases, func(a, b Release) int { return rank(a.summary().Status) - rank(b.summary().Status) })
	s := worst.summary()
	title := s.Title
	if len(releases) > 1 {
		title = worst.name() + ": " + title
	}
	out := &page{}
	out.addAll(each(releases, Release.section), more("releases are", ""))
	return forge.Report{
		Status:  forge.Status{Context: "sluice/" + environment, State: state(s.Status), Description: visible(title), URL: p.URL},
		Summary: out.String(),
	}
}

func rank(s gate.Status) int {
	return slices.Index([]gate.Status{gate.StatusFailure, gate.StatusPending, gate.StatusSuccess}, s)
}

func state(s gate.Status) forge.StatusState {
	switch s {
	case gate.StatusSuccess:
		return forge.StatusSuccess
	case gate.StatusFailure:
		return forge.StatusFailure
	case gate.StatusPending:
	}
	return forge.StatusPending
}

// Comment is the pull request's one comment. Where it changes no release, there is
// only something to say if something else was said before.
func (p Preview) Comment() forge.Comment {
	marker := Marker(p.Scope)
	out := &page{}
	out.add(marker + "\n### What merging this would deploy\n\n")
	if len(p.Releases) == 0 {
		out.add("Nothing: it changes no release.\n")
		return forge.Comment{Marker: marker, Body: out.String(), Keep: true}
	}
	if len(p.Policy) > 0 {
		out.add("It also changes what belongs to the policy's owners: " + inert(list(p.Policy, 20)) + ".\n\n")
	}
	if len(p.Releases) > maxUnlisted {
		out.reserved = limit * 3 / 4
		out.addAll(p.overview(), more("releases are", ""))
		out.add("\n")
	}
	room := max(minDiffBytes, limit/2/len(p.Releases))
	differ := each(p.Releases, func(r Release) string { return r.changes(room) })
	out.reserved = min(total(differ), limit/2)
	out.addAll(each(p.Releases, Release.section), more("releases are", "; the checks have them"))
	out.reserved = 0
	out.addAll(differ, more("diffs are", ""))
	return forge.Comment{Marker: marker, Body: out.String()}
}

// maxUnlisted is how many releases can be looked through without a list of them.
const maxUnlisted = 12

// overview has a line for each release, the worst first.
func (p Preview) overview() []string {
	sorted := slices.Clone(p.Releases)
	slices.SortStableFunc(sorted, func(a, b Release) int { return rank(a.summary().Status) - rank(b.summary().Status) })
	return each(sorted, func(r Release) string {
		s := r.summary()
		return fmt.Sprintf("- %s %s %s\n", inert(r.name()), sign(s.Status), inert(s.Title))
	})
}

// Marker begins the one comment that a daemon keeps.
func Marker(scope string) string {
	if scope == "" {
		return "<!-- sluice:report -->"
	}
	return "<!-- sluice:report " + strings.ReplaceAll(visible(scope), "-->", "") + " -->"
}

func each(releases []Release, section func(Release) string) []string {
	var out []string
	for _, r := range releases {
		if s := section(r); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func total(sections []string) (n int) {
	for _, s := range sections {
		n += len(s)
	}
	return n
}

// list names as many as most and counts the others.
func list(names []string, most int) string {
	var out []string
	for _, name := range names[:min(len(names), most)] {
		out = append(out, cut(visible(name), maxName))
	}
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(out, ", "), len(names)-most)
	}
	return strings.Join(out, ", ")
}
