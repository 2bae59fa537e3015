package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

func freezes(days ...schemas.Date) []schemas.FreezePeriod {
	var all []schemas.FreezePeriod
	for i := 0; i < len(days); i += 2 {
		all = append(all, schemas.FreezePeriod{From: days[i], Through: days[i+1], Reason: "peak season"})
	}
	return all
}

// within returns facts of a promotion into an environment with these windows.
func within(zone string, open ...schemas.Window) gate.Facts {
	f := promotion()
	f.Environment.Windows = schemas.Windows{Timezone: zone, Open: open}
	return f
}

func hoursFrom(cron string, hours float64) schemas.Window {
	return schemas.Window{Cron: cron, Duration: schemas.Duration(hours * float64(time.Hour))}
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return instant
}

const berlin, newYork = "Europe/Berlin", "America/New_York"

func TestAWindowIsOpenFromItsOpeningForItsDuration(t *testing.T) {
	workdays := []schemas.Window{hoursFrom("0 8 * * MON-THU", 10)}
	night := []schemas.Window{hoursFrom("0 22 * * MON-FRI", 8)}
	cases := map[string]struct {
		zone string
		open []schemas.Window
		now  string
		next string // "" while it is open
		says string
	}{
		"just before":                     {berlin, workdays, "2026-11-23T06:59:59Z", "2026-11-23T07:00:00Z", "opens Mon 08:00 Europe/Berlin"},
		"as it opens":                     {berlin, workdays, "2026-11-23T07:00:00Z", "", "is open since Mon 08:00 Europe/Berlin"},
		"as it closes":                    {berlin, workdays, "2026-11-23T17:00:00Z", "2026-11-24T07:00:00Z", "opens Tue 08:00 Europe/Berlin"},
		"just before that":                {berlin, workdays, "2026-11-23T16:59:59.999999999Z", "", "is open"},
		"on Friday":                       {berlin, workdays, "2026-11-27T10:00:00Z", "2026-11-30T07:00:00Z", "opens Mon 08:00 Europe/Berlin"},
		"on Thursday evening, days ahead": {berlin, workdays, "2026-11-26T17:30:00Z", "2026-11-30T07:00:00Z", "opens Mon 08:00 Europe/Berlin"},
		"once a month, weeks ahead": {"UTC", []schemas.Window{hoursFrom("30 9 1 * *", 1)}, "2026-11-23T12:00:00Z",
			"2026-12-01T09:30:00Z", "opens Tue 2026-12-01 09:30 UTC"},
		"over midnight, before it":          {"UTC", night, "2026-11-27T23:00:00Z", "", "is open"},
		"over midnight, after it":           {"UTC", night, "2026-11-28T05:59:00Z", "", "is open since Fri 22:00 UTC"},
		"over midnight, in the morning":     {"UTC", night, "2026-11-28T06:00:00Z", "2026-11-30T22:00:00Z", "opens Mon 22:00 UTC"},
		"over midnight, not opened the day": {"UTC", night, "2026-11-30T03:00:00Z", "2026-11-30T22:00:00Z", "opens Mon 22:00 UTC"},
		"longer than a day":                 {"UTC", []schemas.Window{hoursFrom("0 8 * * MON", 50)}, "2026-11-25T09:59:00Z", "", "is open"},
		"overlapping, the first is over": {"UTC", []schemas.Window{hoursFrom("0 8 * * *", 4), hoursFrom("0 11 * * *", 4)},
			"2026-11-23T14:00:00Z", "", "is open since Mon 11:00 UTC"},
		"several, the next of all": {"UTC", []schemas.Window{hoursFrom("0 20 * * *", 1), hoursFrom("0 16 * * *", 1)},
			"2026-11-23T14:00:00Z", "2026-11-23T16:00:00Z", "opens Mon 16:00 UTC"},
		"a zone of half hours":  {"Asia/Kolkata", workdays, "2026-11-23T02:29:00Z", "2026-11-23T02:30:00Z", "opens Mon 08:00 Asia/Kolkata"},
		"a zone ahead of UTC":   {"Pacific/Kiritimati", workdays, "2026-11-22T18:00:00Z", "", "is open since Mon 08:00 Pacific/Kiritimati"},
		"a zone behind UTC":     {"Pacific/Honolulu", workdays, "2026-11-24T03:59:00Z", "", "is open since Mon 08:00 Pacific/Honolulu"},
		"always":                {berlin, []schemas.Window{hoursFrom("0 0 * * *", 25)}, "2026-10-25T22:59:00Z", "", "is open"},
		"no zone is UTC":        {"", workdays, "2026-11-23T08:00:00Z", "", "UTC"},
		"no windows, no limits": {"UTC", nil, "2026-11-28T03:00:00Z", "", "there are no change windows"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := pick(t, gate.Evaluate(within(c.zone, c.open...), at(t, c.now)), gate.Window)
			assert.Contains(t, r.Reason, c.says)
			if c.next == "" {
				assert.Equal(t, gate.Pass, r.Verdict, r.Reason)
				assert.Zero(t, r.NextCheck)
				return
			}
			assert.Equal(t, gate.Later, r.Cause)
			assert.Equal(t, at(t, c.next), r.NextCheck.UTC())
			opened := pick(t, gate.Evaluate(within(c.zone, c.open...), r.NextCheck), gate.Window)
			assert.Equal(t, gate.Pass, opened.Verdict, "it is open when it says that it will be")
		})
	}
}

