package hls

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/cmaf"
	"camrelay/media/mediatest"
)

// soundAhead is how much before its pictures the sound of a camera comes.
const soundAhead = 1500 * time.Millisecond

// delivered returns what a camera has had until then whose sound comes before its
// pictures.
func delivered(clip *mediatest.Clip, until time.Duration) []*media.Unit {
	units := slices.Clone(clip.Until(until))
	due := func(u *media.Unit) time.Duration {
		if u.Track.Kind == media.KindAudio {
			return u.DTS - soundAhead
		}
		return u.DTS
	}
	slices.SortStableFunc(units, func(a, b *media.Unit) int { return cmp.Compare(due(a), due(b)) })
	return units
}

// TestNothingOverlaps has cameras whose clock is so fast that 4.5 s of them are
// packaged in 2 s. What comes after a kill or after a loss begins where the last
// of it ends, be it sound or pictures.
func TestNothingOverlaps(t *testing.T) {
	const passed = 2 * time.Second
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H264B, mediatest.AAC} {
		clip := mediatest.MakeClip(t, kind)
		units := delivered(clip, 4500*time.Millisecond)
		for name, proceed := range map[string]func(t *testing.T, dir string, r *rig) *rig{
			"after a kill": func(t *testing.T, dir string, r *rig) *rig {
				next := timedOf(t, dir, clip)
				next.wall = r.wall.Add(passed)
				next.feed(units...)
				return next
			},
			"after two": func(t *testing.T, dir string, r *rig) *rig {
				timedOf(t, dir, clip)
				next := timedOf(t, dir, clip)
				next.wall = r.wall.Add(passed)
				next.feed(units...)
				return next
			},
			"after a loss": func(_ *testing.T, _ string, r *rig) *rig {
				r.wall = r.wall.Add(passed - 8*time.Second)
				r.feed(shift(units, 8*time.Second)...)
				return r
			},
		} {
			t.Run(string(kind)+" "+name, func(t *testing.T) {
				dir := t.TempDir()
				r := timedOf(t, dir, clip)
				r.feed(units[:len(units)/2]...)
				r.body("/gate/live.m3u8") // so that lengths are promised
				r.feed(units[len(units)/2:]...)
				before := len(r.muxer.window().Segments)
				r = proceed(t, dir, r)
				r.apart(before)
			})
		}
	}
}

// TestLossesDoNotAddUp: while a camera whose sound comes before its pictures loses some
// of them again and again, media time stays near the clock.
func TestLossesDoNotAddUp(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := timedOf(t, t.TempDir(), clip)
	losses := 0
	for _, u := range delivered(clip, 30*time.Second) {
		v := *u
		v.Gap = u.Key && u.Track.Kind == media.KindVideo
		if v.Gap {
			losses++
		}
		r.feed(&v)
	}
	late := r.pack.shift - r.pack.epoch.since(r.wall)
	if losses < 20 || late < soundAhead/2 || late > farthest {
		t.Errorf("after %d losses media time is %v before the clock", losses, late)
	}
}

// TestMediaTimeFollowsTheClock has a camera whose clock is off by what it gains or loses
// in days: media time moves by a thousandth until it is not, pictures stay without a gap.
func TestMediaTimeFollowsTheClock(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	for _, row := range []struct{ off, least, most time.Duration }{
		{400 * time.Millisecond, 0, 0},
		{-400 * time.Millisecond, 0, 0},
		{515 * time.Millisecond, 14 * time.Millisecond, 17 * time.Millisecond},
		{3 * time.Second, 30 * time.Millisecond, 40 * time.Millisecond},
		{-3 * time.Second, -40 * time.Millisecond, -30 * time.Millisecond},
	} {
		r := timedOf(t, t.TempDir(), clip)
		units := clip.Until(44 * time.Second)
		r.feed(units[:300]...)
		r.body("/gate/live.m3u8") // so that lengths are promised
		before := r.pack.shift
		r.wall = r.wall.Add(row.off)
		r.feed(units[300:]...)
		if moved := r.pack.shift - before; moved < row.least || moved > row.most {
			t.Errorf("off by %v, media time has moved by %v", row.off, moved)
		}
		r.seamless()
	}
}

