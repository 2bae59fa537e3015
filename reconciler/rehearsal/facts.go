package rehearsal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// The promotion that every case is a variant of.
const (
	repository   = "example/environments"
	source       = "example/service"
	branch       = "main"
	head         = "1111111111111111111111111111111111111111"
	merge        = "2222222222222222222222222222222222222222"
	earlier      = "8888888888888888888888888888888888888888" // the merge into the environment before
	sourceCommit = "3333333333333333333333333333333333333333"
	sourceBefore = "4444444444444444444444444444444444444444"
	baseTree     = "5555555555555555555555555555555555555555"
	inputs       = "66666666666666666666666666666666"
	image        = "registry.example.com/service"
	digest       = "sha256:7777777777777777777777777777777777777777777777777777777777777777"
	app          = 1
)

// A cast gives people numbers, which is what gates compare.
type cast struct {
	test   schemas.PolicyTest
	logins []string
}

func (c *cast) user(login string) forge.User {
	i := slices.Index(c.logins, login)
	if i < 0 {
		i = len(c.logins)
		c.logins = append(c.logins, login)
	}
	return forge.User{ID: int64(i) + 1, Login: login, Kind: "User"}
}

func (c *cast) person(login string) schemas.TestPerson {
	for _, p := range c.test.People {
		if p.Login == login {
			return p
		}
	}
	return schemas.TestPerson{Login: login}
}

// facts are what the gates are asked with.
func facts(test schemas.PolicyTest, policy schemas.Policy, of schemas.TestCase) gate.Facts {
	environment, _ := policy.Environment(test.Environment)
	at := of.At.Time
	artifacts := []gate.Artifact{{Image: image, Digest: digest, Repository: source, SourceCommit: sourceCommit}}
	c := &cast{test: test}
	change := c.change(of, environment.Approvals.Teams)
	f := gate.Facts{
		Environment: environment, First: policy.Index(test.Environment) == 0, Merged: of.Merged,
		Repository: repository, Branch: branch, Changes: []gate.Change{change},
		Class: of.Change, Incident: of.Incident, Classes: policy.Classes, Sources: c.sources(of, policy.Classes),
		Inputs: inputs, Revision: inputs[:8], Artifacts: artifacts, BaseTree: baseTree,
		Upstream: upstream(policy, test.Environment, of, artifacts),
		Checks:   checks(environment, of, change),
		Origins:  []gate.Origin{origin(environment.Provenance, of)},
	}
	render(&f, of.Manifests)
	stop(&f, of, at)
	return f
}

// change is the pull request with its reviews. Everything in it happened before
// the instant that is asked about, in the order in which it has to.
func (c *cast) change(of schemas.TestCase, teams []string) gate.Change {
	author, at := c.user(of.Author), of.At.Time
	pr := &forge.PullRequest{
		Number: 1, Title: of.Name, Open: !of.Merged, Merged: of.Merged, Author: author,
		Head: forge.Branch{Repository: repository, Name: "promotion", Commit: head},
		Base: forge.Branch{Repository: repository, Name: branch},
	}
	g := gate.Change{
		Commit: head, PullRequest: pr, Class: of.Change, Content: gate.Answer{Yes: true},
		Commits: []forge.PullRequestCommit{{Commit: head, Author: author, Committer: author}},
		Pushers: []forge.User{author}, PushRecord: gate.RecordTold, BaseRecord: gate.RecordTold,
		Members: map[string]map[int64]bool{}, Writers: map[int64]bool{},
	}
	if of.Merged {
		pr.MergedAt, pr.MergeCommit, pr.MergedBy, g.Commit = at.Add(-time.Minute), merge, author, merge
	}
	for _, team := range teams {
		g.Members[team] = map[int64]bool{}
	}
	c.review(&g, of.Approvals, forge.Approved, at.Add(-time.Hour))
	c.review(&g, of.Objections, forge.ChangesRequested, at.Add(-time.Hour))
	came(&g, of.Came)
	return g
}

