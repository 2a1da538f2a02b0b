package supervise

import (
	"math/rand/v2"
	"time"

	"camrelay/media"
)

// Bounds of the backoff.
const (
	firstCeiling = time.Second
	lastCeiling  = time.Minute
	// unheard is the last ceiling where attempts reach nobody: they cannot be a
	// burden, and when the uplink is back it is to be noticed soon.
	unheard = 10 * time.Second
)

// floors are the shortest delays by class of failure. A camera that refuses a
// password counts the tries and locks the account; one without a free slot
// frees it by a timeout of its own.
var floors = [...]time.Duration{
	media.ClassNetwork:     250 * time.Millisecond,
	media.ClassBusy:        5 * time.Second,
	media.ClassCredentials: time.Minute,
	media.ClassUnsupported: time.Minute,
	media.ClassRefused:     250 * time.Millisecond,
	media.ClassUnreachable: 250 * time.Millisecond,
}

// Backoff returns the delay after the given number of failed attempts in a
// row (≥ 1): evenly spread between the floor of the class and a ceiling that
// begins at 1 s and doubles to longest, 60 s if that is 0. Where the floor is
// above the ceiling the spread is a quarter of the floor. rnd returns a number
// in [0, n), n > 0.
func Backoff(attempt int, class media.Class, longest time.Duration, rnd func(n int64) int64) time.Duration {
	ceiling := longest
	if longest <= 0 {
		ceiling = lastCeiling
	}
	if class == media.ClassUnreachable {
		ceiling = min(ceiling, unheard)
	}
	if shift := max(attempt, 1) - 1; shift < 32 {
		ceiling = min(ceiling, firstCeiling<<shift)
	}
	floor := floors[class]
	spread := max(ceiling-floor, floor/4)
	return floor + time.Duration(rnd(int64(spread)+1))
}

// random is the source for Keep and Limiter.
func random(n int64) int64 { return rand.Int64N(n) }
