package hls

import (
	"sync"
	"time"
)

// epoch is the time of day that is media time 0 of all streams: players that
// switch between the variants of a ladder find the same moment at the same time
// stamp (RFC 8216 §6.2.4).
type epoch struct {
	mu   sync.Mutex // guards what follows
	zero time.Time
	used bool
}

// spare is how far before the first group of pictures an epoch lies that was
// moved: the other streams have theirs.
const spare = 10 * time.Second

// since returns the media time of a moment. A camera that ran before the Server
// was made has pictures from before the epoch: the first of them moves it. A
// clock that is set back later makes no negative time.
func (e *epoch) since(t time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.used && t.Before(e.zero) {
		e.zero = t.Add(-spare)
	}
	e.used = true
	return max(0, t.Sub(e.zero))
}