func (c *cast) review(g *gate.Change, logins []string, state forge.ReviewState, at time.Time) {
	for _, login := range logins {
		user, person := c.user(login), c.person(login)
		g.Reviews = append(g.Reviews, forge.Review{ID: int64(len(g.Reviews)) + 1, User: user, State: state, Commit: head, SubmittedAt: at})
		g.Writers[user.ID] = !person.Reader
		for team, members := range g.Members {
			members[user.ID] = slices.ContainsFunc(person.Teams, func(t string) bool { return strings.EqualFold(t, team) })
		}
	}
}

func came(g *gate.Change, how string) {
	switch how {
	case "pushed":
		*g = gate.Change{Commit: merge}
	case "altered":
		g.Content = gate.Answer{Reason: "it was changed after the review"}
	case "unknown":
		g.Unknown = "the forge does not answer"
	}
}

// sources is one pull request of the source repository, and its author's checks.
func (c *cast) sources(of schemas.TestCase, classes schemas.Classes) []gate.Source {
	coder := c.user("coder")
	s := gate.Source{
		Repository: source, From: sourceBefore, To: sourceCommit, Record: gate.RecordTold,
		Commits:      []forge.PullRequestCommit{{Commit: sourceCommit, Author: coder, Committer: coder}},
		PullRequests: []forge.PullRequest{{Number: 1, Title: "Source", Labels: of.Labels}},
	}
	for _, check := range []*schemas.SignCheck{classes.Breaking.Check, classes.Security.Check} {
		if check != nil {
			s.Runs = append(s.Runs, run(check.Name, check.App, sourceCommit, "", of.At.Time))
		}
	}
	return []gate.Source{s}
}

// origin has a proof of the first kind that the policy accepts.
func origin(p *schemas.Provenance, of schemas.TestCase) gate.Origin {
	o := gate.Origin{
		Digest: digest, Repository: source, Commit: sourceCommit, Home: "forge.example.com/" + source, Contained: gate.Answer{Yes: true},
	}
	commit := sourceCommit
	switch of.Provenance {
	case "unknown":
		o.Unknown = "the forge does not answer"
		return o
	case "missing":
		return o
	case "elsewhere":
		commit = sourceBefore
	}
	statement := gate.Statement{Digests: []string{digest}, Repository: o.Home, Commit: commit}
	switch {
	case p == nil:
	case len(p.Keys) > 0:
		statement.Key = p.Keys[0].Name
		o.Statements = []gate.Statement{statement}
	case p.Attestation:
		o.Statements = []gate.Statement{statement}
	case p.Check != nil && commit == sourceCommit:
		r := run(p.Check.Name, p.Check.App, sourceCommit, "", of.At.Time)
		r.ExternalID = digest
		o.Runs = []forge.Check{r}
	}
	return o
}

func upstream(policy schemas.Policy, environment string, of schemas.TestCase, artifacts []gate.Artifact) gate.Upstream {
	before, ok := policy.Predecessor(environment)
	if !ok {
		return gate.Upstream{}
	}
	soaked := 24 * time.Hour
	if of.Soaked != nil {
		soaked = of.Soaked.Std()
	}
	u := gate.Upstream{Environment: before.Name, Soak: before.Soak, MaxErrorRate: 1, Metered: true}
	proof := gate.Proof{
		Artifacts: artifacts, BaseTree: baseTree, Since: of.At.Add(-soaked),
		Soak: gate.Soak{Healthy: soaked, Requests: 1_000_000},
	}
	switch of.Upstream {
	case "proven":
		u.Proven = []gate.Proof{proof}
	case "serving":
		u.Serving, u.Moving = &proof, artifacts
	case "moving":
		u.Moving = artifacts
	case "unknown":
		u.Unknown = "the record cannot be read"
	}
	return u
}

