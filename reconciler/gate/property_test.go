package gate_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// A setback makes facts less favourable in one respect.
type setback struct {
	name string
	edit func(*gate.Facts, *rand.Rand)
}

func anyChange(f *gate.Facts, r *rand.Rand) *gate.Change { return &f.Changes[r.IntN(len(f.Changes))] }

func anySubject(f *gate.Facts, r *rand.Rand) *gate.Subject {
	name := []string{"tests", "validate"}[r.IntN(2)]
	facts, ok := f.Checks[name]
	if !ok {
		return &gate.Subject{}
	}
	return &facts.Subjects[0]
}

func onApproval(edit func(*forge.Review)) func(*gate.Facts, *rand.Rand) {
	return func(f *gate.Facts, r *rand.Rand) {
		reviews := anyChange(f, r).Reviews
		if len(reviews) == 0 {
			return
		}
		if review := &reviews[r.IntN(len(reviews))]; review.State == forge.Approved {
			edit(review)
		}
	}
}

// sameApprover makes every approval a repetition of the first one.
func sameApprover(c *gate.Change) {
	first := slices.IndexFunc(c.Reviews, func(r forge.Review) bool { return r.State == forge.Approved })
	for i := range c.Reviews {
		if c.Reviews[i].State == forge.Approved {
			id := c.Reviews[i].ID
			c.Reviews[i] = c.Reviews[first]
			c.Reviews[i].ID = id
		}
	}
}

func onChange(edit func(*gate.Change)) func(*gate.Facts, *rand.Rand) {
	return func(f *gate.Facts, r *rand.Rand) { edit(anyChange(f, r)) }
}

func onPull(edit func(*forge.PullRequest)) func(*gate.Facts, *rand.Rand) {
	return onChange(func(c *gate.Change) {
		if c.PullRequest != nil {
			edit(c.PullRequest)
		}
	})
}

func onRuns(edit func(*gate.Subject, *rand.Rand)) func(*gate.Facts, *rand.Rand) {
	return func(f *gate.Facts, r *rand.Rand) { edit(anySubject(f, r), r) }
}

func onOrigin(edit func(*gate.Origin)) func(*gate.Facts, *rand.Rand) {
	return func(f *gate.Facts, _ *rand.Rand) { edit(&f.Origins[0]) }
}

func built(id int64, conclusion string) forge.Check {
	r := run(id, "image", sourceCommit, conclusion)
	r.ExternalID = digest
	return r
}

func onScan(edit func(*gate.Scan)) func(*gate.Facts, *rand.Rand) {
	return func(f *gate.Facts, _ *rand.Rand) {
		if s := f.Checks["tests"].Subjects; len(s) > 0 && s[0].Scan != nil {
			edit(s[0].Scan)
		}
	}
}

