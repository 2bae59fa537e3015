package gate

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// A zone relates what clocks show to instants. What they show is carried as a
// time in UTC: a schedule followed there meets every time of every day once,
// also on the days on which clocks skip an hour or show one twice.
type zone struct{ *time.Location }

// zoneOf is the zone of that name; a policy that names none means UTC.
func zoneOf(name string) (zone, error) {
	location, err := time.LoadLocation(name)
	if err != nil {
		return zone{}, fmt.Errorf("find time zone %q: %w", name, err)
	}
	return zone{location}, nil
}

// shown is what clocks show at an instant.
func (z zone) shown(at time.Time) time.Time {
	t := at.In(z.Location)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant is when clocks show a time, the first time that they do. When they
// skip it, it is the instant at which they are put forward past it.
func (z zone) instant(shown time.Time) time.Time {
	early := shown.Add(-z.offset(shown.AddDate(0, 0, -1)))
	if z.shown(early).Equal(shown) {
		return early
	}
	if late := shown.Add(-z.offset(shown.AddDate(0, 0, 1))); z.shown(late).Equal(shown) {
		return late
	}
	skip, _ := early.In(z.Location).ZoneBounds()
	return skip.UTC()
}

func (z zone) offset(at time.Time) time.Duration {
	_, seconds := at.In(z.Location).Zone()
	return time.Duration(seconds) * time.Second
}

// words names an instant by the weekday where that is enough to know which one.
func (z zone) words(at, now time.Time) string {
	layout := "Mon 15:04"
	if at.Sub(now).Abs() >= 6*24*time.Hour {
		layout = "Mon 2006-01-02 15:04"
	}
	return at.In(z.Location).Format(layout) + " " + z.String()
}

// Hours open at the times of a schedule. They stay open for so much elapsed
// time: a clock that is changed meanwhile neither shortens nor lengthens them.
type hours struct {
	zone
	schedule cron.Schedule
	duration time.Duration
}

func (z zone) hours(expression string, duration time.Duration) (hours, error) {
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return hours{}, fmt.Errorf("read the time of opening %q: %w", expression, err)
	}
	return hours{z, schedule, duration}, nil
}

// openSince is the earliest opening whose time is not over, if there is one.
func (h hours) openSince(now time.Time) (time.Time, bool) {
	at, ok := h.openingAfter(now.Add(-h.duration))
	return at, ok && !at.After(now)
}

// openingAfter is the next opening; a schedule such as that of a 30th of
// February has none.
func (h hours) openingAfter(t time.Time) (time.Time, bool) {
	for shown := h.schedule.Next(h.shown(t)); !shown.IsZero(); shown = h.schedule.Next(shown) {
		if at := h.instant(shown); at.After(t) {
			return at, true
		}
	}
	return time.Time{}, false
}