// checks are those of the policy in the states that the case gives them.
func checks(environment schemas.Environment, of schemas.TestCase, change gate.Change) map[string]gate.CheckFacts {
	out := map[string]gate.CheckFacts{}
	for _, check := range environment.Checks {
		subject := gate.Subject{Repository: source, Commits: []string{sourceCommit}, Contained: gate.Answer{Yes: true}}
		switch {
		case check.On == schemas.OnMerge:
			subject = gate.Subject{Repository: repository, Commits: []string{change.Commit}}
		case check.OnEnvironment() && of.Upstream == "proven":
			subject = gate.Subject{Repository: repository, Commits: []string{earlier}}
		case check.OnEnvironment():
			subject = gate.Subject{Repository: repository}
		}
		is := ""
		for _, c := range of.Checks {
			if c.Gate == check.Gate {
				is = c.Is
			}
		}
		switch {
		case is == "missing" || len(subject.Commits) == 0:
		case is == "unknown":
			subject.Unknown = "the forge does not answer"
		default:
			subject.Runs = []forge.Check{run(check.Name, check.App, subject.Commits[0], is, of.At.Time)}
		}
		if check.Alerts != nil {
			subject.Scan = scan(*check.Alerts, is == "alerted", of.At.Time)
		}
		out[check.Gate] = gate.CheckFacts{Subjects: []gate.Subject{subject}}
	}
	return out
}

// scan is an analysis of the source commit that found nothing, or one grave thing.
func scan(minded schemas.Alerts, alerted bool, at time.Time) *gate.Scan {
	then := at.Add(-2 * time.Hour)
	s := &gate.Scan{Analyses: []forge.Analysis{{ID: 1, Commit: sourceCommit, Tool: "scanner", CreatedAt: then}}}
	if alerted {
		s.Alerts = []forge.Alert{{Number: 1, Rule: "rule", Tool: "scanner", Severity: minded.Severity, CreatedAt: then}}
	}
	return s
}

// run ended, if it did, long enough ago that nobody can hope for its repetition.
func run(name, by, commit, is string, at time.Time) forge.Check {
	c := forge.Check{
		ID: 1, AppID: app, App: by, Name: name, Commit: commit, Status: "completed", Conclusion: "success",
		CompletedAt: at.Add(-2 * time.Hour),
	}
	if id := int64(0); isNumber(by, &id) {
		c.AppID = id
	}
	switch is {
	case "failed":
		c.Conclusion = "failure"
	case "running":
		c.Status, c.Conclusion, c.CompletedAt = "in_progress", "", time.Time{}
	}
	return c
}

func isNumber(s string, id *int64) bool {
	n, err := fmt.Sscan(s, id)
	return n == 1 && err == nil && fmt.Sprint(*id) == s
}

func render(f *gate.Facts, manifests string) {
	f.Rendered = manifests != "unknown"
	switch manifests {
	case "unpinned":
		f.Unpinned = []string{"Deployment service, container sidecar: sidecar:latest"}
	case "unprobed":
		f.Unprobed = []string{"Deployment service, container service: no startup probe"}
	case "broken":
		f.Rendered, f.RenderError = false, "kustomization.yaml cannot be read"
	}
}

func stop(f *gate.Facts, of schemas.TestCase, at time.Time) {
	for _, what := range of.Stopped {
		switch what {
		case "held":
			f.Holds = []gate.Hold{{Digests: []string{digest}, Reason: "it was rolled back", By: "sluice", At: at.Add(-time.Hour), Path: "control.yaml"}}
		case "paused":
			f.Paused = gate.Pause{Paused: true, Reason: "somebody is looking at it", Path: "control.yaml"}
		case "frozen":
			f.Frozen = gate.Freeze{Frozen: true, Reason: "an incident", Path: f.Environment.Name + "/control.yaml"}
		}
	}
	if of.Hotfix != "" {
		b := gate.Backfill{
			Name: "1.0.1 for INC-1", Deadline: at.Add(time.Hour), Sources: []gate.BuiltFrom{{Repository: source, Commit: sourceBefore}},
			Contained: gate.Answer{Reason: "it is not in the candidate"},
		}
		if of.Hotfix == "overdue" {
			b.Deadline = at.Add(-time.Hour)
		}
		f.Backfills = []gate.Backfill{b}
	}
}
