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
