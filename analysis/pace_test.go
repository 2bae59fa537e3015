package analysis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/analysis"
)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func TestWindowsFollowOneAnother(t *testing.T) {
	p := analysis.DefaultPace()
	for name, c := range map[string]struct {
		last, changed, now time.Time
		from, to           time.Time
		ok                 bool
	}{
		"the first begins when the weight has settled":  {time.Time{}, at(0), at(70), at(15), at(45), true},
		"not before its last scrape can be read":        {time.Time{}, at(0), at(69), at(15), at(45), false},
		"the next begins where the last ended":          {at(45), at(0), at(100), at(45), at(75), true},
		"none reaches across a change of weight":        {at(45), at(60), at(140), at(75), at(105), true},
		"what was missed is read window by window":      {at(45), at(0), at(4000), at(45), at(75), true},
		"a clock that went back an hour waits":          {at(45), at(0), at(-3600), at(45), at(75), false},
		"a change in the future, by a wrong clock, too": {at(45), at(3600), at(100), at(3615), at(3645), false},
	} {
		from, to, ok := p.Next(c.last, c.changed, c.now)
		assert.Equal(t, c.from, from, name)
		assert.Equal(t, c.to, to, name)
		assert.Equal(t, c.ok, ok, name)
	}
}

func TestAWindowHasAtLeastTwoScrapes(t *testing.T) {
	p := analysis.Pace{Interval: time.Second, Scrape: time.Second, Lag: 2 * time.Second, Settle: time.Second}
	_, to, ok := p.Next(time.Time{}, start, at(6))
	assert.True(t, ok)
	assert.Equal(t, at(3), to)
}
