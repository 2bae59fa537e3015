package gate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

const (
	environments  = "acme/environments"
	source        = "acme/checkout"
	home          = "github.com/acme/checkout"
	releasers     = "acme/releasers"
	head          = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	earlierHead   = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	mergeCommit   = "cccccccccccccccccccccccccccccccccccccccc"
	sourceCommit  = "dddddddddddddddddddddddddddddddddddddddd"
	earlierSource = "5555555555555555555555555555555555555555"
	baseTree      = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
	inputs        = "1111111111111111111111111111111111111111"
	image         = "registry.example.com/shop/checkout"
	actions       = 15368
)

var (
	digest      = "sha256:" + strings.Repeat("6d", 32)
	otherDigest = "sha256:" + strings.Repeat("7e", 32)

	mergedAt = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now      = mergedAt.Add(time.Minute)

	author  = forge.User{ID: 1, Login: "author", Kind: "User"}
	coder   = forge.User{ID: 2, Login: "coder", Kind: "User"}
	pusher  = forge.User{ID: 3, Login: "pusher", Kind: "User"}
	helper  = forge.User{ID: 4, Login: "helper", Kind: "User"}
	webFlow = forge.User{ID: 5, Login: "web-flow", Kind: "User"}
	alice   = forge.User{ID: 11, Login: "alice", Kind: "User"}
	bob     = forge.User{ID: 12, Login: "bob", Kind: "User"}
	carol   = forge.User{ID: 13, Login: "carol", Kind: "User"}
	writer  = forge.User{ID: 14, Login: "writer", Kind: "User"} // writes, but is in no team
	visitor = forge.User{ID: 15, Login: "visitor", Kind: "User"}
	robot   = forge.User{ID: 16, Login: "robot[bot]", Kind: "Bot"}
)

// promotion returns the facts of a merged promotion to production that passes.
func promotion() gate.Facts {
	return gate.Facts{
		Environment: schemas.Environment{
			Name:      "production",
			Approvals: schemas.Approvals{Standard: 1, Breaking: 2, Security: 2, Hotfix: 2, Teams: []string{releasers}},
			Provenance: &schemas.Provenance{
				Keys: []schemas.ProvenanceKey{{Name: "build"}}, Attestation: true,
				Check: &schemas.ProvenanceCheck{Name: "image", App: "github-actions"},
			},
			Checks: []schemas.Check{
				{Gate: "tests", On: schemas.OnSource, Name: "test", App: "github-actions"},
				{Gate: "validate", On: schemas.OnMerge, Name: "validate", App: "github-actions"},
			},
			Windows: schemas.Windows{Timezone: "UTC", Open: []schemas.Window{{Cron: "0 8 * * MON-THU", Duration: schemas.Duration(10 * time.Hour)}}},
			Hotfix:  schemas.Hotfix{Waives: []string{"soak"}},
		},
		Merged:     true,
		Repository: environments,
		Branch:     "main",
		Changes:    []gate.Change{change()},
		Class:      schemas.ChangeStandard,
		Inputs:     inputs,
		Revision:   inputs[:10],
		Artifacts:  []gate.Artifact{{Image: image, Digest: digest, Repository: source, SourceCommit: sourceCommit}},
		Classes:    schemas.DefaultPolicy().Classes,
		Sources: []gate.Source{{
			Repository: source, From: earlierSource, To: sourceCommit, Record: gate.RecordTold,
			Commits:      []forge.PullRequestCommit{{Commit: sourceCommit, Author: coder, Committer: webFlow}},
			PullRequests: []forge.PullRequest{{Number: 7, Title: "Faster basket", Labels: []string{"enhancement"}, URL: "https://forge.example.com/acme/checkout/pull/7"}},
		}},
		BaseTree: baseTree,
		Rendered: true,
		Upstream: gate.Upstream{
			Environment: "staging",
			Proven: []gate.Proof{{
				Artifacts: []gate.Artifact{{Image: image, Digest: digest}},
				BaseTree:  baseTree,
				Since:     mergedAt.Add(-time.Hour),
				Soak:      gate.Soak{Healthy: 15 * time.Minute, Requests: 500},
			}},
			Soak:         &schemas.Soak{Duration: schemas.Duration(15 * time.Minute), ErrorRateIncreasePoints: 0.1, MinRequests: 500},
			MaxErrorRate: 1, Metered: true,
		},
		Origins: []gate.Origin{{
			Digest: digest, Repository: source, Commit: sourceCommit, Home: home, Contained: gate.Answer{Yes: true},
			Statements: []gate.Statement{signed(sourceCommit)},
		}},
		Checks: map[string]gate.CheckFacts{
			"tests": {Subjects: []gate.Subject{{
				Repository: source,
				Commits:    []string{sourceCommit},
				Runs:       []forge.Check{run(100, "test", sourceCommit, "success")},
				Contained:  gate.Answer{Yes: true},
			}}},
			"validate": {Subjects: []gate.Subject{{
				Repository: environments,
				Commits:    []string{mergeCommit, head},
				Runs:       []forge.Check{run(101, "validate", mergeCommit, "success")},
			}}},
		},
	}
}

