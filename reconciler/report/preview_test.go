package report_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func waiting() []gate.Result {
	return []gate.Result{
		{Gate: gate.Integrity, Verdict: gate.Pass, Cause: gate.Met, Status: gate.StatusSuccess, Reason: "what was reviewed is what lands"},
		{
			Gate: gate.Artifacts, Verdict: gate.Pass, Cause: gate.Met, Status: gate.StatusSuccess, Reason: "every image is pinned, by the digests known in staging",
			Evidence: []gate.Evidence{{Text: "registry.example.com/shop/checkout@sha256:6d1c"}},
		},
		{
			Gate: "tests", Verdict: gate.Wait, Cause: gate.Missing, Status: gate.StatusPending, Reason: "check test is running on 9f2c41e",
			Evidence: []gate.Evidence{{Text: "test", URL: "https://github.example/acme/checkout/runs/7"}}, Unblocks: "github-actions, by ending it",
		},
		{Gate: gate.Approvals, Verdict: gate.Wait, Cause: gate.Short, Status: gate.StatusPending, Reason: "1 of 2 approvals", Unblocks: "acme/releasers"},
		{Gate: gate.Order, Verdict: gate.Wait, Cause: gate.Unknown, Unknown: true, Status: gate.StatusPending, Reason: "what staging has proven could not be read"},
		{Gate: gate.Window, Verdict: gate.Wait, Cause: gate.Later, Status: gate.StatusSuccess, Reason: "the change window opens Mon 08:00 Europe/Berlin", NextCheck: monday},
	}
}

func passing() []gate.Result {
	return []gate.Result{{Gate: gate.Integrity, Verdict: gate.Pass, Cause: gate.Met, Status: gate.StatusSuccess, Reason: "what was reviewed is what lands"}}
}

func preview() report.Preview {
	return report.Preview{
		Number: 7, URL: "https://github.example/acme/environments/pull/7", Environments: []string{"staging", "production"},
		Releases: []report.Release{
			{
				Environment: "production", Service: "cart", Results: passing(), To: "2.0.0",
				Diff: report.Diff{First: true, Objects: []report.Object{{Name: "Deployment/cart", Change: "added", Lines: []string{"+ kind: Deployment"}}}},
			},
			{
				Environment: "production", Service: "checkout", From: "1.41.0", To: "1.42.0", Results: waiting(),
				Diff: report.Compare(objects(deployment("a", "1")), objects(deployment("b", "2"))),
			},
			{Environment: "production", Service: "search", Problem: "release.yaml:3:1: unknown field", Status: gate.StatusFailure},
		},
		Policy: []string{"sluice.yaml"},
	}
}

func TestACommentShowsGatesAndWhatWouldChange(t *testing.T) {
	c := preview().Comment()
	assert.True(t, strings.HasPrefix(c.Body, c.Marker))
	assert.False(t, c.Keep)
	golden(t, "preview.md", c.Body)
	assert.Equal(t, c, preview().Comment(), "the same facts, the same bytes")
}

func TestEachEnvironmentHasAReportWithTheWorstRelease(t *testing.T) {
	reports := preview().Reports()
	require.Len(t, reports, 2)
	assert.True(t, reports[0].Neutral)
	assert.Equal(t, forge.StatusSuccess, reports[0].State)
	assert.Equal(t, "No release of staging changes; the owners decide about sluice.yaml", reports[0].Description)

	assert.Equal(t, "sluice/production", reports[1].Context)
	assert.Equal(t, forge.StatusFailure, reports[1].State)
	assert.Equal(t, "production/search: release.yaml:3:1: unknown field", reports[1].Description)
	golden(t, "report.md", reports[1].Summary)
}

func TestTheStateSaysWhatAMergeWouldDo(t *testing.T) {
	for want, result := range map[forge.StatusState]gate.Result{
		forge.StatusSuccess: {Verdict: gate.Wait, Cause: gate.Later, Status: gate.StatusSuccess, Reason: "the change window opens Mon 08:00"},
		forge.StatusPending: {Verdict: gate.Wait, Cause: gate.Short, Status: gate.StatusPending, Reason: "1 of 2 approvals"},
		forge.StatusFailure: {Verdict: gate.Fail, Cause: gate.Refused, Status: gate.StatusFailure, Reason: "it is on hold"},
	} {
		p := report.Preview{Environments: []string{"production"}, Releases: []report.Release{{Environment: "production", Service: "checkout", Results: []gate.Result{result}}}}
		r := p.Reports()[0]
		assert.Equal(t, want, r.State)
		assert.Contains(t, r.Description, result.Reason)
		assert.False(t, r.Neutral)
	}
}

func TestAPullRequestThatChangesNoReleaseNeedsNoComment(t *testing.T) {
	p := report.Preview{Environments: []string{"production"}}
	assert.True(t, p.Comment().Keep, "but one that was there is put right")
	assert.True(t, p.Reports()[0].Neutral)
	assert.NotEqual(t, p.Comment().Marker, report.Preview{Scope: "staging"}.Comment().Marker, "two daemons, two comments")
}

