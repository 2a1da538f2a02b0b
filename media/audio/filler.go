package audio

import (
	"time"

	"camrelay/media"
)

// Bounds of silence.
const (
	// late is how long audio that was promised may stay behind the pictures
	// before silence takes its place.
	late = time.Second
	// latest is the most that late grows to, for cameras whose audio lags.
	latest = 10 * time.Second
	// leap is a step of the pictures that is not filled.
	leap = 10 * time.Second
)

// filler decides when silence is owed. Time is that of the clock: the pictures,
// or the audio itself where there are none. It belongs to one goroutine.
type filler struct {
	rate     int  // Hz of the view's audio, whose frames have block samples
	promised bool // the camera is to send audio; else there is only silence

	began   bool
	clock   time.Duration // DTS of the newest unit of the clock
	end     time.Duration // of the audio that the view has had
	floor   time.Duration // of that, the end of the newest silence
	due     time.Duration // from when on audio is owed
	allowed time.Duration // late, or more
	starved bool          // what was promised does not come
	gap     bool          // the next frame of silence is the first after a gap

	running bool          // frames of silence follow one another
	base    time.Duration // time of the first of them
	n       int64         // their number
}

// adopt follows a new plan.
func (f *filler) adopt(p *plan) {
	f.promised = p.method != none
	f.starved, f.running = false, false
	if p.out != nil && p.out.SampleRate > 0 {
		f.rate = p.out.SampleRate
	}
	f.allowed = max(f.allowed, late)
}

// begin makes the view begin at that time.
func (f *filler) begin(at time.Duration) {
	f.began = true
	f.clock, f.end, f.floor, f.due = at, at, at, at
}

// frame is the length of a frame.
func (f *filler) frame() time.Duration { return media.ToDuration(block, f.rate) }

// advance moves the clock to u.
func (f *filler) advance(u *media.Unit) {
	if u.Gap || u.DTS > f.clock+leap {
		f.due, f.running = u.DTS, false
		f.gap = f.gap || u.Gap
	}
	f.clock = u.DTS
	if f.promised && !f.starved {
		f.starved = f.clock-max(f.end, f.due) > f.allowed
	}
}

// next returns the time of the next frame of silence, false if none is owed.
// There is one that begins no earlier than the clock: what interleaves the
// tracks holds a picture until the audio has come as far.
func (f *filler) next() (pts time.Duration, gap, ok bool) {
	if f.promised && !f.starved {
		return 0, false, false
	}
	if !f.running {
		f.running, f.base, f.n = true, max(f.end, f.due), 0
	}
	pts = f.base + media.ToDuration(f.n*block, f.rate)
	if pts >= f.clock+f.frame() {
		return 0, false, false
	}
	f.n++
	f.end = f.base + media.ToDuration(f.n*block, f.rate)
	f.floor = f.end
	gap, f.gap = f.gap, false
	return pts, gap, true
}

// admit tells whether a frame of the camera's audio may follow what was there,
// and ends silence. Frames that come too late are left out until they have
// caught up, and the next time are waited for longer.
func (f *filler) admit(pts time.Duration) bool {
	was := f.starved
	f.starved, f.running = false, false
	if pts < f.floor-f.frame()/2 {
		if was {
			f.allowed = min(max(f.allowed, f.clock-pts+late/2), latest)
		}
		return false
	}
	f.gap = false
	f.end = max(f.end, pts+f.frame())
	return true
}
