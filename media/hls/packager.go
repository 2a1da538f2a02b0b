package hls

import (
	"bytes"
	"slices"
	"time"

	"camrelay/media"
	"camrelay/media/fmp4"
)

// Bounds of the cutting of segments.
const (
	// maxSegment is the longest segment before the target duration is fixed.
	maxSegment = 20 * time.Second
	// early is the share of the target length at which a key frame may end a
	// segment: intervals of key frames jitter.
	early = 0.9
	// hole is the pause after which the time line is no longer continuous for a
	// player.
	hole = 500 * time.Millisecond
	// stall is how far the other track may run ahead of the leading one: its
	// units are held until the leading one has a part.
	stall = 2 * time.Second
	// farthest is how much before the clock media time may get to begin behind sound that
	// comes before its pictures. At each loss it gets there a bit more.
	farthest = 5 * time.Second
	// slack is what a part may exceed its length by: time stamps are rounded.
	slack = time.Millisecond
	// drift is a step of the clock that segments' times of day follow at once,
	// and stale how far they may lie from the arrival of pictures at most. As far as
	// drift media time may get away from the clock; then it follows by a slew-th of
	// each segment, by widest at most.
	drift  = 500 * time.Millisecond
	stale  = 10 * time.Second
	slew   = 1000
	widest = 5 * time.Millisecond
)

// packager cuts units into parts and segments. One track leads: the first
// video track or, without one, the first audio track. Where the leading track
// breaks off, everything begins anew at its next key frame. It belongs to one
// goroutine.
type packager struct {
	out    *Muxer
	epoch  *epoch // nil: media time is the stream's
	tracks func() ([]*media.Track, <-chan struct{})

	form format
	mux  mux
	used []*media.Track // packaged: the leading one first
	init *initSegment
	bufs [][]byte

	seg     *segment      // open; nil while waiting for a key frame
	broken  bool          // the next segment does not continue the last one
	begun   bool          // there has been a segment
	run     time.Duration // media time of the first segment since nothing was broken
	stale   bool          // there are tracks that are not packaged
	heard   bool          // the other track has had a unit in the open segment
	mute    bool          // the other track is described but silent
	origin  time.Duration // nothing is shown before this stream time
	from    time.Duration // start of the pending part, as it is listed
	end     time.Duration // of what the leading track has had
	pending part
	key     time.Duration // when the leading track's newest key frame came
	keys    time.Duration // longest interval of key frames in the open segment
	shift   time.Duration // from stream time to media time
	wall    time.Time     // time of day at which the open segment ends as planned
	floor   time.Duration // nothing begins before this stream time
}

// unit packages u. gap tells that something is missing before it.
func (p *packager) unit(u *media.Unit, gap bool) {
	if p.seg == nil {
		p.start(u)
		return
	}
	at := p.index(u.Track)
	if at < 0 {
		if p.form.carries(u.Track) && u.Track.Ready() && len(p.used) == 1 {
			p.stale, p.mute = true, false
		}
		return
	}
	lead := at == 0
	if u.Track != p.used[at] && !p.adopt(at, u.Track) ||
		gap && (lead || u.DTS-p.end > hole) ||
		lead && u.Key && p.stale && u.Track.Kind == media.KindVideo {
		p.stop()
		p.start(u)
		return
	}
	switch {
	case lead:
		p.lead(u)
	case u.DTS-p.end > max(stall, 4*p.mux.Frame(p.used[0].ID)):
		p.stop()
	case u.PTS >= p.origin:
		p.heard = p.mux.Add(u) || p.heard
	}
}

func (p *packager) index(t *media.Track) int {
	for i, o := range p.used {
		if o.ID == t.ID {
			return i
		}
	}
	return -1
}

// adopt takes t for the track at that index if its parameters are the same: a
// camera that came back describes itself with new values. Playlists are being
// made of the tracks there are.
func (p *packager) adopt(at int, t *media.Track) bool {
	used := slices.Clone(p.used)
	used[at] = t
	data, err := p.form.describe(used)
	if err != nil || !bytes.Equal(data, p.init.data) {
		return false
	}
	p.used = used
	return true
}

