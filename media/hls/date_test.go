package hls

import (
	"testing"
	"time"
)

func TestDate(t *testing.T) {
	due := time.Now()
	for _, row := range []struct {
		name    string
		broken  bool
		arrival time.Time
		want    time.Duration // after due
	}{
		{"pictures that come when they are due", false, due, 0},
		{"a camera whose clock is a little slow", false, due.Add(8 * time.Millisecond), time.Millisecond},
		{"a camera whose clock is a little fast", false, due.Add(-8 * time.Millisecond), -time.Millisecond},
		{"pictures that were held up for a moment", false, due.Add(1200 * time.Millisecond), drift / 8},
		{"after a discontinuity", true, due.Add(1200 * time.Millisecond), 1200 * time.Millisecond},
		{"media time that has stood still", false, due.Add(stale + 1), stale + 1},
		{"a clock that was set", false, due.Round(0).Add(50 * 365 * 24 * time.Hour), 50 * 365 * 24 * time.Hour},
	} {
		p := packager{wall: due, broken: row.broken}
		if got := p.date(row.arrival).Round(0).Sub(due.Round(0)); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}
