package media

import (
	"sync/atomic"
	"time"
)

// Progress is what a push tells about itself while it runs. The push calls
// Sent from one goroutine; everything may be read from any.
type Progress struct {
	bytes, units, lost atomic.Uint64
	last               atomic.Int64 // Unix nanoseconds of the last Sent, 0 if none
	active             func()
}

// NewProgress returns a Progress that calls active each time media has been
// sent. active must be cheap and must not block.
func NewProgress(active func()) *Progress { return &Progress{active: active} }

// Sent records that media was accepted by the peer's transport: bytes on the
// wire, units in them, and units skipped before them because the peer was slow.
func (p *Progress) Sent(bytes, units int, lost uint64) {
	p.bytes.Add(uint64(bytes))
	p.units.Add(uint64(units))
	p.lost.Add(lost)
	p.last.Store(time.Now().UnixNano())
	p.active()
}

// Counts returns the sums so far and the wall time of the last Sent, zero if none.
func (p *Progress) Counts() (bytes, units, lost uint64, last time.Time) {
	if n := p.last.Load(); n != 0 {
		last = time.Unix(0, n)
	}
	return p.bytes.Load(), p.units.Load(), p.lost.Load(), last
}