// start begins with u if it can: video begins with a key frame, and audio
// alone only if there is no video to wait for.
func (p *packager) start(u *media.Unit) {
	if !p.form.carries(u.Track) || !u.Track.Ready() {
		return
	}
	video := u.Track.Kind == media.KindVideo
	if video && !u.Key || u.DTS < p.floor {
		return
	}
	tracks, _ := p.tracks()
	used := []*media.Track{u.Track}
	for _, t := range tracks {
		if !p.form.carries(t) || t.Kind == u.Track.Kind {
			continue
		}
		if !video {
			return
		}
		if len(used) == 1 && !p.mute && t.Kind == media.KindAudio && t.Ready() {
			used = append(used, t)
		}
	}
	if p.epoch != nil {
		// A camera whose clock is fast has filled time that has not come yet. What is
		// decoded from that time on is shown from then on.
		now := p.epoch.since(u.Wall)
		p.shift = max(now, p.out.past, min(p.out.sound, now+farthest)) - u.DTS
	}
	if !p.describe(used) {
		return
	}
	p.stale = false
	p.origin, p.key = u.PTS, u.DTS
	p.open(u)
	p.lead(u)
}

// describe makes used the tracks that are packaged.
func (p *packager) describe(used []*media.Track) bool {
	data, err := p.form.describe(used)
	if err != nil && len(used) > 1 {
		used = used[:1]
		data, err = p.form.describe(used)
	}
	if err != nil {
		p.out.failed(err)
		return false
	}
	p.used = used
	if p.init != nil && bytes.Equal(data, p.init.data) {
		p.mux = p.form.start(used, p.shift, p.mux)
		return true
	}
	if p.init != nil {
		p.out.release(p.init)
		p.broken = true
	}
	p.init = p.out.newInit(used, data)
	p.mux = p.form.start(used, p.shift, nil)
	return true
}

// open begins a segment with u, the unit of the leading track that comes next.
func (p *packager) open(u *media.Unit) {
	p.seg = &segment{
		init: p.init, start: u.DTS, wall: p.date(u.Wall), from: u.PTS + p.shift,
		independent: p.independent(u), discontinuity: p.broken,
	}
	if p.broken || !p.begun {
		p.run, p.begun = p.seg.from, true
	}
	p.seg.run = p.run
	p.broken, p.heard = false, false
	p.from, p.end = u.DTS, u.DTS
	p.out.begin(p.seg)
}

// date returns the time of day of a segment whose first unit has arrived at
// arrival. It follows media time, which does not jitter as arrival does, and
// where that is slower or faster than the box's clock, the clock bit by bit. A
// clock that was set is followed at once: to the monotonic one nothing happened.
func (p *packager) date(arrival time.Time) time.Time {
	late := arrival.Sub(p.wall)
	off := arrival.Round(0).Sub(p.wall.Round(0))
	if p.broken || late.Abs() > stale || (off-late).Abs() > drift {
		return arrival
	}
	return p.wall.Add(min(max(off, -drift), drift) / 8)
}

func (p *packager) independent(u *media.Unit) bool {
	return u.Key || u.Track.Kind == media.KindAudio
}

// lead packages a unit of the leading track and cuts before or after it.
func (p *packager) lead(u *media.Unit) {
	elapsed, frame := u.DTS-p.seg.start, p.mux.Frame(u.Track.ID)
	b := p.out.bounds(frame)
	if u.Key {
		p.keys, p.key = max(p.keys, u.DTS-p.key), u.DTS
	}
	least := time.Duration(float64(b.part) * leastPart)
	switch {
	case elapsed > b.limit: // a pause: the segment ends where its frames do
		p.broken = u.DTS-p.end > hole
		p.cut(u, p.end-p.seg.start)
	case elapsed+frame > b.limit, p.independent(u) && elapsed >= b.wanted:
		p.cut(u, elapsed)
	case p.pending.frames > 0 && u.DTS-p.from >= least && u.DTS+frame-p.from > b.part+slack:
		p.end = u.DTS
		p.flush(u, b.part, false)
	}
	if p.pending.frames == 0 {
		p.pending.independent = p.independent(u)
	}
	if !p.mux.Add(u) {
		return
	}
	p.pending.frames++
	p.end = u.DTS + frame
	// What may be the last part waits for the next unit: a part that is
	// published promises that another follows in the same segment.
	if p.end-p.from >= least && p.end+frame-p.from > b.part+slack && p.end+frame/2-p.seg.start < b.wanted {
		p.flush(nil, b.part, false)
	}
}

