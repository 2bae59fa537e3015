package release_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
)

var update = flag.Bool("update", false, "write what Next does into the transcripts")

// A transcript is a list of events, each followed by what became of them. A line
// that begins with "+" gives the time since the line before and an event; the
// indented lines after it are written by -update. "#" begins a comment.
//
//	+30s measured 10 good
//	    progressing, step 1: 5 % of the traffic: ...
//	    traffic v1 95, v2 5
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/next/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			require.NoError(t, err)
			got := transcribe(t, script)
			if *update {
				require.NoError(t, os.WriteFile(file, got, 0o644))
				return
			}
			assert.Equal(t, string(script), string(got))
		})
	}
}

func transcribe(t *testing.T, script []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	r, now := release.New(key, t0), t0
	for line := range strings.Lines(string(script)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			fmt.Fprintln(&out, line)
		case strings.HasPrefix(line, "+"):
			fmt.Fprintln(&out, line)
			fields := strings.Fields(line)
			wait, err := time.ParseDuration(fields[0][1:])
			require.NoError(t, err, line)
			now = now.Add(wait)
			n := release.Next(r, parse(t, r, now, fields[1:]), now)
			describe(&out, r, n, now)
			r = n
		default:
			require.True(t, strings.HasPrefix(line, " "), "unreadable line %q", line)
		}
	}
	return out.Bytes()
}

// parse reads one event.
func parse(t *testing.T, r release.Record, now time.Time, words []string) release.Event {
	t.Helper()
	args := words[1:]
	has := func(flag string) bool { return slices.Contains(args, flag) }
	switch words[0] {
	case "wanted":
		w := want(args[0])
		if has("again") { // the same inputs by another commit
			w.Promotion.Commit, w.Revision.Commit = w.Promotion.Commit+"-again", w.Revision.Commit+"-again"
		}
		w.Promotion.Genesis = has("baseline")
		if has("first") {
			w.Promotion.Before = ""
		}
		return release.Wanted{Want: w}
	case "retired":
		return release.Wanted{Retired: true}
	case "kept":
		return release.Kept{Reason: strings.Join(args, " ")}
	case "adopted":
		return release.Adopted{Revision: revision(args[0]), Same: has("same"), Ours: !has("foreign"), Differs: after(args, "differs")}
	case "judged":
		return parseJudged(t, r, args)
	case "seen":
		return release.Seen{Observed: parseSeen(r, now, args)}
	case "measured":
		return parseMeasured(t, r, now, args)
	case "control":
		e := release.Controlled{Paused: has("paused")}
		if has("holds") {
			e.Holds = holdIDs(r)
		}
		return e
	case "done", "erred":
		return parsePaid(r, words[0], args)
	case "tick":
		return release.Tick{}
	}
	t.Fatalf("unknown event %q", words[0])
	return nil
}

func after(args []string, word string) string {
	if i := slices.Index(args, word); i >= 0 {
		return strings.Join(args[i+1:], " ")
	}
	return ""
}

func parseJudged(t *testing.T, r release.Record, args []string) release.Event {
	t.Helper()
	about := r.Candidate
	if args[0] == "next" {
		about, args = r.Next, args[1:]
	}
	require.NotNil(t, about)
	plans := map[string]release.Plan{"": canary(), "canary": canary(), "at-once": atOnce(), "in-place": inPlace(), "shared": shared(), "shared-in-place": sharedInPlace()}
	plan := plans[""]
	if len(args) > 1 {
		plan = plans[args[1]]
	}
	for _, policy := range []string{"none", "pullRequest"} {
		if slices.Contains(args, policy) {
			plan.OnReject = policy
		}
	}
	if slices.Contains(args, "foreign") {
		return release.Judged{Commit: "foreign", Outcome: release.Outcome(args[0]), Plan: plan}
	}
	return judgedOf(*about, release.Outcome(args[0]), plan)
}

func parseSeen(r release.Record, now time.Time, args []string) release.Observed {
	switch args[0] {
	case "starting":
		return candidateIs(r, now, release.InProgress, "0 of 1 ready")
	case "failed":
		return candidateIs(r, now, release.Failed, "exceeded its progress deadline")
	case "unknown":
		return candidateIs(r, now, release.Unknowable, "no answer")
	case "crashing":
		return crashing(r, now)
	case "guarded":
		return guarded(r, now)
	case "contested":
		o := asWanted(r, now)
		o.Converged, o.Contested = false, []release.Contest{{Object: "Deployment shop/checkout", Manager: "kubectl-edit"}}
		return o
	case "rehoming":
		o := asWanted(r, now)
		o.Converged, o.Rehoming = false, "revision r-v1 has 1 of 3 ready pods"
		return o
	case "unmade":
		o := asWanted(r, now)
		o.Revisions[r.Stable.ID] = release.RevisionStatus{Readiness: release.Failed, Reason: "exceeded its progress deadline"}
		return o
	case "unconverged":
		o := asWanted(r, now)
		o.Converged = false
		return o
	}
	return asWanted(r, now)
}

