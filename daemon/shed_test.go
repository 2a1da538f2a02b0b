package daemon

import (
	"testing"
	"time"

	mem "camrelay/hal/memory"
)

// TestSheddingGoesFastAndComesBackSlowly looks every ten seconds.
func TestSheddingGoesFastAndComesBackSlowly(t *testing.T) {
	var s shedding
	begin := time.Unix(0, 0)
	for i, row := range []struct{ seen, want mem.Level }{
		{mem.Plenty, mem.Plenty},
		{mem.Scarce, mem.Scarce},
		{mem.Plenty, mem.Scarce},
		{mem.Short, mem.Scarce},
		{mem.Plenty, mem.Short}, // a step after 30 s
		{mem.Plenty, mem.Short},
		{mem.Empty, mem.Empty},
		{mem.Plenty, mem.Empty},
		{mem.Plenty, mem.Empty},
		{mem.Plenty, mem.Scarce},
		{mem.Plenty, mem.Scarce},
		{mem.Plenty, mem.Scarce},
		{mem.Plenty, mem.Short},
		{mem.Plenty, mem.Short},
		{mem.Plenty, mem.Short},
		{mem.Plenty, mem.Plenty},
	} {
		if got := s.next(row.seen, begin.Add(time.Duration(i)*10*time.Second)); got != row.want {
			t.Errorf("look %d: %d, want %d", i, got, row.want)
		}
	}
}

func TestWhatIsShed(t *testing.T) {
	for level, words := range map[mem.Level]int{mem.Plenty: 0, mem.Short: 1, mem.Scarce: 2, mem.Empty: 2} {
		if n := len(shedWords(level)); n != words || shedParts(level) < 1 || levelName(level) == "" {
			t.Errorf("%s: %q", levelName(level), shedWords(level))
		}
	}
}
