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
		longest   time.Duration
	}{
		{"the first try after a loss of the network comes within a second", 1, media.ClassNetwork, quarter, time.Second, 0},
		{"an attempt that was never counted is the first", 0, media.ClassNetwork, quarter, time.Second, 0},
		{"the second doubles", 2, media.ClassNetwork, quarter, 2 * time.Second, 0},
		{"the sixth is below the cap", 6, media.ClassNetwork, quarter, 32 * time.Second, 0},
		{"the seventh is capped", 7, media.ClassNetwork, quarter, time.Minute, 0},
		{"the millionth is capped", 1_000_000, media.ClassNetwork, quarter, time.Minute, 0},
		{"a busy peer is left alone for a while", 1, media.ClassBusy, 5 * time.Second, 6250 * time.Millisecond, 0},
		{"a peer that stays busy is asked less often", 9, media.ClassBusy, 5 * time.Second, time.Minute, 0},
		{"refused credentials are not tried for a minute", 1, media.ClassCredentials, time.Minute, 75 * time.Second, 0},
		{"settings that cannot work are not tried for a minute", 3, media.ClassUnsupported, time.Minute, 75 * time.Second, 0},
		{"a shorter cap of somebody's is kept to", 9, media.ClassNetwork, quarter, 5 * time.Second, 5 * time.Second},
		{"a longer one too", 13, media.ClassNetwork, quarter, time.Hour, time.Hour},
		{"but not to the harm of an account", 1, media.ClassCredentials, time.Minute, 75 * time.Second, time.Second},
		{"who is not heard may try often", 9, media.ClassUnreachable, quarter, 10 * time.Second, 0},
		{"who is not heard doubles too", 2, media.ClassUnreachable, quarter, 2 * time.Second, time.Hour},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if d := Backoff(row.attempt, row.class, row.longest, func(int64) int64 { return 0 }); d != row.low {
				t.Errorf("least delay %s, want %s", d, row.low)
			}
			if d := Backoff(row.attempt, row.class, row.longest, func(n int64) int64 { return n - 1 }); d != row.high {
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
			buckets[Backoff(7, media.ClassNetwork, 0, rnd)/(10*time.Second)]++
		}
		for b, n := range buckets {
			if n > 25 {
				t.Errorf("seed %d: %d of 50 within 10 s from %s", seed, n, b*10*time.Second)
			}
		}
	}
}