// In 2026 Berlin goes forward on March 29 from 02:00 to 03:00 and back on
// October 25 from 03:00 to 02:00; New York on March 8 and November 1, and Lord
// Howe by half an hour on October 4 and April 5.
func TestClocksThatChangeNeitherHideNorRepeatAnOpening(t *testing.T) {
	cases := map[string]struct {
		zone  string
		open  schemas.Window
		opens string
		ends  string
	}{
		"forward, skipped":                  {berlin, hoursFrom("30 2 29 3 *", 2), "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"},
		"forward, skipped as a whole hour":  {newYork, hoursFrom("0 2 8 3 *", 2), "2026-03-08T07:00:00Z", "2026-03-08T09:00:00Z"},
		"forward, while it is open":         {berlin, hoursFrom("0 22 28 3 *", 10), "2026-03-28T21:00:00Z", "2026-03-29T07:00:00Z"},
		"forward, on that day":              {berlin, hoursFrom("0 8 29 3 *", 10), "2026-03-29T06:00:00Z", "2026-03-29T16:00:00Z"},
		"back, shown twice":                 {berlin, hoursFrom("30 2 25 10 *", 1), "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		"back, shown twice, ends before it": {newYork, hoursFrom("0 1 1 11 *", 0.5), "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z"},
		"back, while it is open":            {newYork, hoursFrom("0 22 31 10 *", 10), "2026-11-01T02:00:00Z", "2026-11-01T12:00:00Z"},
		"back, on that day":                 {newYork, hoursFrom("0 8 1 11 *", 10), "2026-11-01T13:00:00Z", "2026-11-01T23:00:00Z"},
		"forward by half an hour":           {"Australia/Lord_Howe", hoursFrom("15 2 4 10 *", 1), "2026-10-03T15:30:00Z", "2026-10-03T16:30:00Z"},
		"back by half an hour":              {"Australia/Lord_Howe", hoursFrom("45 1 5 4 *", 1), "2026-04-04T14:45:00Z", "2026-04-04T15:45:00Z"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := within(c.zone, c.open)
			opens, ends := at(t, c.opens), at(t, c.ends)
			verdict := func(at time.Time) gate.Result { return pick(t, gate.Evaluate(f, at), gate.Window) }
			before := verdict(opens.Add(-time.Hour))
			assert.Equal(t, opens, before.NextCheck.UTC(), before.Reason)
			assert.Equal(t, gate.Wait, verdict(opens.Add(-1)).Verdict)
			for now := opens; now.Before(ends); now = now.Add(time.Minute) {
				require.Equal(t, gate.Pass, verdict(now).Verdict, now)
			}
			for now := ends; now.Before(ends.Add(24 * time.Hour)); now = now.Add(time.Minute) {
				require.Equal(t, gate.Wait, verdict(now).Verdict, now)
			}
		})
	}
}

func TestAnHourlyWindowOpensOncePerShownHour(t *testing.T) {
	f := within(berlin, hoursFrom("0 * * * *", 0.25))
	open := 0
	for now := at(t, "2026-10-24T22:00:00Z"); now.Before(at(t, "2026-10-25T23:00:00Z")); now = now.Add(15 * time.Minute) {
		if pick(t, gate.Evaluate(f, now), gate.Window).Verdict == gate.Pass {
			open++
		}
	}
	assert.Equal(t, 24, open, "a day of 25 hours shows 24 of them")
}

func TestADayThatAZoneLeftOutOpensAtItsEnd(t *testing.T) {
	f := within("Pacific/Apia", hoursFrom("0 8 30 12 *", 1)) // Samoa had no 2011-12-30
	r := pick(t, gate.Evaluate(f, at(t, "2011-12-29T20:00:00Z")), gate.Window)
	assert.Equal(t, at(t, "2011-12-30T10:00:00Z"), r.NextCheck.UTC(), r.Reason)
}