// segments enters the stream, and returns what is kept of it.
func (r *rig) segments() (*Visit, []cmaf.Segment) {
	r.tb.Helper()
	visit, err := r.enter()
	if err != nil {
		r.tb.Fatal(err)
	}
	return visit, visit.Windows(context.Background())[0].Segments
}

// seamless fails unless the pictures of all segments follow one another, and the sound
// but for a few ms.
func (r *rig) seamless() {
	r.tb.Helper()
	visit, all := r.segments()
	defer visit.Leave(0, true)
	for i := 1; i < len(all); i++ {
		if end := all[i-1].Start + all[i-1].Duration; all[i].Start != end || all[i].Run != all[0].Run {
			r.tb.Errorf("segment %d begins at %v, the one before ends at %v", i, all[i].Start, end)
		}
	}
	p := r.probe(visit, all)
	for kind, frame := range map[string]time.Duration{
		"video": 40 * time.Millisecond, "audio": 1024 * time.Second / 48000,
	} {
		times := p.Times(r.tb, kind)
		if len(times) < 1000 {
			r.tb.Fatalf("%d frames of %s", len(times), kind)
		}
		for i := 1; i < len(times); i++ {
			if d := times[i] - times[i-1] - frame; d.Abs() > widest+time.Millisecond {
				r.tb.Errorf("%s frame %d comes %v too late", kind, i, d)
			}
		}
	}
}

// apart fails unless the segments from that one on begin just where the last of
// those before ends.
func (r *rig) apart(n int) {
	r.tb.Helper()
	visit, all := r.segments()
	defer visit.Leave(0, true)
	if n == 0 || n >= len(all) || all[n].Run == all[n-1].Run {
		r.tb.Fatalf("%d of %d segments were there before: %+v", n, len(all), all)
	}
	last, next := all[n-1], all[n]
	if end := last.Start + last.Duration; next.RunStart != next.Start || next.Start < end {
		r.tb.Errorf("%v is listed after what ends at %v", next.Start, end)
	}
	_, end := r.times(visit, all[:n])
	start, _ := r.times(visit, all[n:])
	if d := slices.Min(start) - slices.Max(end); d < -time.Millisecond || d > 200*time.Millisecond {
		r.tb.Errorf("tracks begin at %v, and ended at %v before", start, end)
	}
}

// times returns when the tracks of segments begin and end, as ffprobe reads them.
func (r *rig) times(v *Visit, segments []cmaf.Segment) (start, end []time.Duration) {
	r.tb.Helper()
	p := r.probe(v, segments)
	for _, t := range segments[0].Tracks {
		frame := 40 * time.Millisecond
		if t.Kind == media.KindAudio {
			frame = 1024 * time.Second / 48000
		}
		times := p.Times(r.tb, t.Kind.String())
		start, end = append(start, slices.Min(times)), append(end, slices.Max(times)+frame)
	}
	return start, end
}

// probe returns what ffprobe reads of segments.
func (r *rig) probe(v *Visit, segments []cmaf.Segment) *mediatest.Probed {
	r.tb.Helper()
	first := segments[0]
	file := r.body("/gate/" + initName(first.Session, first.Init))
	for i := range segments {
		if segments[i].Open {
			r.muxer.mu.Lock()
			size := r.muxer.current.size
			r.muxer.mu.Unlock()
			b, err := os.ReadFile(filepath.Join(r.dir, "gate", r.muxer.current.name))
			if err != nil {
				r.tb.Fatal(err)
			}
			file = append(file, b[:size]...)
			continue
		}
		file = append(file, r.content(v, &segments[i])...)
	}
	name := filepath.Join(r.tb.TempDir(), "some.mp4")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		r.tb.Fatal(err)
	}
	return mediatest.Probe(r.tb, name)
}
