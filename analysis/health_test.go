package analysis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/analysis"
)

func podSet(healthy int, sick ...analysis.Pod) []analysis.Pod {
	all := append([]analysis.Pod(nil), sick...)
	for i := range healthy {
		all = append(all, analysis.Pod{Name: fmt.Sprintf("pod-%d", i), Ready: true, BeenReady: true})
	}
	return all
}

func TestTheCandidateFailsAsAWholeOrByMoreThanATenthOfItsPods(t *testing.T) {
	crash := analysis.Pod{Name: "crash", CrashLoop: true}
	oom := analysis.Pod{Name: "oom", OOMKilled: true, Ready: true, BeenReady: true}
	again := analysis.Pod{Name: "again", Restarts: 2, Ready: true, BeenReady: true}
	gone := analysis.Pod{Name: "gone", BeenReady: true}
	once := analysis.Pod{Name: "once", Restarts: 1, Ready: true, BeenReady: true}
	starting := analysis.Pod{Name: "starting"}
	evicted := analysis.Pod{Name: "evicted", BeenReady: true, Restarts: 5, Lost: true}

	for name, c := range map[string]struct {
		pods   []analysis.Pod
		failed bool
		says   string
	}{
		"all healthy":                             {podSet(3), false, "None of the candidate's 3 pods fails"},
		"its only pod crashes":                    {podSet(0, crash), true, "pod crash crashes again and again"},
		"one of two":                              {podSet(1, crash), false, "1 of the candidate's 2"},
		"both of two":                             {podSet(0, crash, oom), true, "2 of the candidate's 2"},
		"two of three":                            {podSet(1, oom, again), true, "pod oom ran out of memory"},
		"one of thirty":                           {podSet(29, again), false, "pod again restarted 2 times"},
		"two of twenty are a tenth, not more":     {podSet(18, crash, oom), false, ""},
		"three of twenty":                         {podSet(17, crash, oom, gone), true, ""},
		"no longer ready":                         {podSet(0, gone), true, "is no longer ready"},
		"one restart is forgiven":                 {podSet(0, once), false, ""},
		"starting is not failing":                 {podSet(0, starting), false, ""},
		"evicted pods count on neither side":      {podSet(1, evicted, evicted, evicted), false, "candidate's 1 pods"},
		"the last pod left after evictions fails": {podSet(0, evicted, crash), true, "1 of the candidate's 1"},
	} {
		h := analysis.HealthOf(c.pods, start)
		assert.True(t, h.Known, name)
		assert.Equal(t, c.failed, h.Failed, name)
		assert.Contains(t, h.Reason, c.says, name)
	}
	none := analysis.HealthOf([]analysis.Pod{evicted}, start)
	assert.False(t, none.Known)
	assert.False(t, none.Failed)
}

func TestHealthFailuresCountOnlyInARowAndApart(t *testing.T) {
	sick := func(second int) analysis.Health { return analysis.Health{At: at(second), Known: true, Failed: true} }
	well := func(second int) analysis.Health { return analysis.Health{At: at(second), Known: true} }
	blind := func(second int) analysis.Health { return analysis.Health{At: at(second)} }
	for name, c := range map[string]struct {
		looks []analysis.Health
		want  int
	}{
		"none":                           {[]analysis.Health{well(0)}, 0},
		"one":                            {[]analysis.Health{sick(0)}, 1},
		"two, ten seconds apart":         {[]analysis.Health{sick(0), sick(10)}, 2},
		"the same one, seen often":       {[]analysis.Health{sick(0), sick(3), sick(6), sick(9)}, 1},
		"seen often, then again":         {[]analysis.Health{sick(0), sick(6), sick(12)}, 2},
		"a healthy look between":         {[]analysis.Health{sick(0), well(5), sick(10)}, 1},
		"nothing to see between":         {[]analysis.Health{sick(0), blind(5), sick(10)}, 2},
		"nothing to see is not a second": {[]analysis.Health{sick(0), blind(10)}, 1},
		"a clock that went back":         {[]analysis.Health{sick(0), sick(-3600)}, 1},
	} {
		var s analysis.Streak
		for _, h := range c.looks {
			s = s.After(h, 10*time.Second)
		}
		assert.Equal(t, c.want, s.Count, name)
		if s.Count > 0 {
			assert.False(t, s.Since.IsZero(), name)
		}
	}
}
