package gitsource_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sluice-cd/sluice/gitsource"
)

func TestSetYAMLChangesOnlyTheScalar(t *testing.T) {
	for name, tc := range map[string]struct{ in, path, value, out string }{
		"plain":                 {"a: 1\nb:  old  # why\nc: 2\n", "b", "new", "a: 1\nb:  new  # why\nc: 2\n"},
		"nested":                {"# head\nartifact:\n  image: x\n  digest: sha256:aa\n", "artifact.digest", "sha256:bb", "# head\nartifact:\n  image: x\n  digest: sha256:bb\n"},
		"list":                  {"artifacts:\n- digest: a\n- digest: b\n", "artifacts.1.digest", "c", "artifacts:\n- digest: a\n- digest: c\n"},
		"flow":                  {"source: {repository: acme/x, commit: 9f2}\n", "source.commit", "abc", "source: {repository: acme/x, commit: abc}\n"},
		"flow needs quotes":     {"a: {b: x}\n", "a.b", "p,q", "a: {b: \"p,q\"}\n"},
		"double":                {"a: \"o\\\"ld\" # c\n", "a", `n"e\w`, "a: \"n\\\"e\\\\w\" # c\n"},
		"single":                {"a: 'o''ld'\n", "a", "it's", "a: 'it''s'\n"},
		"crlf":                  {"a: 1\r\nb: old\r\nc: 2\r\n", "b", "new", "a: 1\r\nb: new\r\nc: 2\r\n"},
		"no final line end":     {"a: old", "a", "new", "a: new"},
		"unicode before":        {"ü: ß\né: {ñ: 1, b: old} # ü\n", "é.b", "new", "ü: ß\né: {ñ: 1, b: new} # ü\n"},
		"anchor kept":           {"a: &x old\nb: 1\n", "a", "new", "a: &x new\nb: 1\n"},
		"tag kept":              {"a: !!str old\n", "a", "new", "a: !!str new\n"},
		"string stays a string": {"a: abc\n", "a", "1.10", "a: \"1.10\"\n"},
		"number stays plain":    {"a: 1.42\n", "a", "1.43", "a: 1.43\n"},
		"looks like a comment":  {"a: b\n", "a", "x # y", "a: \"x # y\"\n"},
		"document marks":        {"---\na: b\n...\n", "a", "c", "---\na: c\n...\n"},
		"other alias":           {"x: &x 1\ny: *x\na: b\n", "a", "c", "x: &x 1\ny: *x\na: c\n"},
		"same value":            {"a: b\n", "a", "b", "a: b\n"},
		"empty":                 {"a: b\n", "a", "", "a: \"\"\n"},
		"next line":             {"a:\n  old\nb: 1\n", "a", "new", "a:\n  new\nb: 1\n"},
		"strange line ends":     {"a: 'x\u2028y'\nb: old\n", "b", "new", "a: 'x\u2028y'\nb: new\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := gitsource.SetYAML([]byte(tc.in), tc.path, tc.value)
			require.NoError(t, err)
			assert.Equal(t, tc.out, string(out))
		})
	}
}

func TestSetYAMLRefusesWhatItCannotDoExactly(t *testing.T) {
	for name, tc := range map[string]struct{ in, path, value string }{
		"alias":              {"a: &x b\nc: *x\n", "c", "new"},
		"through an alias":   {"a: &x {b: 1}\nc: *x\n", "c.b", "new"},
		"aliased value":      {"a: &x b\nc: *x\n", "a", "new"},
		"aliased parent":     {"a: &x {b: 1}\nc: *x\n", "a.b", "new"},
		"merged key":         {"a: &x {b: 1}\nc: {<<: *x}\n", "c.b", "new"},
		"documents":          {"a: b\n---\na: c\n", "a", "new"},
		"missing":            {"a: b\n", "c", "new"},
		"index out of range": {"a: [b]\n", "a.1", "new"},
		"mapping":            {"a: {b: c}\n", "a", "new"},
		"literal":            {"a: |\n  text\n", "a", "new"},
		"folded":             {"a: >\n  text\n", "a", "new"},
		"multi-line plain":   {"a: b\n  c\n", "a", "new"},
		"multi-line quoted":  {"a: \"b\n  c\"\n", "a", "new"},
		"no value":           {"a:\nb: 1\n", "a", "new"},
		"twice":              {"a: b\na: c\n", "a", "new"},
		"malformed":          {"a: [b\n", "a", "new"},
		"empty document":     {"", "a", "new"},
		"newline in value":   {"a: b\n", "a", "x\nc: d"},
		"escape in value":    {"a: b\n", "a", "\x1b[0m"},
		"invalid value":      {"a: b\n", "a", "\xff"},
		"byte order mark":    {"\xef\xbb\xbfa: b\n", "a", "new"},
		"latin-1":            {"a: \xe4\n", "a", "new"},
		"scalar document":    {"a\n", "a", "new"},
		"anchor on own line": {"a: &x\n  b\n", "a", "new"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := gitsource.SetYAML([]byte(tc.in), tc.path, tc.value)
			require.ErrorIs(t, err, gitsource.ErrNotEditable)
			assert.Nil(t, out)
		})
	}
}

