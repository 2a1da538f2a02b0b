package relay

import (
	"testing"
	"time"
)

const everyDay = 1<<7 - 1

func scheduleOf(zone string, windows ...Window) Schedule {
	s := Schedule{Zone: zone}
	copy(s.Windows[:], windows)
	return s
}

func hm(h, m int) int { return 60*h + m }

func TestSchedule(t *testing.T) {
	// Clocks in Berlin: 2026-03-29 02:00 becomes 03:00, 2026-10-25 03:00 becomes 02:00.
	const berlin = "Europe/Berlin"
	day := scheduleOf(berlin, Window{everyDay, hm(6, 0), hm(22, 0)})
	night := scheduleOf(berlin, Window{1 << time.Friday, hm(22, 0), hm(6, 0)})
	early := scheduleOf(berlin, Window{everyDay, hm(2, 30), hm(4, 0)})
	until := scheduleOf(berlin, Window{everyDay, hm(1, 0), hm(2, 30)})
	hole := scheduleOf(berlin, Window{everyDay, hm(2, 10), hm(2, 50)})
	tests := []struct {
		name     string
		schedule Schedule
		now      string
		open     bool
		next     string // empty: never
	}{
		{"no windows", Schedule{}, "2026-01-05T12:00:00Z", false, ""},
		{"before the window", day, "2026-01-05T04:59:59Z", false, "2026-01-05T05:00:00Z"},
		{"at its first moment", day, "2026-01-05T05:00:00Z", true, "2026-01-05T21:00:00Z"},
		{"at its end", day, "2026-01-05T21:00:00Z", false, "2026-01-06T05:00:00Z"},
		{"an hour earlier in summer", day, "2026-03-28T21:00:00Z", false, "2026-03-29T04:00:00Z"},
		{"over midnight, on its evening", night, "2026-01-09T22:00:00Z", true, "2026-01-10T05:00:00Z"},
		{"over midnight, on the morning after", night, "2026-01-10T04:00:00Z", true, "2026-01-10T05:00:00Z"},
		{"over midnight, the day before", night, "2026-01-08T22:00:00Z", false, "2026-01-09T21:00:00Z"},
		{
			"over the night that is an hour shorter", scheduleOf(berlin, Window{everyDay, hm(22, 0), hm(6, 0)}),
			"2026-03-28T21:30:00Z", true, "2026-03-29T04:00:00Z",
		},
		{"its first hour is skipped", early, "2026-03-29T00:30:00Z", false, "2026-03-29T01:00:00Z"},
		{"its first hour comes twice: the first counts", early, "2026-10-25T00:00:00Z", false, "2026-10-25T00:30:00Z"},
		{"no hole where clocks are put back", early, "2026-10-25T01:10:00Z", true, "2026-10-25T03:00:00Z"},
		{"its last hour comes twice: the last counts", until, "2026-10-25T00:40:00Z", true, "2026-10-25T01:30:00Z"},
		{"all of it is skipped", hole, "2026-03-29T00:30:00Z", false, "2026-03-30T00:10:00Z"},
		{
			"one window begins where another ends", scheduleOf("UTC",
				Window{everyDay, hm(6, 0), hm(12, 0)}, Window{everyDay, hm(12, 0), hm(14, 0)}),
			"2026-01-05T07:00:00Z", true, "2026-01-05T14:00:00Z",
		},
		{"all day, every day", scheduleOf("UTC", Window{everyDay, 0, hm(24, 0)}), "2026-01-05T07:00:00Z", true, ""},
		{
			"all day on one day", scheduleOf("UTC", Window{1 << time.Monday, 0, hm(24, 0)}), "2026-01-05T07:00:00Z", true,
			"2026-01-06T00:00:00Z",
		},
		{
			"six days ahead", scheduleOf("UTC", Window{1 << time.Sunday, hm(8, 0), hm(9, 0)}), "2026-01-05T07:00:00Z", false,
			"2026-01-11T08:00:00Z",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, err := time.Parse(time.RFC3339, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			open, next := tt.schedule.at(now, tt.schedule.location())
			got := ""
			if !next.IsZero() {
				got = next.UTC().Format(time.RFC3339)
			}
			if open != tt.open || got != tt.next {
				t.Errorf("open %v until %s, want %v until %s", open, got, tt.open, tt.next)
			}
		})
	}
}

// TestScheduleAgreesWithTheClock asks at every quarter of an hour of a year
// what the clock on the wall shows.
func TestScheduleAgreesWithTheClock(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"} {
		s := scheduleOf(zone, Window{1<<time.Monday | 1<<time.Thursday, hm(5, 15), hm(21, 45)},
			Window{1 << time.Saturday, hm(20, 0), hm(4, 30)})
		loc := s.location()
		end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		for now := end.AddDate(-1, 0, 0); now.Before(end); now = now.Add(15 * time.Minute) {
			wall := now.In(loc)
			minute := hm(wall.Hour(), wall.Minute())
			var want bool
			switch wall.Weekday() {
			case time.Monday, time.Thursday:
				want = minute >= hm(5, 15) && minute < hm(21, 45)
			case time.Saturday:
				want = minute >= hm(20, 0)
			case time.Sunday:
				want = minute < hm(4, 30)
			}
			if open, next := s.at(now, loc); open != want || !next.After(now) {
				t.Fatalf("%s at %s: open %v until %v, want %v", zone, wall, open, next, want)
			}
		}
	}
}
