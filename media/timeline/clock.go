package timeline

import (
	"time"

	"camrelay/media"
)

// window is the time over which the least lag of a track is taken.
const window = 30 * time.Second

// clock is the time of one track: stream time = offset + ticks / rate.
type clock struct {
	rate    int // ticks per second
	video   bool
	reorder bool

	ever   bool // has had a frame
	synced bool // has had a frame in this connection
	offset time.Duration
	top    int64         // highest unwrapped stamp accepted
	high   time.Duration // highest stream time given out
	at     time.Time     // arrival of the last frame
	step   time.Duration // usual distance of frames

	interrupted bool // the next frame may follow an outage

	strays int   // implausible frames in a row
	stray  int64 // stamp of the last of them

	epoch  time.Time     // arrival to which lags relate
	lag    [2]lag        // least lag in this window and in the one before
	turned bool          // the last accept began a new window
	fix    time.Duration // still to be added to offset, little by little
	report report        // last sender report
	told   told          // what pairs of reports with video said
	starts int           // time lines begun
	apart  time.Duration // least lag against that of video when both were young
	based  bool          // apart is known
}

// lag is how much later frames arrive than they are stamped, at least, up to a
// constant of the track.
type lag struct {
	least time.Duration
	since time.Time
	set   bool
}

// start begins a time line at the frame stamped ticks.
func (c *clock) start(ticks int64, pts time.Duration, arrival time.Time) {
	if c.epoch.IsZero() {
		c.epoch = arrival
	}
	if c.step == 0 {
		c.step = 40 * time.Millisecond
	}
	c.ever, c.synced = true, true
	c.offset = pts - media.ToDuration(ticks, c.rate)
	c.top, c.high, c.at = ticks, max(c.high, pts), arrival
	c.strays, c.fix = 0, 0
	c.starts++
	c.report, c.based = report{}, false
	c.lag = [2]lag{{least: arrival.Sub(c.epoch) - pts, since: arrival, set: true}}
}

// stop forgets what a new connection will not share.
func (c *clock) stop() { c.synced = false }

// unwrap returns the 64-bit stamp that ends in rtp and is nearest to what the
// arrival clock lets expect.
func (c *clock) unwrap(rtp uint32, arrival time.Time) int64 {
	expected := c.top + media.ToTicks(arrival.Sub(c.at), c.rate)
	return expected + int64(int32(rtp-uint32(expected)))
}

// plausible tells whether a frame stamped ticks may follow on this time line.
func (c *clock) plausible(ticks int64, arrival time.Time) bool {
	oldest := c.top + 1
	if c.reorder {
		oldest = c.top - media.ToTicks(back, c.rate)
	}
	if ticks < oldest {
		return false
	}
	least := c.lag[0].least
	if c.lag[1].set {
		least = min(least, c.lag[1].least)
	}
	return arrival.Sub(c.epoch)-c.time(ticks) >= least-ahead
}

// astray tells whether a stamp does not agree with the arrival clock.
func (c *clock) astray(ticks int64, arrival time.Time) bool {
	d := c.time(ticks) - c.high - arrival.Sub(c.at)
	return d > disagree || d < -disagree
}

func (c *clock) time(ticks int64) time.Duration { return c.offset + media.ToDuration(ticks, c.rate) }

// accept takes a plausible frame and returns its stream time.
func (c *clock) accept(ticks int64, arrival time.Time) time.Duration {
	pts := c.time(ticks)
	if ticks > c.top {
		advance := media.ToDuration(ticks-c.top, c.rate)
		if advance < time.Second && !c.reorder {
			c.step = advance
		}
		pts += c.slew(advance)
		c.top = ticks
	}
	if !c.reorder {
		pts = max(pts, c.high+tick)
	}
	c.high, c.at, c.strays = max(c.high, pts), arrival, 0
	c.measure(arrival.Sub(c.epoch)-pts, arrival)
	return pts
}

// lasts counts an implausible frame and tells whether enough of them agree.
func (c *clock) lasts(ticks int64) bool {
	d := ticks - c.stray
	c.stray = ticks
	if c.strays > 0 && (d < -media.ToTicks(back, c.rate) || d > media.ToTicks(ahead, c.rate)) {
		c.strays = 0
	}
	c.strays++
	return c.strays >= proof
}

// restamp returns a stream time for a frame whose stamp is not believed: just
// after the last frame, as far as it arrived after it.
func (c *clock) restamp(arrival time.Time) time.Duration {
	c.high += min(max(arrival.Sub(c.at), tick), max(c.step, tick))
	c.at = arrival
	return c.high
}

// measure notes the lag of a frame.
func (c *clock) measure(d time.Duration, arrival time.Time) {
	w := &c.lag[0]
	c.turned = arrival.Sub(w.since) >= window
	if c.turned {
		c.lag[1] = *w
		*w = lag{least: d, since: arrival, set: true}
	}
	w.least = min(w.least, d)
}

// slew moves the time line by a part of what is to be corrected, in the course
// of advance: by a twentieth while it is audible or visible, else by a 200th.
func (c *clock) slew(advance time.Duration) time.Duration {
	if c.fix == 0 {
		return 0
	}
	most := advance / 200
	if c.fix > 50*time.Millisecond || c.fix < -50*time.Millisecond {
		most = advance / 20
	}
	d := min(max(c.fix, -most), most)
	c.fix -= d
	c.offset += d
	return d
}