// signed is a statement by the policy's key that the artifact was built from a commit.
func signed(commit string) gate.Statement {
	return gate.Statement{Key: "build", Digests: []string{otherDigest, digest}, Repository: home, Commit: commit, Builder: "builder"}
}

// preview returns the facts of the same promotion before its merge.
func preview() gate.Facts {
	f := promotion()
	f.Merged = false
	f.Changes[0].Commit = ""
	f.Changes[0].Content = gate.Answer{}
	pr := f.Changes[0].PullRequest
	pr.Open, pr.Merged, pr.MergedAt, pr.MergeCommit, pr.MergedBy = true, false, time.Time{}, "", forge.User{}
	f.Checks["validate"] = gate.CheckFacts{Subjects: []gate.Subject{{
		Repository: environments,
		Commits:    []string{head},
		Runs:       []forge.Check{run(101, "validate", head, "success")},
	}}}
	return f
}

func change() gate.Change {
	return gate.Change{
		Commit: mergeCommit,
		PullRequest: &forge.PullRequest{
			Number: 12, URL: "https://forge.example.com/acme/environments/pull/12", Title: "Promote checkout 1.42.0",
			Merged: true, MergedAt: mergedAt, MergeCommit: mergeCommit, MergedBy: author, Author: author,
			Head: forge.Branch{Repository: environments, Name: "promote", Commit: head},
			Base: forge.Branch{Repository: environments, Name: "main"},
		},
		Content: gate.Answer{Yes: true},
		Reviews: []forge.Review{review(201, alice, forge.Approved, -10*time.Minute)},
		Commits: []forge.PullRequestCommit{
			{Commit: earlierHead, Author: coder, Committer: webFlow, CoAuthors: []forge.User{helper}},
			{Commit: head, Author: author, Committer: author},
		},
		Pushers:    []forge.User{pusher},
		PushRecord: gate.RecordTold,
		BaseRecord: gate.RecordTold,
		Members:    map[string]map[int64]bool{releasers: members(alice, bob, carol, author, coder, helper, pusher, robot, webFlow)},
		Writers:    members(alice, bob, carol, author, coder, helper, pusher, robot, writer),
	}
}

// members includes id 0, so that nobody passes for being nobody.
func members(users ...forge.User) map[int64]bool {
	m := map[int64]bool{0: true}
	for _, u := range users {
		m[u.ID] = true
	}
	return m
}

// review returns a review of the final head, at a time relative to the merge.
func review(id int64, user forge.User, state forge.ReviewState, at time.Duration) forge.Review {
	return forge.Review{ID: id, User: user, State: state, Commit: head, SubmittedAt: mergedAt.Add(at)}
}

func run(id int64, name, commit, conclusion string) forge.Check {
	c := forge.Check{
		ID: id, AppID: actions, App: "github-actions", Name: name, Commit: commit,
		Status: "in_progress", StartedAt: mergedAt.Add(-20 * time.Minute),
	}
	if conclusion != "" {
		c.Status, c.Conclusion, c.CompletedAt = "completed", conclusion, mergedAt.Add(-15*time.Minute)
	}
	return c
}

// ask evaluates and returns one gate's result.
func ask(t *testing.T, f gate.Facts, name string) gate.Result {
	t.Helper()
	return pick(t, gate.Evaluate(f, now), name)
}

func pick(t *testing.T, results []gate.Result, name string) gate.Result {
	t.Helper()
	for _, r := range results {
		if r.Gate == name {
			return r
		}
	}
	require.Failf(t, "no such gate", "%s in %v", name, results)
	return gate.Result{}
}

// texts joins the evidence of a result.
func texts(r gate.Result) string {
	var b strings.Builder
	for _, e := range r.Evidence {
		b.WriteString(e.Text + "\n")
	}
	return b.String()
}
