package timeline

import (
	"time"

	"camrelay/media"
)

// Start is the stream time of the first frame. It is not zero so that the DTS
// of a reordered stream, which begins before its first PTS, is not negative.
const Start = time.Second

// Bounds of what is believed.
const (
	// back is how far a stamp may lie before its predecessor where pictures
	// are reordered: 16 of them at 15 per second.
	back = time.Second
	// ahead is how far a stamp may run ahead of the arrival clock.
	ahead = 5 * time.Second
	// disagree is how far stamps and arrivals may differ across an interruption.
	disagree = 500 * time.Millisecond
	// proof is the number of frames that a jump must last to be a new time line.
	proof = 3
	// tick is the least distance of two frames of a track without reordering:
	// one tick of the coarsest container.
	tick = time.Millisecond
)

// Timeline is the time of one camera across all its connections.
type Timeline struct {
	clocks  []*clock // by track ID; nil until first seen
	ended   moment   // the last frame before Connect
	counted Counts
}

// Counts tells how often stamps were not taken as they came.
type Counts struct {
	Restamped uint64 // frames whose stamp was replaced
	Jumps     uint64 // new time lines begun, beside those of new connections
}

// moment ties stream time to arrival time.
type moment struct {
	pts time.Duration
	at  time.Time
}

// New returns the time line of a camera that was never connected.
func New() *Timeline { return &Timeline{} }

// Counts returns the figures so far.
func (tl *Timeline) Counts() Counts { return tl.counted }

// Connect begins a new connection: RTP stamps and sender reports have nothing
// to do with the earlier ones. The stream time goes on by the arrival clock,
// and the first frame of each track is a gap unless it is the first ever.
func (tl *Timeline) Connect() {
	for _, c := range tl.clocks {
		if c == nil || !c.synced {
			continue
		}
		tl.ended.pts = max(tl.ended.pts, c.high)
		if c.at.After(tl.ended.at) {
			tl.ended.at = c.at
		}
		c.stop()
	}
}

// Interrupted tells that something is missing before the next frame of the
// track, perhaps because of a new connection whose stamps were shifted to go on
// from the old ones. Its stamp is believed only if it agrees with the arrival
// clock; else the track goes on by that clock.
func (tl *Timeline) Interrupted(t *media.Track) { tl.clock(t).interrupted = true }

// Time returns the stream time of a frame stamped rtp that arrived at arrival
// (with monotonic reading). Frames come in decoding order. gap tells that the
// time line of the track begins anew: after Connect or after a lasting jump of
// the camera's clock.
//
// Without reordering the result rises with each call by at least 1 ms; with
// reordering it is as the camera stamps it.
func (tl *Timeline) Time(t *media.Track, rtp uint32, arrival time.Time) (pts time.Duration, gap bool) {
	c := tl.clock(t)
	c.rate, c.reorder = t.ClockRate, t.Reorder
	if !c.synced {
		return tl.begin(c, rtp, arrival)
	}
	ticks := c.unwrap(rtp, arrival)
	interrupted := c.interrupted
	c.interrupted = false
	switch {
	case interrupted && c.astray(ticks, arrival):
		pts, gap = max(c.high+tick, c.high+arrival.Sub(c.at)), true
		c.start(ticks, pts, arrival)
	case c.plausible(ticks, arrival):
		pts = c.accept(ticks, arrival)
		if c.turned {
			tl.compareLags(c)
		}
	case ticks != c.top && c.lasts(ticks):
		tl.counted.Jumps++
		pts, gap = max(c.high+tick, c.high+arrival.Sub(c.at)), true
		c.start(ticks, pts, arrival)
	default:
		tl.counted.Restamped++
		pts = c.restamp(arrival)
	}
	return pts, gap
}

func (tl *Timeline) clock(t *media.Track) *clock {
	for len(tl.clocks) <= t.ID {
		tl.clocks = append(tl.clocks, nil)
	}
	if tl.clocks[t.ID] == nil {
		tl.clocks[t.ID] = &clock{video: t.Kind == media.KindVideo}
	}
	return tl.clocks[t.ID]
}

// begin takes the first frame of a track of this connection: it lies against
// the track that is there already, else against the end of the last
// connection, as it arrived.
func (tl *Timeline) begin(c *clock, rtp uint32, arrival time.Time) (pts time.Duration, gap bool) {
	switch r := tl.running(); {
	case r != nil:
		pts = r.high + arrival.Sub(r.at)
	case tl.ended.at.IsZero():
		pts = Start
	default:
		pts = tl.ended.pts + arrival.Sub(tl.ended.at)
	}
	pts = max(pts, 0)
	if gap = c.ever; gap {
		pts = max(pts, c.high+tick)
	}
	c.start(int64(rtp), pts, arrival)
	return pts, gap
}

// running returns a track that has begun in this connection, a video track if
// there is one.
func (tl *Timeline) running() *clock {
	var r *clock
	for _, c := range tl.clocks {
		if c != nil && c.synced && (r == nil || c.video && !r.video) {
			r = c
		}
	}
	return r
}
