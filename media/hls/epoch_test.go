package hls

import (
	"testing"
	"time"
)

func TestEpoch(t *testing.T) {
	zero := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for _, tc := range []struct {
		name string
		at   []time.Duration // since zero
		want []time.Duration
	}{
		{"cameras that come later", []time.Duration{time.Second, time.Hour}, []time.Duration{time.Second, time.Hour}},
		{
			"cameras that were there",
			[]time.Duration{-2 * time.Second, -4 * time.Second, time.Second},
			[]time.Duration{spare, spare - 2*time.Second, spare + 3*time.Second},
		},
		{"a clock that is set back", []time.Duration{time.Second, -time.Hour}, []time.Duration{time.Second, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := &epoch{zero: zero}
			for i, d := range tc.at {
				if got := e.since(zero.Add(d)); got != tc.want[i] {
					t.Errorf("%v is %v, want %v", d, got, tc.want[i])
				}
			}
		})
	}
}