func setbacks() []setback {
	return []setback{
		{"direct push", onChange(func(c *gate.Change) { c.PullRequest = nil })},
		{"unreviewed change before", func(f *gate.Facts, _ *rand.Rand) {
			f.Changes = append([]gate.Change{{Commit: earlierHead}}, f.Changes...)
		}},
		{"unknown change", onChange(func(c *gate.Change) { c.Unknown = "timeout" })},
		{"content differs", onChange(func(c *gate.Change) { c.Content = gate.Answer{Reason: "differs"} })},
		{"content unknown", onChange(func(c *gate.Change) { c.Content.Unknown = "timeout" })},
		{"owned paths", onChange(func(c *gate.Change) { c.Owned = []string{"sluice.yaml"} })},
		{"other base", onPull(func(p *forge.PullRequest) { p.Base.Name = "other" })},
		{"pushed again", onPull(func(p *forge.PullRequest) { p.Head.Commit = "9999" })},
		{"approval dismissed", onApproval(func(r *forge.Review) { r.State = forge.Dismissed })},
		{"approval only a comment", onApproval(func(r *forge.Review) { r.State = forge.Commented })},
		{"approval an objection", onApproval(func(r *forge.Review) { r.State = forge.ChangesRequested })},
		{"approval stale", onApproval(func(r *forge.Review) { r.Commit = earlierHead })},
		{"approval late", onApproval(func(r *forge.Review) { r.SubmittedAt = mergedAt.Add(time.Second) })},
		{"approval by a bot", onApproval(func(r *forge.Review) { r.User.Kind = "Bot" })},
		{"approval by the same person", onChange(sameApprover)},
		{"objection", onChange(func(c *gate.Change) {
			c.Reviews = append(c.Reviews, review(500, bob, forge.ChangesRequested, -time.Second))
		})},
		{"approver wrote it", onChange(func(c *gate.Change) {
			c.Commits = append(c.Commits, forge.PullRequestCommit{Commit: "8888", Author: alice, Committer: alice})
		})},
		{"approver pushed it", onChange(func(c *gate.Change) { c.Pushers = append(c.Pushers, carol) })},
		{"pusher not told", onChange(func(c *gate.Change) { c.PushRecord = gate.RecordSilent })},
		{"base not told", onChange(func(c *gate.Change) { c.BaseRecord = gate.RecordSilent })},
		{"base changed", onChange(func(c *gate.Change) { c.BaseChanges = append(c.BaseChanges, mergedAt.Add(time.Hour)) })},
		{"commits cut off", onChange(func(c *gate.Change) { c.Commits = nil })},
		{"team unread", onChange(func(c *gate.Change) { c.Members = nil })},
		{"writers unread", onChange(func(c *gate.Change) { c.Writers = nil })},
		{"stricter class", func(f *gate.Facts, _ *rand.Rand) { f.Class = schemas.ChangeBreaking }},
		{"no class", func(f *gate.Facts, _ *rand.Rand) { f.Class = "" }},
		{"owned by others", onChange(func(c *gate.Change) { c.Sections.List = append(c.Sections.List, section("acme/none")) })},
		{"owners unreadable", onChange(func(c *gate.Change) { c.Sections.Fault = "broken" })},
		{"labelled", func(f *gate.Facts, _ *rand.Rand) { label(f, "breaking") }},
		{"source unread", func(f *gate.Facts, _ *rand.Rand) { f.Sources[0].Unknown = "timeout" }},
		{"source beyond count", func(f *gate.Facts, _ *rand.Rand) { f.Sources[0].TooMany = true }},
		{"source of another commit", func(f *gate.Facts, _ *rand.Rand) { f.Sources[0].To = head }},
		{"approver wrote the source", func(f *gate.Facts, _ *rand.Rand) { f.Sources[0].Commits[0].Author = alice }},
		{"authors excluded", func(f *gate.Facts, _ *rand.Rand) { f.Environment.Approvals.ExcludeSourceAuthors = true }},
		{"run fails", onRuns(func(s *gate.Subject, _ *rand.Rand) {
			for i := range s.Runs {
				s.Runs[i].Conclusion = "failure"
			}
		})},
		{"run repeated", onRuns(func(s *gate.Subject, r *rand.Rand) {
			if len(s.Runs) > 0 {
				again := s.Runs[r.IntN(len(s.Runs))]
				again.ID, again.Status, again.Conclusion = 10_000, "in_progress", ""
				s.Runs = append(s.Runs, again)
			}
		})},
		{"spoofed run", onRuns(func(s *gate.Subject, _ *rand.Rand) {
			for _, name := range []string{"test", "validate"} {
				for _, commit := range s.Commits {
					spoof := run(20_000, name, commit, "success")
					spoof.AppID, spoof.App = 666, "evil"
					s.Runs = append(s.Runs, spoof)
				}
			}
		})},
		{"runs gone", onRuns(func(s *gate.Subject, _ *rand.Rand) { s.Runs = nil })},
		{"runs unread", onRuns(func(s *gate.Subject, _ *rand.Rand) { s.Unknown = "timeout" })},
		{"source unprotected", onRuns(func(s *gate.Subject, _ *rand.Rand) { s.Contained = gate.Answer{} })},
		{"check not asked", func(f *gate.Facts, _ *rand.Rand) { delete(f.Checks, "tests") }},
		{"alert open", onScan(func(s *gate.Scan) { s.Alerts = append(s.Alerts, alert("critical", 0, 0)) })},
		{"alert of lower severity", onScan(func(s *gate.Scan) { s.Alerts = append(s.Alerts, alert("low", 0, 0)) })},
		{"analysis gone", onScan(func(s *gate.Scan) { s.Analyses = nil })},
		{"analysis failed", onScan(func(s *gate.Scan) {
			for i := range s.Analyses {
				s.Analyses[i].Error = "unreadable"
			}
		})},
		{"alerts unread", onScan(func(s *gate.Scan) { s.Unknown = "timeout" })},
		{"alerts not asked", func(f *gate.Facts, _ *rand.Rand) {
			if f.Environment.Checks[0].Alerts != nil && len(f.Checks["tests"].Subjects) > 0 {
				f.Checks["tests"].Subjects[0].Scan = nil
			}
		}},
		{"digest malformed", func(f *gate.Facts, _ *rand.Rand) { f.Artifacts[0].Digest = "latest" }},
		{"source unprotected", onOrigin(func(o *gate.Origin) { o.Contained = gate.Answer{} })},
		{"source not asked", onOrigin(func(o *gate.Origin) { o.Contained.Unknown = "timeout" })},
		{"no statement", onOrigin(func(o *gate.Origin) { o.Statements = nil })},
		{"statements of another commit", onOrigin(func(o *gate.Origin) {
			for i := range o.Statements {
				o.Statements[i].Commit = head
			}
		})},
		{"statements by a stranger", onOrigin(func(o *gate.Origin) {
			for i := range o.Statements {
				o.Statements[i].Key = "stranger"
			}
		})},
		{"one more statement of another commit", onOrigin(func(o *gate.Origin) { o.Statements = append(o.Statements, signed(head)) })},
		{"statement of another digest", onOrigin(func(o *gate.Origin) {
			s := signed(sourceCommit)
			s.Digests = []string{otherDigest}
			o.Statements = append(o.Statements, s)
		})},
		{"build fails", onOrigin(func(o *gate.Origin) { o.Runs = append(o.Runs, built(30_000, "failure")) })},
		{"build repeated", onOrigin(func(o *gate.Origin) { o.Runs = append(o.Runs, built(30_001, "")) })},
		{"build without a digest", onOrigin(func(o *gate.Origin) {
			r := built(30_002, "success")
			r.ExternalID = ""
			o.Runs = append(o.Runs, r)
		})},
		{"spoofed build", onOrigin(func(o *gate.Origin) {
			r := built(30_003, "success")
			r.AppID, r.App = 666, "evil"
			o.Runs = append(o.Runs, r)
		})},
		{"origin unread", onOrigin(func(o *gate.Origin) { o.Unknown = "timeout" })},
		{"origin of another commit", onOrigin(func(o *gate.Origin) { o.Commit = head })},
		{"no proof accepted", func(f *gate.Facts, _ *rand.Rand) { f.Environment.Provenance = nil }},
		{"image unpinned", func(f *gate.Facts, _ *rand.Rand) { f.Unpinned = append(f.Unpinned, "nginx") }},
		{"no probe", func(f *gate.Facts, _ *rand.Rand) { f.Unprobed = append(f.Unprobed, "no startup probe") }},
		{"nothing proven", func(f *gate.Facts, _ *rand.Rand) { f.Upstream.Proven = nil }},
		{"upstream unread", func(f *gate.Facts, _ *rand.Rand) { f.Upstream.Unknown = "timeout" }},
		{"other base tree", func(f *gate.Facts, _ *rand.Rand) { f.BaseTree = head }},
		{"held", func(f *gate.Facts, _ *rand.Rand) { f.Holds = append(f.Holds, gate.Hold{Inputs: inputs}) }},
		{"paused", func(f *gate.Facts, _ *rand.Rand) { f.Paused.Paused = true }},
		{"frozen", func(f *gate.Facts, _ *rand.Rand) { f.Frozen.Frozen = true }},
		{"frozen by date", func(f *gate.Facts, _ *rand.Rand) {
			f.Environment.Windows.Freezes = freezes("2026-11-23", "2026-11-23")
		}},
		{"window closed", func(f *gate.Facts, _ *rand.Rand) { f.Environment.Windows.Open[0].Cron = "0 13 * * *" }},
		{"hotfix overdue", func(f *gate.Facts, _ *rand.Rand) { f.Backfills = append(f.Backfills, overdue(gate.Answer{})...) }},
		{"soak too short", func(f *gate.Facts, _ *rand.Rand) {
			for i := range f.Upstream.Proven {
				f.Upstream.Proven[i].Soak.Healthy /= 2
			}
		}},
		{"soak with errors", func(f *gate.Facts, _ *rand.Rand) {
			for i := range f.Upstream.Proven {
				f.Upstream.Proven[i].Soak.Errors += 100
			}
		}},
		{"not rendered", func(f *gate.Facts, _ *rand.Rand) { f.Rendered = false }},
		{"does not render", func(f *gate.Facts, _ *rand.Rand) { f.RenderError = "no such file" }},
	}
}

