package relay

import (
	"fmt"
	"strings"
	"time"
)

// MaxWindows is the greatest number of windows in a schedule.
const MaxWindows = 16

// Schedule is the hours at which a camera is kept warm. It is comparable; the
// zero value has none.
type Schedule struct {
	Windows [MaxWindows]Window // those with days count
	Zone    string             // name in the IANA time zone database; empty: the box's local time
}

// Window is a span of hours on some days of the week, by the clock on the wall.
type Window struct {
	Days     uint8 // on which it begins, bit n is time.Weekday(n); 0: there is no window
	From, To int   // minutes after midnight, To up to 1440; To ≤ From: on the next day
}

// String returns the windows for people.
func (s Schedule) String() string {
	var all []string
	for _, w := range s.Windows {
		if w.Days != 0 {
			all = append(all, fmt.Sprintf("%02d:%02d-%02d:%02d", w.From/60, w.From%60, w.To/60, w.To%60))
		}
	}
	return strings.Join(all, ", ")
}

// location returns the zone of the schedule. A zone that has gone from the box
// since the file was checked is taken for the box's own.
func (s Schedule) location() *time.Location {
	if s.Zone != "" {
		if loc, err := time.LoadLocation(s.Zone); err == nil {
			return loc
		}
	}
	return time.Local
}

// horizon is how many days ahead a change is looked for: windows repeat weekly.
const horizon = 8

// at tells whether a window is open, and when that changes next; zero: not
// within a week. A window begins when the clock first shows its hour and ends
// when it last does: clocks that are put back make no hole in it. An hour that
// clocks skip is the moment at which they do.
func (s Schedule) at(now time.Time, loc *time.Location) (open bool, next time.Time) {
	spans := s.spans(now, loc)
	// The end of one window may lie in another.
	end := now
	for grown := true; grown; {
		grown = false
		for _, sp := range spans {
			if !sp.from.After(end) && sp.to.After(end) {
				end, grown = sp.to, true
			}
		}
	}
	if end.After(now) {
		if end.Sub(now) > (horizon-1)*24*time.Hour {
			return true, time.Time{}
		}
		return true, end
	}
	for _, sp := range spans {
		if sp.from.After(now) && sp.to.After(sp.from) && (next.IsZero() || sp.from.Before(next)) {
			next = sp.from
		}
	}
	return false, next
}

// span is one window on one day.
type span struct{ from, to time.Time }

// spans returns the windows from yesterday to the horizon.
func (s Schedule) spans(now time.Time, loc *time.Location) []span {
	var all []span
	y, m, d := now.In(loc).Date()
	for day := -1; day <= horizon; day++ {
		weekday := time.Date(y, m, d+day, 12, 0, 0, 0, time.UTC).Weekday()
		for _, w := range s.Windows {
			if w.Days&(1<<weekday) == 0 {
				continue
			}
			over := 0
			if w.To <= w.From {
				over = 1
			}
			first, _ := instants(y, m, d+day, w.From, loc)
			_, last := instants(y, m, d+day+over, w.To, loc)
			all = append(all, span{first, last})
		}
	}
	return all
}

// instants returns the first and the last moment at which the clock on the
// wall shows the given minute of a day: two where clocks are put back, one and
// the same else.
func instants(y int, m time.Month, d, minute int, loc *time.Location) (first, last time.Time) {
	wall := time.Date(y, m, d, 0, minute, 0, 0, time.UTC)
	about := time.Date(y, m, d, 0, minute, 0, 0, loc)
	_, before := about.Add(-12 * time.Hour).Zone()
	_, after := about.Add(12 * time.Hour).Zone()
	a := wall.Add(-time.Duration(before) * time.Second).In(loc)
	if before == after {
		return a, a
	}
	b := wall.Add(-time.Duration(after) * time.Second).In(loc)
	shows := func(t time.Time) bool { return t.Hour() == wall.Hour() && t.Minute() == wall.Minute() }
	switch {
	case shows(a) && shows(b):
		if b.Before(a) {
			a, b = b, a
		}
		return a, b
	case shows(a):
		return a, a
	case shows(b):
		return b, b
	}
	_, change := b.ZoneBounds()
	return change, change
}
