package analysis_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
)

// FuzzJudge feeds records as they might come back from storage, damaged ones
// included.
func FuzzJudge(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		in := strange(rng).input(2)
		raw, err := json.Marshal(in)
		require.NoError(f, err)
		f.Add(raw)
		if raw, err = json.Marshal(analysis.Compact(in, 3)); err == nil {
			f.Add(raw)
		}
	}
	f.Add([]byte(`{"metric":{"kind":"error-rate","share":1},"limits":{"alpha":1},"steps":1,"past":{"a":{"l":[1e308,-1e308,1e308]},"e":[1e308]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in analysis.Input
		if json.Unmarshal(raw, &in) != nil {
			t.Skip()
		}
		v := analysis.Judge(in)
		_, err := json.Marshal(v)
		require.NoError(t, err, "a verdict can always be stored")
		assert.NotEmpty(t, v.Reason)
		if v.Outcome == analysis.Pass {
			assert.Positive(t, v.Candidate.Requests, "nothing measured, nothing passed")
			assert.False(t, v.Suspect)
		}
		compact := analysis.Compact(in, 2)
		_, err = json.Marshal(compact)
		require.NoError(t, err, "a compacted record can always be stored")
		assert.Equal(t, v, analysis.Judge(compact))
	})
}
