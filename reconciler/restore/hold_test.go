package restore_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler"
)

const controlHead = "apiVersion: sluice.dev/v1alpha1\nkind: Control\n"

func TestHoldKeepsEveryByteThatPeopleWrote(t *testing.T) {
	w := newWorld(t)
	entry := "reason: by   hand   # ask alice\n"
	for name, before := range map[string]string{
		"no list":                   controlHead + "paused: true # until Monday\nreason: 'audit'\n",
		"no final newline":          controlHead + "paused: true",
		"list at the end":           controlHead + "\nholds:\n  # the old one\n  - digest: " + digest("d") + "\n    " + entry + "\n# the end\n",
		"list not indented":         controlHead + "holds:\n- digest: " + digest("d") + "\n  " + entry,
		"list indented by four":     controlHead + "holds:\n    - digest:   " + digest("d") + "\n      " + entry,
		"something follows":         controlHead + "holds:\n  - digest: " + digest("d") + "\n    " + entry + "\n# why paused\npaused: true\nreason: x\n",
		"the list comes first":      "holds:\n  - digest: " + digest("d") + "\n    " + entry + controlHead,
		"two, with a folded reason": controlHead + "holds:\n  - revision: " + strings.Repeat("e", 32) + "\n    reason: >-\n      a\n      b # c\n  - digest: " + digest("d") + "\n    " + entry,
	} {
		for end, content := range map[string]string{"LF": before, "CRLF": strings.ReplaceAll(before, "\n", "\r\n")} {
			t.Run(name+" "+end, func(t *testing.T) {
				w.reset(t)
				commit := w.rollback()
				w.commit(map[string]string{"production/checkout/control.yaml": content})
				assert.NotEmpty(t, w.do(commit))
				after := w.raw("production/checkout/control.yaml")
				assert.Len(t, w.holds(), strings.Count(before, "reason: by")+strings.Count(before, "revision:")+1, after)
				assert.True(t, isInsertion(content, after), "%q became %q", content, after)
				if end == "CRLF" {
					assert.NotRegexp(t, `[^\r]\n`, after)
				}
				assert.Empty(t, w.do(commit))
			})
		}
	}
}

// isInsertion reports whether after is before with one piece added.
func isInsertion(before, after string) bool {
	i := 0
	for i < len(before) && before[i] == after[i] {
		i++
	}
	return strings.HasSuffix(after, before[i:]) ||
		strings.HasSuffix(after, strings.TrimLeft(before[i:], "\r\n")) // shared with the end of the piece
}

func TestUnusualControlFilesKeepTheirMeaning(t *testing.T) {
	w := newWorld(t)
	for name, content := range map[string]string{
		"flow list":       controlHead + "holds: [{digest: '" + digest("d") + "', reason: x}]\n",
		"empty flow list": controlHead + "holds: []\n",
		"all in flow":     "{apiVersion: sluice.dev/v1alpha1, kind: Control, paused: true, reason: x}\n",
		"marked document": "---\n" + controlHead + "paused: true\n...\n",
		"text like a key": controlHead + "paused: true\nreason: |-\n  # not a comment\n",
	} {
		t.Run(name, func(t *testing.T) {
			w.reset(t)
			commit := w.rollback()
			w.commit(map[string]string{"production/checkout/control.yaml": content})
			assert.NotEmpty(t, w.do(commit))
			holds := w.holds()
			require.NotEmpty(t, holds)
			assert.Equal(t, badImage, holds[len(holds)-1].Digest)
			assert.Equal(t, strings.Count(content, "paused: true"), strings.Count(w.raw("production/checkout/control.yaml"), "paused: true"))
			assert.Empty(t, w.do(commit))
		})
	}
}

func TestControlFileThatCannotBeReadDoesNotDelayTheDirectory(t *testing.T) {
	w := newWorld(t)
	for name, file := range map[string]gittest.File{
		"not YAML":      {Content: "holds: [\n"},
		"unknown field": {Content: controlHead + "paussed: true\n"},
		"symlink":       {Mode: "120000", Content: "/etc/passwd"},
		"other kind":    {Content: "apiVersion: sluice.dev/v1alpha1\nkind: Release\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w.reset(t)
			commit := w.rollback()
			w.commitFiles(map[string]gittest.File{"production/checkout/control.yaml": file})
			_, err := w.committer.Commit(t.Context(), key, commit)
			require.ErrorIs(t, err, reconciler.ErrRefused)
			require.ErrorContains(t, err, "the hold is not in git yet")
			assert.Equal(t, w.tree(w.good, "production/checkout"), w.tree("main", "production/checkout"))
			assert.Equal(t, file.Content, w.raw("production/checkout/control.yaml"))
			assert.Contains(t, w.message(), "so the hold is not in it yet")

			restored := w.git("rev-parse", "main")
			_, err = w.committer.Commit(t.Context(), key, commit)
			require.ErrorIs(t, err, reconciler.ErrRefused, "the hold is still owed")
			assert.Equal(t, restored, w.git("rev-parse", "main"))

			w.commitFiles(map[string]gittest.File{"production/checkout/control.yaml": {Content: controlHead}})
			assert.NotEmpty(t, w.do(commit), "mended: the hold is written")
			assert.Len(t, w.holds(), 1)
			assert.Empty(t, w.do(commit))
		})
	}
}

func TestNewerPromotionBesideAControlFileThatCannotBeReadStays(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	tip := w.commit(map[string]string{
		"production/checkout/control.yaml": "holds: [\n",
		"production/checkout/patch.yaml":   "newer: true\n",
	})
	_, err := w.committer.Commit(t.Context(), key, commit)
	require.ErrorIs(t, err, reconciler.ErrRefused)
	assert.Equal(t, tip, w.git("rev-parse", "main"))
}
