package gate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/reconciler/gate"
)

func TestEvidenceThatReadsTheSameIsToldApart(t *testing.T) {
	ids := func(f gate.Facts) []string {
		var out []string
		for _, name := range []string{gate.Integrity, gate.Approvals, "tests"} {
			for _, e := range ask(t, f, name).Evidence {
				out = append(out, e.ID)
			}
		}
		return out
	}
	f := promotion()
	before := ids(f)
	assert.Contains(t, before, "review 201 of "+head)
	assert.Contains(t, before, "check 100")
	assert.Contains(t, before, "pull request 12 at "+head+" as "+mergeCommit)

	f.Changes[0].Reviews[0].ID = 999
	assert.NotEqual(t, before, ids(f))
}
