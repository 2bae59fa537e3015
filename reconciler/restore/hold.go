package restore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// holdEdits adds the hold to the control file at the tip. unwritten says why it
// cannot be added to the file that is there.
func holdEdits(key release.Key, hold release.Hold, tip gitsource.TipView) (edits []gitsource.Edit, unwritten, err error) {
	path := environments.ControlPath(key)
	data, err := tip.ReadFile(path)
	switch {
	case errors.Is(err, gitsource.ErrNotRegular), errors.Is(err, gitsource.ErrFileTooLarge):
		return nil, fmt.Errorf("the hold is not in git yet; make it a small regular file: %w", err), nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	before := data
	for _, h := range entries(hold) {
		if data, err = addHold(path, data, h); err != nil {
			return nil, fmt.Errorf("the hold is not in git yet; mend %s and it will be written: %w", path, err), nil
		}
	}
	if bytes.Equal(data, before) {
		return nil, nil, nil
	}
	return []gitsource.Edit{gitsource.SetFile{Path: path, Content: data}}, nil, nil
}

// entries is one entry for each digest, or one for the revision alone where the
// digests are also stable's.
func entries(hold release.Hold) []schemas.Hold {
	entry := schemas.Hold{
		Revision: hold.Inputs, Reason: plain(hold.Reason), By: "sluice", At: schemas.Time{Time: hold.At.UTC().Truncate(time.Second)}, Rollback: hold.ID,
	}
	if len(hold.Digests) == 0 {
		return []schemas.Hold{entry}
	}
	entry.Digest = hold.Digests[0]
	out := []schemas.Hold{entry}
	for i, digest := range hold.Digests[1:] {
		entry.Digest, entry.Rollback = digest, fmt.Sprintf("%s-%d", hold.ID, i+2)
		out = append(out, entry)
	}
	return out
}

// plain is one line of printable text, as the control file wants it. What was
// measured may quote a program's own words.
func plain(reason string) string {
	reason = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(reason, "\uFFFD"), func(r rune) bool {
		return !unicode.IsPrint(r) || r == ' '
	}), " ")
	if reason == "" {
		return "rolled back"
	}
	return reason
}

// addHold keeps every byte that is there where it can: the meaning comes from
// the schemas, and an insertion into the text is taken only when it means
// exactly that.
func addHold(path string, data []byte, hold schemas.Hold) ([]byte, error) {
	whole, err := schemas.AddHold(path, data, hold)
	if err != nil || len(data) == 0 || bytes.Equal(whole, data) {
		return whole, err
	}
	want, err := schemas.DecodeControl(path, whole)
	if err != nil {
		return nil, err
	}
	inserted, err := insertHold(path, data, hold)
	if err != nil {
		return nil, err
	}
	got, err := schemas.DecodeControl(path, inserted)
	if err == nil && sameMeaning(got, want) {
		return inserted, nil
	}
	return whole, nil
}

func sameMeaning(a, b schemas.Control) bool {
	return a.Paused == b.Paused && a.Reason == b.Reason &&
		reflect.DeepEqual(a.Freeze, b.Freeze) && reflect.DeepEqual(a.Holds, b.Holds)
}

// insertHold puts the entry behind the last one, in the file's own indentation
// and line ends.
func insertHold(path string, data []byte, hold schemas.Hold) ([]byte, error) {
	alone, err := schemas.AddHold(path, nil, hold)
	if err != nil {
		return nil, err
	}
	_, item, _ := strings.Cut(string(alone), "holds:\n")
	lines := strings.SplitAfter(string(data), "\n")
	at, indent, listed := listEnd(data, lines)
	item = indented(item, indent)
	if !listed {
		item = "holds:\n" + item
	}
	if at > 0 && !strings.HasSuffix(lines[at-1], "\n") {
		item = "\n" + item
	}
	if bytes.Contains(data, []byte("\r\n")) {
		item = strings.ReplaceAll(item, "\n", "\r\n")
	}
	return []byte(strings.Join(slices.Insert(lines, at, item), "")), nil
}

// listEnd is the number of lines up to the end of the list of holds and its
// indentation; without a list, the end of the file. It may be wrong about
// unusual files: its caller checks the result.
func listEnd(data []byte, lines []string) (at, indent int, listed bool) {
	at, indent = len(lines), 2
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err == nil && len(document.Content) == 1 {
		fields := document.Content[0].Content
		for i := 0; i+1 < len(fields); i += 2 {
			switch {
			case listed:
				at = min(at, fields[i].Line-1)
			case fields[i].Value == "holds":
				listed, indent = true, fields[i+1].Column-1
			}
		}
	}
	for at > 0 && commentary(lines[at-1]) { // it belongs to what follows
		at--
	}
	return at, indent, listed
}

func commentary(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || strings.HasPrefix(line, "#")
}

// indented moves lines that are indented by two.
func indented(item string, by int) string {
	var b strings.Builder
	for line := range strings.Lines(item) {
		b.WriteString(strings.Repeat(" ", by) + strings.TrimPrefix(line, "  "))
	}
	return b.String()
}