func TestAFreezeLastsFromItsFirstThroughItsLastDayOnTheClocksOfItsZone(t *testing.T) {
	f := within(berlin, hoursFrom("0 0 * * *", 25))
	f.Environment.Windows.Freezes = freezes("2026-12-18", "2027-01-03")
	verdict := func(now string) gate.Result { return pick(t, gate.Evaluate(f, at(t, now)), gate.Frozen) }

	assert.Equal(t, gate.Pass, verdict("2026-12-17T22:59:59Z").Verdict)
	r := verdict("2026-12-17T23:00:00Z")
	assert.Equal(t, gate.Later, r.Cause)
	assert.Equal(t, "frozen until Mon 2027-01-04 00:00 Europe/Berlin: peak season", r.Reason)
	assert.Equal(t, at(t, "2027-01-03T23:00:00Z"), r.NextCheck.UTC())
	assert.Equal(t, gate.Wait, verdict("2027-01-03T22:59:59Z").Verdict)
	assert.Equal(t, gate.Pass, verdict("2027-01-03T23:00:00Z").Verdict)
}

func TestFreezesThatFollowEachOtherEndTogether(t *testing.T) {
	f := within("UTC", hoursFrom("0 0 * * *", 25))
	f.Environment.Windows.Freezes = freezes("2026-12-01", "2026-12-05", "2026-11-20", "2026-11-24", "2026-11-23", "2026-11-30", "2026-12-07", "2026-12-07")
	r := ask(t, f, gate.Frozen)
	assert.Equal(t, "frozen until Sun 2026-12-06 00:00 UTC: peak season", r.Reason)
}

func TestAFreezeBeginsWhenAZoneSkipsMidnight(t *testing.T) {
	f := within("Africa/Cairo", hoursFrom("0 0 * * *", 25)) // 2026-04-24 begins at 01:00
	f.Environment.Windows.Freezes = freezes("2026-04-24", "2026-04-24")
	verdict := func(now string) gate.Verdict { return pick(t, gate.Evaluate(f, at(t, now)), gate.Frozen).Verdict }
	assert.Equal(t, gate.Pass, verdict("2026-04-23T21:59:59Z"))
	assert.Equal(t, gate.Wait, verdict("2026-04-23T22:00:00Z"))
	assert.Equal(t, gate.Wait, verdict("2026-04-24T20:59:59Z"))
	assert.Equal(t, gate.Pass, verdict("2026-04-24T21:00:00Z"))
}

func TestAFreezeByHandSaysWhereItIs(t *testing.T) {
	f := promotion()
	f.Frozen = gate.Freeze{Frozen: true, Reason: "INC-7", Path: "production/control.yaml"}
	r := ask(t, f, gate.Frozen)
	assert.Equal(t, "production is frozen: INC-7", r.Reason)
	assert.Equal(t, "anybody, by removing freeze from production/control.yaml in a reviewed pull request", r.Unblocks)
	assert.Zero(t, r.NextCheck, "time does not end it")
	f.Frozen.Path = ""
	assert.Contains(t, ask(t, f, gate.Frozen).Unblocks, "production/control.yaml")
}

func TestAHotfixThatIsHeldUpSaysHowThePolicyCouldLetItThrough(t *testing.T) {
	f := promotion()
	f.Class, f.Incident = schemas.ChangeHotfix, "INC-7"
	f.Environment.Windows.Open[0].Cron = "0 8 * * FRI"
	f.Environment.Windows.Freezes = freezes("2026-11-20", "2026-11-30")
	for _, g := range []string{gate.Window, gate.Frozen} {
		r := ask(t, f, g)
		assert.Equal(t, gate.Later, r.Cause, g)
		assert.Equal(t, "time; for hotfixes also the owners of the policy, by listing "+g+" in hotfix.waives of production", r.Unblocks)

		f.Environment.Hotfix.Waives = []string{g}
		r = ask(t, f, g)
		assert.Equal(t, gate.Pass, r.Verdict)
		assert.Equal(t, "a hotfix does not wait for the "+g+": hotfix.waives of the policy says so", r.Reason)

		f.Class = schemas.ChangeStandard
		assert.Equal(t, "time", ask(t, f, g).Unblocks, "others cannot use it")
		f.Class = schemas.ChangeHotfix
	}
}

func TestTheSummarySaysWhenAPromotionWouldDeploy(t *testing.T) {
	f := preview()
	f.Environment.Windows.Open[0].Cron = "0 8 * * TUE"
	s := gate.Summarize(gate.Evaluate(f, now))
	assert.Equal(t, gate.StatusSuccess, s.Status, "the merge is right, only the time is not")
	assert.Equal(t, "Deploys later: the change window opens Tue 08:00 UTC", s.Title)
	assert.Equal(t, time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC), s.NextCheck.UTC())
}