func parseMeasured(t *testing.T, r release.Record, now time.Time, args []string) release.Event {
	t.Helper()
	n, err := strconv.Atoi(args[0])
	require.NoError(t, err)
	samples := map[string]sample{
		"good": ofTraffic(r, 0.001, 0.001), "bad": ofTraffic(r, 0.001, 0.2), "over": {stable: 1000, candidate: 3000},
		"silent": {stable: 4000, silent: true}, "quiet": {stable: 1, candidate: 1}, "down": {unknown: analysis.Unreachable},
		"nothing": {stable: 4000}, "no-past": {noPast: true, candidate: 4000},
		"suspect": {stable: 2000, stableErrors: 20, candidate: 105, candidateErrors: 2},
	}
	s, ok := samples[args[1]]
	require.True(t, ok, args[1])
	e := measured(r, n, s, now)
	if slices.Contains(args, "stale") {
		e.Attempt--
	}
	return e
}

// parsePaid finds the intent of a kind, the oldest first.
func parsePaid(r release.Record, event string, args []string) release.Event {
	id := args[0]
	for _, i := range slices.Backward(r.Owed) {
		if string(i.Kind) == args[0] {
			id = i.ID
		}
	}
	if event == "erred" {
		e := release.Erred{ID: id, Reason: strings.Join(args[1:], " ")}
		_, _ = fmt.Sscanf(e.Reason, "merge #%d", &e.PullRequest) // 0 where there is none
		return e
	}
	commit := ""
	if strings.HasPrefix(args[0], "commit") {
		commit = "commit-by-sluice"
	}
	return release.Done{ID: id, Commit: commit}
}

// describe writes what an event changed: phase, traffic, owed, and every other
// field of the record.
func describe(out *bytes.Buffer, before, after release.Record, now time.Time) {
	if after.Seq == before.Seq {
		fmt.Fprintln(out, "    nothing")
		return
	}
	if before.Phase != after.Phase || before.Rollout.Step != after.Rollout.Step || before.Reason != after.Reason {
		fmt.Fprintf(out, "    %s: %s\n", after.Phase, after.Reason)
	}
	if b, a := stateText(before), stateText(after); b != a {
		fmt.Fprintf(out, "    desired %s\n", a)
	}
	for _, i := range after.Owed {
		if !slices.ContainsFunc(before.Owed, func(o release.Intent) bool { return o.ID == i.ID }) {
			fmt.Fprintf(out, "    owes %s%s\n", i.ID, intentText(i))
		}
	}
	for _, i := range before.Owed {
		if !slices.ContainsFunc(after.Owed, func(o release.Intent) bool { return o.ID == i.ID }) {
			fmt.Fprintf(out, "    owes no longer %s\n", i.ID)
		}
	}
	old, fresh := flat(before), flat(after)
	for _, name := range slices.Sorted(maps.Keys(union(old, fresh))) {
		if old[name] != fresh[name] {
			fmt.Fprintf(out, "    %s %s -> %s\n", name, orNone(old[name]), orNone(fresh[name]))
		}
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func union(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func stateText(r release.Record) string {
	data, err := json.Marshal(release.Desired(r))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func intentText(i release.Intent) string {
	switch {
	case i.Evidence != nil:
		return fmt.Sprintf(" (%s %s: %s)", i.Evidence.Kind, i.Evidence.Outcome, i.Evidence.Reason)
	case i.Commit.Hold != nil:
		return fmt.Sprintf(" (restore %q, hold %s %s)", i.Commit.Good, i.Commit.Hold.Inputs, i.Commit.Hold.Digests)
	}
	how := "restore"
	if i.Commit.Propose {
		how = "propose"
	}
	return fmt.Sprintf(" (%s %q)", how, i.Commit.Good)
}

// flat is the record by field, without what has lines of its own and without
// what repeats the event.
func flat(r release.Record) map[string]string {
	o := r.Rollout
	out := map[string]string{
		"kept": r.Kept, "lacking": r.Lacking, "settled": r.Settled, "guarded": r.Guarded, "frozen from": string(r.FrozenFrom),
		"paused since": clock(r.PausedSince), "step began": clock(o.StepBegan), "step ends": clock(o.StepEnds),
		"window ends": clock(o.WindowEnds), "deadline": clock(o.Deadline), "ready by": clock(o.ReadyBy),
		"silent until": clock(o.SilentUntil), "stable": "", "candidate": "", "next": "",
		"next waits": r.Queued.Reason, "refused": r.Refused,
	}
	if r.Stable != nil {
		out["stable"] = r.Stable.Version + " of " + r.Stable.Commit
	}
	if r.Candidate != nil {
		out["candidate"] = r.Candidate.Revision.Version
	}
	if r.Next != nil {
		out["next"] = r.Next.Revision.Version
	}
	if o.Health.Count > 0 {
		out["health failures"] = strconv.Itoa(o.Health.Count)
	}
	for _, h := range r.Holds {
		out["hold "+h.ID] = fmt.Sprintf("in git: %t", h.InGit)
	}
	for _, i := range r.Owed {
		if i.Refused != "" {
			out["refused "+i.ID] = i.Refused
		}
	}
	for _, p := range r.Proven {
		out["proven "+p.Inputs] = "since " + clock(p.Since)
		if !p.Until.IsZero() {
			out["proven "+p.Inputs] = clock(p.Since) + " to " + clock(p.Until)
		}
	}
	return out
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.TimeOnly)
}
