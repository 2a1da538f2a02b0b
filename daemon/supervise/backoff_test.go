package supervise

import (
	"math/rand/v2"
	"testing"
	"time"

	"camrelay/media"
)

func TestBackoff(t *testing.T) {
	const quarter = 250 * time.Millisecond
	rows := []struct {
		name      string
		attempt   int
		class     media.Class
		low, high time.Duration
	}{
		{"the first try after a loss of the network comes within a second", 1, media.ClassNetwork, quarter, time.Second},
		{"an attempt that was never counted is the first", 0, media.ClassNetwork, quarter, time.Second},
		{"the second doubles", 2, media.ClassNetwork, quarter, 2 * time.Second},
		{"the sixth is below the cap", 6, media.ClassNetwork, quarter, 32 * time.Second},
		{"the seventh is capped", 7, media.ClassNetwork, quarter, time.Minute},
		{"the millionth is capped", 1_000_000, media.ClassNetwork, quarter, time.Minute},
		{"a busy peer is left alone for a while", 1, media.ClassBusy, 5 * time.Second, 6250 * time.Millisecond},
		{"a peer that stays busy is asked less often", 9, media.ClassBusy, 5 * time.Second, time.Minute},
		{"refused credentials are not tried for a minute", 1, media.ClassCredentials, time.Minute, 75 * time.Second},
		{"settings that cannot work are not tried for a minute", 3, media.ClassUnsupported, time.Minute, 75 * time.Second},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if d := Backoff(row.attempt, row.class, func(int64) int64 { return 0 }); d != row.low {
				t.Errorf("least delay %s, want %s", d, row.low)
			}
			if d := Backoff(row.attempt, row.class, func(n int64) int64 { return n - 1 }); d != row.high {
				t.Errorf("greatest delay %s, want %s", d, row.high)
			}
		})
	}
}

// TestBackoffSpreads draws from seeded sources: fifty cameras that fail
// together must not come back together.
func TestBackoffSpreads(t *testing.T) {
	for seed := range uint64(5) {
		rnd := rand.New(rand.NewPCG(seed, 1)).Int64N
		buckets := make(map[time.Duration]int)
		for range 50 {
			buckets[Backoff(7, media.ClassNetwork, rnd)/(10*time.Second)]++
		}
		for b, n := range buckets {
			if n > 25 {
				t.Errorf("seed %d: %d of 50 within 10 s from %s", seed, n, b*10*time.Second)
			}
		}
	}
}