// someFacts returns facts that pass or nearly do.
func someFacts(r *rand.Rand) gate.Facts {
	f := promotion()
	if r.IntN(2) == 0 {
		f = preview()
	}
	if r.IntN(3) == 0 {
		second := change()
		second.PullRequest.Number = 13
		f.Changes = append(f.Changes, second)
	}
	if r.IntN(3) == 0 {
		f.Environment.Approvals.Teams = nil
	}
	f.Environment.Approvals.ExcludeSourceAuthors = r.IntN(3) == 0
	for i := range f.Changes {
		c := &f.Changes[i]
		c.Reviews = append(c.Reviews, review(400, carol, forge.Approved, -2*time.Minute))
		if r.IntN(3) == 0 {
			c.Reviews = append(c.Reviews, review(401, bob, forge.ChangesRequested, -3*time.Minute))
		}
		if r.IntN(3) == 0 {
			c.EqualHeads = []string{earlierHead}
		}
	}
	if r.IntN(2) == 0 {
		scan(&f, alert("medium", 0, 0))
	}
	if o := &f.Origins[0]; r.IntN(2) == 0 {
		o.Runs = append(o.Runs, built(60, "success"))
		if r.IntN(2) == 0 {
			o.Statements = nil
		}
	}
	if s := anySubject(&f, r); r.IntN(3) == 0 {
		s.Runs = append(s.Runs, run(50, s.Runs[0].Name, s.Commits[len(s.Commits)-1], "success"))
	}
	return f
}