// hostile is what anybody could write into a name, a check or a file.
var hostile = []string{
	"@acme/everybody", "#1 closes #2, GH-3", "https://evil.example/x", "www.evil.example", "<script>alert(1)</script>", "<!-- sluice:report -->", "</details>",
	"[click](https://evil.example)", "![x](https://evil.example/x.png)", "| a | b |\n|---|---|", "a\n\n# heading\n- item", "```\nout\n```", "`code`", "**bold** _it_ ~~no~~ $x$",
	"\x1b[31mred\x1b[0m", "\u202egnp.exe\u202c", "a\u200b\u2066b", ":white_check_mark: pass", "\x00\x07\r\nx", "&lt;b&gt; &#64;alice", "\\@bob \\`x\\`", "\xff\xfe", "👩‍👩‍👧 🇩🇪 é",
}

func TestWhatOthersWroteIsShownAndDoesNothing(t *testing.T) {
	for _, text := range hostile {
		results := []gate.Result{{
			Gate: text, Verdict: gate.Wait, Cause: gate.Short, Status: gate.StatusPending, Reason: text, Unblocks: text,
			Evidence: []gate.Evidence{{Text: text, URL: "https://ci.example/a)|<b>`x`"}},
		}}
		p := report.Preview{Environments: []string{"production"}, Policy: []string{text}, Releases: []report.Release{
			{Environment: "production", Service: "checkout", From: text, To: text, Results: results, Diff: report.Diff{Unknown: text}},
			{Environment: "production", Service: "cart", Problem: text, Status: gate.StatusPending},
		}}
		r := p.Reports()[0]
		assert.NotContains(t, r.Description, "\n")
		for _, body := range []string{p.Comment().Body, r.Summary} {
			assertHarmless(t, text, body)
		}
	}
}

// codeSpan is a name between backquotes, in which nothing means anything.
var codeSpan = regexp.MustCompile("(?m) `[^`\n]*`")

// assertHarmless looks for what a forge would act on outside of code.
func assertHarmless(t *testing.T, text, body string) {
	t.Helper()
	require.True(t, utf8.ValidString(body))
	for _, r := range body {
		if r != '\n' && !unicode.IsGraphic(r) {
			assert.Failf(t, "something that is not seen", "%q: %U", text, r)
		}
	}
	body = strings.TrimPrefix(body, "<!-- sluice:report -->")
	shown := codeSpan.ReplaceAllString(body, "")
	for _, forbidden := range []string{"<script", "<!--", "\n# ", "\n- ", "](https://evil", "![", "\x1b", "@acme", "@bob", "@alice", "#1 ", "GH-3", "s://evil", "www.evil", ":white_check_mark:"} {
		assert.NotContains(t, shown, forbidden, "%q", text)
	}
	rows := 0
	for line := range strings.SplitSeq(body, "\n") {
		if strings.HasPrefix(line, "| ") {
			rows++
			assert.Equal(t, 6, strings.Count(line, "|"), "%q: a cell of its own: %s", text, line)
		}
	}
	assert.Equal(t, 2, rows, "%q: the head and one gate", text)
	assert.LessOrEqual(t, strings.Count(body, "```"), 2)
}

func TestATextThatWouldBeTooLongSaysWhatItLeavesOut(t *testing.T) {
	p := report.Preview{Environments: []string{"production"}}
	for range 30 {
		p.Policy = append(p.Policy, "services/"+strings.Repeat("x", 4000)+"/service.yaml")
	}
	for i := range 300 {
		r := report.Release{Environment: "production", Service: fmt.Sprintf("service-%03d", i), Results: waiting()}
		for j := range 80 {
			r.Diff.Objects = append(r.Diff.Objects, report.Object{Name: fmt.Sprintf("ConfigMap/c%d", j), Change: "changed", Lines: []string{"- " + strings.Repeat("ü", 200), "+ b"}})
		}
		p.Releases = append(p.Releases, r)
	}
	body, summary := p.Comment().Body, p.Reports()[0].Summary
	for _, text := range []string{body, summary} {
		require.Less(t, len(text), 65_536)
		assert.Greater(t, len(text), 30_000, "and the room is used")
		assert.Contains(t, text, "more releases are left out")
	}
	assert.Contains(t, body, "… and 10 more")
	assert.Contains(t, body, "more diffs are left out")
	assert.Contains(t, body, "# left out: ", "within a diff, too")
	assert.Contains(t, body, "- production/service-080 ", "each is listed at least")
	assert.Equal(t, strings.Count(body, "<details>"), strings.Count(body, "</details>"))
	assert.Zero(t, strings.Count(body, "```")%2, "no block is left open")

	p.Releases = []report.Release{{Environment: "production", Service: "c", To: strings.Repeat("1", 70_000), Problem: strings.Repeat("e", 70_000)}}
	assert.Less(t, len(p.Comment().Body), 10_000)
	assert.Contains(t, p.Comment().Body, "production/c", "a long text hides nothing")
	assert.Less(t, len(report.Preview{Environments: []string{"production"}, Policy: p.Policy}.Reports()[0].Summary), 10_000)
}
