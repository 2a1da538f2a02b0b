package daemon

import (
	"time"

	mem "camrelay/hal/memory"
)

// What is done without while memory is short, in this order. What is left out
// never: cameras, pushes, and viewers that are there.
//
//	short   playlists of HLS and DASH are half as long
//	scarce  a quarter as long, and new viewers are asked to come back later
//	empty   nothing is packaged for HLS and DASH
const calm = 30 * time.Second // without a shortage before one step is taken back

// shedding is how much is done without. It belongs to one goroutine.
type shedding struct {
	level mem.Level
	since time.Time // when it was last as short as that
}

// next takes how short memory is now, and returns what is to be done without.
func (s *shedding) next(seen mem.Level, now time.Time) mem.Level {
	switch {
	case seen >= s.level:
		s.level, s.since = seen, now
	case now.Sub(s.since) >= calm:
		s.level--
		s.since = now
	}
	return s.level
}

// shedParts is the share of hls.budget that may be used, one in so many.
func shedParts(level mem.Level) int64 {
	return []int64{mem.Plenty: 1, mem.Short: 2, mem.Scarce: 4, mem.Empty: 4}[level]
}

// shedWords says what is done without.
func shedWords(level mem.Level) []string {
	words := []string{}
	switch level {
	case mem.Plenty:
	case mem.Short:
		words = append(words, "half of the length of playlists")
	case mem.Scarce:
		words = append(words, "three quarters of the length of playlists", "new viewers")
	case mem.Empty:
		words = append(words, "HLS and DASH", "new viewers")
	}
	return words
}

// levelName is the word of the API.
func levelName(level mem.Level) string {
	return []string{"plenty", "short", "scarce", "empty"}[level]
}
