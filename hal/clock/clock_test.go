package clock

import (
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	floor := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	yes, no := true, false
	for _, row := range []struct {
		name string
		s    State
		now  time.Time
		want string
	}{
		{"a box without a battery has started", State{}, time.Unix(7, 0), "clock_wrong"},
		{"somebody says that it is synchronous", State{Synced: &yes}, time.Unix(7, 0), "clock_wrong"},
		{"nobody knows", State{}, floor.AddDate(0, 1, 0), ""},
		{"no server was reached", State{Synced: &no}, floor.AddDate(0, 1, 0), "clock_not_synced"},
		{"it is right", State{Synced: &yes}, floor.AddDate(0, 1, 0), ""},
	} {
		var got strings.Builder
		for _, f := range Judge(row.s, row.now, floor) {
			got.WriteString(f.Name)
		}
		if got.String() != row.want {
			t.Errorf("%s: %q, want %q", row.name, got.String(), row.want)
		}
	}
}

func TestSteps(t *testing.T) {
	begin := time.Unix(10, 0)
	var s Steps
	for _, row := range []struct {
		name string
		wall time.Time
		mono time.Duration
		want time.Duration
	}{
		{"the first look", begin, time.Hour, 0},
		{"time goes by", begin.Add(10 * time.Second), time.Hour + 10*time.Second, 0},
		{"it is slewed", begin.Add(20*time.Second + 5*time.Millisecond), time.Hour + 20*time.Second, 0},
		{
			"from 1970 to now", begin.Add(56 * 365 * 24 * time.Hour), time.Hour + 30*time.Second,
			56*365*24*time.Hour - 30*time.Second - 5*time.Millisecond,
		},
		{"back by two seconds", begin.Add(56*365*24*time.Hour + 8*time.Second), time.Hour + 40*time.Second, -2 * time.Second},
	} {
		if got := s.Look(row.wall, row.mono); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}