// cut ends the segment, which lasts for duration, and begins the next one with
// u. What the other track has had since the last part goes into that one.
func (p *packager) cut(u *media.Unit, duration time.Duration) {
	switch {
	case p.pending.frames == 0:
	case u.DTS-p.end > hole:
		p.flush(nil, p.part(), true)
	default:
		step := p.follow(u)
		duration += step
		p.end = u.DTS + step
		p.flush(u, p.part(), true)
	}
	if p.independent(u) && len(p.used) > 1 && !p.heard {
		p.hush()
	}
	p.finish(duration)
	p.open(u)
}

// follow moves media time towards the clock of the box if it has got away from it,
// so little that nobody sees it, and returns how far: the clock of a camera gains or
// loses seconds a day, and players of DASH compare media time with their own. What
// is pending lasts the longer or shorter for it until u.
func (p *packager) follow(u *media.Unit) (step time.Duration) {
	if p.epoch == nil {
		return 0
	}
	off := p.epoch.since(u.Wall) - (u.DTS + p.shift)
	if off.Abs() <= drift {
		return 0
	}
	most := min((u.DTS-p.seg.start)/slew, widest)
	step = min(max(off, -most), most)
	p.shift += step
	p.mux = p.form.start(p.used, p.shift, p.mux)
	return step
}

// part returns the length that no part exceeds.
func (p *packager) part() time.Duration { return p.out.bounds(p.mux.Frame(p.used[0].ID)).part }

// hush goes on without the other track, which had nothing in the whole
// segment: players wait for each track that an init segment promises. It is
// called between a flush and the end of the segment.
func (p *packager) hush() {
	broken := p.broken
	if !p.describe(p.used[:1:1]) {
		return
	}
	p.mute = true
	if p.out.redescribe(p.seg, p.init) {
		p.broken = broken
	}
}

// flush ends the pending part; next is the unit that follows it, if known. The
// part is listed with limit at most: what lasted longer is listed with the
// parts that follow.
func (p *packager) flush(next *media.Unit, limit time.Duration, last bool) {
	if m, ok := p.mux.(*fmp4.Muxer); ok && len(p.used) > 1 { // tracks are told apart in CMAF alone
		p.pending.second = m.SizeOf(p.used[1].ID)
	}
	bufs, size := p.mux.Flush(p.bufs[:0], next)
	p.out.sound = max(p.out.sound, p.mux.End())
	if size > 0 {
		p.pending.duration = min(max(p.end-p.from, 0), limit)
		p.out.part(p.seg, bufs, int64(size), p.pending, last)
	}
	clear(bufs)
	p.bufs = bufs[:0]
	p.from += p.pending.duration
	p.pending = part{}
}

// stop ends the segment where its frames end; nothing continues it.
func (p *packager) stop() {
	if p.pending.frames > 0 {
		p.flush(nil, p.part(), true)
	} else {
		bufs, _ := p.mux.Flush(p.bufs[:0], nil)
		clear(bufs)
	}
	p.finish(p.end - p.seg.start)
	p.broken = true
}

func (p *packager) finish(duration time.Duration) {
	p.wall = p.seg.wall.Add(duration)
	p.out.past = max(p.out.past, p.seg.from+duration)
	p.seg.keys, p.keys = p.keys, 0
	p.broken = !p.out.end(p.seg, duration) || p.broken
	p.seg = nil
}

// turn ends the segment since units come from elsewhere now. What is there
// already comes again: it is not packaged twice.
func (p *packager) turn() {
	if p.seg != nil {
		p.stop()
	}
	if p.begun {
		p.floor = p.key + 1
	}
}

// abandon gives up what is pending, for good.
func (p *packager) abandon() {
	if p.seg != nil {
		p.out.discard(p.seg)
		p.out.release(p.seg.init)
		p.seg = nil
	}
	if p.init != nil {
		p.out.release(p.init)
		p.init = nil
	}
}
