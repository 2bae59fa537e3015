package release_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// drawn reads the table of the package documentation: the lines between the
// header and the end of the block, "from to event cause".
func drawn(t *testing.T) (out []arrow) {
	t.Helper()
	data, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	inside := false
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(strings.TrimPrefix(line, "//"))
		switch {
		case strings.HasPrefix(strings.Join(fields, " "), "from to event cause"):
			inside = true
		case !inside:
		case len(fields) < 4:
			return out
		default:
			out = append(out, arrow{fields[0], fields[1], fields[2]})
		}
	}
	return out
}

// One walk serves both: the invariants hold for every event in every record that
// can be reached, and the drawing shows every move there is and no other.
func TestEveryReachableRecordKeepsTheInvariantsAndToTheDrawing(t *testing.T) {
	var drawing []string
	for _, a := range drawn(t) {
		drawing = append(drawing, a.String())
	}
	moves := map[string]bool{}
	explore(t, func(s step) {
		checkStep(t, s)
		if a, moved := s.arrow(); moved {
			moves[a.String()] = true
		}
	})
	assert.Equal(t, slices.Sorted(maps.Keys(moves)), slices.Sorted(slices.Values(drawing)))
}
