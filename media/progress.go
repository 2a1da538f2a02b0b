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
	begin              time.Time
	seconds            [rateWindow + 1]second
	active             func()
	rtt                atomic.Pointer[func() time.Duration]
}

// rateWindow is the number of whole seconds over which a rate is taken.
const rateWindow = 5

// second is what was sent in one second.
type second struct {
	n     atomic.Int64 // of whole seconds since the begin, from 1
	bytes atomic.Uint64
}

// NewProgress returns a Progress that calls active each time media has been
// sent. active must be cheap and must not block.
func NewProgress(active func()) *Progress { return &Progress{begin: time.Now(), active: active} }

// Sent records that media was accepted by the peer's transport: bytes on the
// wire, units in them, and units skipped before them because the peer was slow.
func (p *Progress) Sent(bytes, units int, lost uint64) {
	p.bytes.Add(uint64(bytes))
	p.units.Add(uint64(units))
	p.lost.Add(lost)
	now := time.Now()
	p.last.Store(now.UnixNano())
	n := int64(now.Sub(p.begin)/time.Second) + 1
	s := &p.seconds[n%(rateWindow+1)]
	if s.n.Load() != n {
		s.bytes.Store(0)
		s.n.Store(n)
	}
	s.bytes.Add(uint64(bytes))
	p.active()
}

// Bitrate returns the bits per second over the last 5 whole seconds as of now,
// or since the begin if that is shorter.
func (p *Progress) Bitrate(now time.Time) float64 {
	n := int64(now.Sub(p.begin)/time.Second) + 1
	var sum uint64
	for i := range p.seconds {
		if at := p.seconds[i].n.Load(); at > 0 && at < n && at >= n-rateWindow {
			sum += p.seconds[i].bytes.Load()
		}
	}
	return float64(sum) * 8 / float64(min(rateWindow, max(1, n-1)))
}

// MeasureRTT makes RTT call f, from any goroutine, perhaps after the push has ended.
func (p *Progress) MeasureRTT(f func() time.Duration) { p.rtt.Store(&f) }

// RTT returns the round trip time to the peer's transport, 0 if it is not known.
func (p *Progress) RTT() time.Duration {
	if f := p.rtt.Load(); f != nil {
		return (*f)()
	}
	return 0
}

// Counts returns the sums so far and the wall time of the last Sent, zero if none.
func (p *Progress) Counts() (bytes, units, lost uint64, last time.Time) {
	if n := p.last.Load(); n != 0 {
		last = time.Unix(0, n)
	}
	return p.bytes.Load(), p.units.Load(), p.lost.Load(), last
}
