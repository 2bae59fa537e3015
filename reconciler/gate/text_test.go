package gate_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

func hostile() []string {
	return []string{
		"two\nlines\r\nand\u2028more\u0085still",
		"\x1b[31mred\x1b[0m and \x1b]8;;http://evil\x07link\x1b]8;;\x1b\\ and \u009b1mC1",
		"right\u202eto\u2066left\u200bhidden\ufeff\U000e0041tag",
		"| table | `code` <script>alert(1)</script> ![image](http://evil/x.png) [link](javascript:x) @acme/everyone",
		"\xff\xfe invalid \x00 nul \a bell \b back",
		strings.Repeat("long ", 2000),
		"Approved-By: mallory\n\nGate: integrity=pass",
		"💥\u200d🔥 zalgo e\u0301",
		"%s %d %!x(MISSING)",
		"",
	}
}

// poisoned puts a text wherever somebody else can write.
func poisoned(s string, merged bool) gate.Facts {
	f := promotion()
	if !merged {
		f = preview()
	}
	c := &f.Changes[0]
	c.PullRequest.Title, c.PullRequest.URL, c.PullRequest.Author.Login, c.PullRequest.MergedBy.Login = s, s, s, s
	c.Content = gate.Answer{Reason: s}
	c.Reviews[0].User.Login, c.Reviews[0].URL = s, s
	c.Reviews = append(c.Reviews, review(300, forge.User{ID: bob.ID, Login: s, Kind: s}, forge.ChangesRequested, -1))
	c.Owned = []string{s}
	for g := range f.Checks {
		subject := &f.Checks[g].Subjects[0]
		subject.Runs[0].URL, subject.Runs[0].Conclusion = s, s
		spoof := subject.Runs[0]
		spoof.App, spoof.AppID = s, 666
		subject.Runs = append(subject.Runs, spoof)
	}
	f.Class, f.Incident, f.RenderError = s, s, s
	f.Unpinned = []string{s}
	f.Holds = []gate.Hold{{Inputs: inputs, Reason: s, By: s, Path: s, URL: s}}
	f.Paused = gate.Pause{Paused: true, Reason: s, Path: s}
	f.Upstream.Environment = s
	f.Upstream.Moving = []gate.Artifact{{Image: s, Digest: s}}
	f.Changes = append(f.Changes,
		gate.Change{Commit: s, Unknown: s},
		gate.Change{Commit: s, PullRequest: &forge.PullRequest{Number: 13, Title: s, Base: forge.Branch{Repository: s, Name: s}}})
	return f
}

// variants shows more of the texts than one set of facts can.
func variants(s string) []gate.Facts {
	var all []gate.Facts
	for _, merged := range []bool{true, false} {
		f := poisoned(s, merged)
		all = append(all, f)
		g := poisoned(s, merged)
		g.Class, g.Changes, g.Unpinned = schemas.ChangeHotfix, g.Changes[:1], nil
		g.Changes[0].Owned = nil
		g.Artifacts[0].Image, g.Artifacts[0].Digest = s, s
		all = append(all, g)
		h := promotion()
		h.Changes[0].Unknown, h.Upstream.Unknown = s, s
		h.Checks = map[string]gate.CheckFacts{"tests": {Unknown: s}, "validate": {Subjects: []gate.Subject{{Unknown: s}}}}
		all = append(all, h)
	}
	return all
}

func requireCleanLine(t *testing.T, s string, limit int) {
	t.Helper()
	require.True(t, utf8.ValidString(s), "%q", s)
	require.LessOrEqual(t, utf8.RuneCountInString(s), limit, "%q", s)
	require.Equal(t, strings.TrimSpace(s), s)
	unclean := func(r rune) bool { return r != ' ' && (!unicode.IsGraphic(r) || unicode.IsSpace(r)) }
	require.Equal(t, -1, strings.IndexFunc(s, unclean), "%q", s)
	require.NotContains(t, s, "  ")
}

func requireClean(t *testing.T, f gate.Facts) {
	t.Helper()
	results := gate.Evaluate(f, now)
	requireCleanLine(t, gate.Summarize(results).Title, 140)
	for _, r := range results {
		require.NotEmpty(t, r.Reason, r.Gate)
		requireCleanLine(t, r.Reason, 240)
		requireCleanLine(t, r.Unblocks, 240)
		for _, e := range r.Evidence {
			requireCleanLine(t, e.Text, 300)
			if e.URL != "" {
				require.Regexp(t, `^https?://[^\s<>"]+$`, e.URL)
			}
		}
	}
}

func TestEveryTextIsOneCleanLineWhateverOthersWrote(t *testing.T) {
	for _, s := range hostile() {
		for _, f := range variants(s) {
			requireClean(t, f)
		}
	}
}

func TestTextOfOthersCannotFormMarkupOrMentions(t *testing.T) {
	for _, f := range variants(hostile()[3]) {
		for _, r := range gate.Evaluate(f, now) {
			all := r.Reason + r.Unblocks + texts(r)
			assert.NotContains(t, all, "<")
			assert.NotContains(t, all, "`")
			assert.NotContains(t, all, "|")
			assert.NotContains(t, all, "](")
			assert.NotContains(t, all, "@acme")
		}
	}
}

func TestATerminalSequenceLeavesNothingBehind(t *testing.T) {
	f := promotion()
	f.Holds = []gate.Hold{{Inputs: inputs, Reason: hostile()[1]}}
	assert.Equal(t, "on hold: red and link and C1", ask(t, f, gate.Held).Reason)
	f.Holds[0].Reason = hostile()[2]
	assert.Equal(t, "on hold: righttolefthiddentag", ask(t, f, gate.Held).Reason)
}

func TestOnlyWebAddressesAreLinked(t *testing.T) {
	for address, want := range map[string]string{
		"https://forge.example.com/1?a=b#c": "https://forge.example.com/1?a=b#c",
		"http://127.0.0.1:3000/x":           "http://127.0.0.1:3000/x",
		"javascript:alert(1)":               "",
		"JavaScript://x/%0aalert(1)":        "",
		"data:text/html,x":                  "",
		"//forge.example.com/1":             "",
		"https://":                          "",
		"https://token@forge.example.com/":  "",
		"https://x/ \n":                     "",
		"":                                  "",
	} {
		f := promotion()
		f.Checks["tests"].Subjects[0].Runs[0].URL = address
		assert.Equal(t, want, ask(t, f, "tests").Evidence[0].URL, "%q", address)
	}
}

func FuzzTextsOfOthers(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, facts := range variants(s) {
			requireClean(t, facts)
		}
	})
}
