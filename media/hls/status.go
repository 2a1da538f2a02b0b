package hls

import (
	"fmt"
	"time"
)

// Status is what is known of a Muxer.
type Status struct {
	Name            string
	Segments        int           // on disk
	Listed          int           // in the playlist
	Bytes           int64         // on disk
	Sequence        uint64        // of the next segment
	TargetDuration  time.Duration // 0 until it is fixed
	PartTarget      time.Duration // of the low-latency playlist, 0 until it is fixed
	KeyInterval     time.Duration // the longest of the segments in the playlist, 0 until there are two key frames
	Bandwidth       int           // bit/s, peak
	Gaps            uint64        // segments that could not be written
	Discontinuities uint64
	Lost            uint64   // units missed by being slow
	Viewers         int      // sessions; set by Server.Status
	Err             error    // why the newest segment could not be written; nil if it could
	Warnings        []string // what of the camera does not fit the settings, in words; nil if all does
}

// Status returns the figures as of now.
func (m *Muxer) Status() Status {
	used := m.budget.usedBy(m.share)
	m.mu.Lock()
	defer m.mu.Unlock()
	return Status{
		Name: m.stream.Name(), Segments: len(m.segments), Listed: len(m.listed()), Bytes: used,
		Sequence: m.numbers.sequence, TargetDuration: time.Duration(m.numbers.target) * time.Second,
		Bandwidth: m.peak, Gaps: m.counts.gaps, Discontinuities: m.counts.discontinuities,
		Lost: m.counts.lost, Err: m.counts.err,
		PartTarget: m.numbers.part, KeyInterval: m.keys, Warnings: m.warnings(),
	}
}

// slowStart is the interval of key frames above which nobody can call the
// latency low: a viewer begins with one.
const slowStart = 4 * time.Second

// warnings tells what the camera makes of the lengths that were asked for. mu
// is held.
func (m *Muxer) warnings() (all []string) {
	cfg, target := m.cfg, m.targetDuration()
	if m.keys > cfg.Segment+cfg.Segment/10 {
		all = append(all, fmt.Sprintf("the camera's key frames are %v apart: so are its segments, not %v",
			round(m.keys), cfg.Segment))
	}
	if m.keys > slowStart {
		all = append(all, fmt.Sprintf("with key frames %v apart low-latency viewers start late: shorten the interval "+
			"in the camera to %v", round(m.keys), cfg.Segment))
	}
	if m.mixed {
		all = append(all, fmt.Sprintf("key frames have become rarer than the %v that viewers were told at first: "+
			"some segments begin without one", target))
	}
	if least := 3 * target; cfg.Window < least && len(m.segments) > 0 {
		all = append(all, fmt.Sprintf("the window is %v, not %v: it holds three of the longest segments", least, cfg.Window))
	}
	if m.frame > cfg.Part+slack {
		all = append(all, fmt.Sprintf("the camera's pictures are %v apart: so are the parts, not %v",
			round(m.frame), cfg.Part))
	}
	return all
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