func TestALessFavourableFactNeverMakesAGatePass(t *testing.T) {
	all := setbacks()
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 7))
		f := someFacts(r)
		trail := ""
		for range 1 + r.IntN(5) {
			before := gate.Evaluate(f, now)
			s := all[r.IntN(len(all))]
			s.edit(&f, r)
			trail += ", " + s.name
			after := gate.Evaluate(f, now)
			require.Len(t, after, len(before))
			for i, was := range before {
				if was.Verdict != gate.Pass {
					require.NotEqual(t, gate.Pass, after[i].Verdict, "seed %d, %s%s: was %q, is %q", seed, was.Gate, trail, was.Reason, after[i].Reason)
				}
			}
			requireConsistent(t, after, f.Merged)
		}
	}
}

func requireConsistent(t *testing.T, results []gate.Result, merged bool) {
	t.Helper()
	for _, r := range results {
		require.False(t, r.Unknown && r.Verdict != gate.Wait, "unknown waits: %v", r)
		require.Equal(t, merged && r.Verdict == gate.Fail, r.Final)
		require.Equal(t, merged, r.Outcome != "")
		require.Equal(t, merged, r.Status == "")
		require.Equal(t, r.Verdict == gate.Pass, r.Unblocks == "", "%s: %s", r.Gate, r.Reason)
	}
	s := gate.Summarize(results)
	require.Equal(t, merged, s.Outcome != "")
	for _, r := range results {
		if r.Verdict != gate.Pass {
			require.NotEqual(t, gate.Pass, s.Verdict)
			require.NotEqual(t, gate.OutcomeDeploy, s.Outcome)
		}
	}
}

func TestTheOrderInWhichFactsArriveChangesNoVerdict(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 11))
		f := someFacts(r)
		setbacks()[r.IntN(len(setbacks()))].edit(&f, r)
		before := fmt.Sprint(verdicts(f))
		for i := range f.Changes {
			c := &f.Changes[i]
			r.Shuffle(len(c.Reviews), func(i, j int) { c.Reviews[i], c.Reviews[j] = c.Reviews[j], c.Reviews[i] })
			r.Shuffle(len(c.Commits), func(i, j int) { c.Commits[i], c.Commits[j] = c.Commits[j], c.Commits[i] })
		}
		for _, facts := range f.Checks {
			for _, s := range facts.Subjects {
				r.Shuffle(len(s.Runs), func(i, j int) { s.Runs[i], s.Runs[j] = s.Runs[j], s.Runs[i] })
			}
		}
		require.Equal(t, before, fmt.Sprint(verdicts(f)), "seed %d", seed)
	}
}

func verdicts(f gate.Facts) []gate.Verdict {
	var all []gate.Verdict
	for _, r := range gate.Evaluate(f, now) {
		all = append(all, r.Verdict)
	}
	return all
}

func BenchmarkEvaluate(b *testing.B) {
	f := promotion()
	for b.Loop() {
		gate.Evaluate(f, now)
	}
}