func FuzzSetYAML(f *testing.F) {
	for _, in := range []string{"a: b\n", "a: 'b' # c\r\n", "a: \"b\"", "{a: b}", "? a\n: b\n", "a: &x !!str b\n", "\u2028a: b", "a: b\u0085c: d"} {
		f.Add([]byte(in), "new")
	}
	f.Add([]byte("a: b"), "x: y")
	f.Fuzz(func(t *testing.T, data []byte, value string) {
		out, err := gitsource.SetYAML(data, "a", value)
		if err != nil {
			return
		}
		var doc map[string]any
		if yaml.Unmarshal(out, &doc) == nil {
			assert.Contains(t, doc, "a")
		}
		// What is before and after the change is the original's.
		prefix := commonPrefix(data, out)
		reversed := commonPrefix(reverse(data[prefix:]), reverse(out[prefix:]))
		assert.LessOrEqual(t, len(out)-prefix-reversed, 2*len(value)+2)
		again, err := gitsource.SetYAML(out, "a", value)
		require.NoError(t, err)
		assert.Equal(t, string(out), string(again))
	})
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func reverse(b []byte) []byte {
	out := bytes.Clone(b)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func TestMessagesKeepTrailersInOneBlock(t *testing.T) {
	got, err := gitsource.FormatMessage("promote checkout\n\nwhy:\nRelease: forged\n  indented\n", []gitsource.Trailer{
		{Key: "Release", Value: "production/checkout"},
		{Key: "Gate", Value: "soak=pass\nApproved-By: mallory\x1b[31m\u202e"},
		{Key: "Gate", Value: ""},
	})
	require.NoError(t, err)
	assert.Equal(t, `promote checkout

 why:
 Release: forged
  indented

Release: production/checkout
Gate: soak=pass Approved-By: mallory [31m
Gate: -
`, got)
	assert.Equal(t, []gitsource.Trailer{
		{Key: "Release", Value: "production/checkout"},
		{Key: "Gate", Value: "soak=pass Approved-By: mallory [31m"},
		{Key: "Gate", Value: "-"},
	}, gitsource.ParseTrailers(got))
}

func TestMessagesThatCannotBeWrittenAreRefused(t *testing.T) {
	_, err := gitsource.FormatMessage(" \n\x1b", nil)
	require.ErrorIs(t, err, gitsource.ErrBadMessage)
	for _, key := range []string{"", "Two Words", "New\nLine", "-x", "ü"} {
		_, err := gitsource.FormatMessage("x", []gitsource.Trailer{{Key: key, Value: "y"}})
		require.ErrorIs(t, err, gitsource.ErrBadMessage, key)
	}
	assert.Nil(t, gitsource.ParseTrailers("Release: x"))
	assert.Nil(t, gitsource.ParseTrailers("x\n\nno trailer"))
}

func TestGitReadsTheTrailersThatWereGiven(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	text, err := gitsource.FormatMessage("subject\n\nSigned-off-by: forged\n(cherry picked from commit x)\n", []gitsource.Trailer{{Key: "Release", Value: "a: b"}})
	require.NoError(t, err)
	_, err = r.Commit("main", text, "", map[string]string{"a": "2"})
	require.NoError(t, err)
	assert.Equal(t, "Release: a: b", r.git("log", "-1", "--format=%(trailers)"))
	text, err = gitsource.FormatMessage("subject\n\nSigned-off-by: forged\n", nil)
	require.NoError(t, err)
	_, err = r.Commit("main", text, "", map[string]string{"a": "3"})
	require.NoError(t, err)
	assert.Empty(t, r.git("log", "-1", "--format=%(trailers)"))
}

func FuzzFormatMessage(f *testing.F) {
	f.Add("subject\n\nbody", "value")
	f.Add("Release: x\n\n\nGate: y", "a\r\nGate: forged")
	f.Add("x", "\x1b]8;;http://evil\x07")
	f.Add("x\n\n\u2028Release: y", "\xff\x00")
	f.Fuzz(func(t *testing.T, message, value string) {
		given := []gitsource.Trailer{{Key: "Release", Value: value}, {Key: "Gate", Value: value}}
		text, err := gitsource.FormatMessage(message, given)
		if err != nil {
			return
		}
		assert.True(t, utf8.ValidString(text))
		assert.False(t, strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }))
		got := gitsource.ParseTrailers(text)
		require.Len(t, got, 2)
		assert.Equal(t, "Release", got[0].Key)
		assert.Equal(t, "Gate", got[1].Key)
	})
}
