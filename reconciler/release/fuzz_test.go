package release_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// FuzzNext takes events to whatever a stored record may have become. Nothing may
// panic, whether Decode takes the record or not.
func FuzzNext(f *testing.F) {
	source := rand.New(rand.NewPCG(1, 1))
	for range 12 {
		r, now := release.New(key, t0), t0
		for range 40 {
			now = instants(r, now)[0]
			r = release.Next(r, pick(source, r, now), now)
		}
		data, err := release.Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint64(1))
	}
	f.Add([]byte(`{"schema":1,"key":{"environment":"a","service":"b"},"phase":"progressing"}`), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		r, err := release.Decode(data)
		if err != nil {
			return
		}
		source, now := rand.New(rand.NewPCG(seed, 1)), t0
		for range 20 {
			use(r, now)
			moments := instants(r, now)
			now = moments[source.IntN(len(moments))]
			r = release.Next(r, pick(source, r, now), now)
		}
	})
}

func use(r release.Record, now time.Time) {
	release.Desired(r)
	release.Sources(r)
	release.Wake(r, now)
	_ = release.Explain(r, now).Text()
}
