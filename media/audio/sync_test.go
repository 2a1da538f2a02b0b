//go:build cgo

package audio

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// onset returns the stream times at which sound sets in after silence.
func onset(frames []frame, samples []float64) (at []time.Duration) {
	quiet := rate
	for i, v := range samples {
		switch {
		case math.Abs(v) < 0.1:
			quiet++
		default:
			if quiet > rate/10 {
				at = append(at, frames[i/block].pts+media.ToDuration(int64(i%block), rate))
			}
			quiet = 0
		}
	}
	return at
}

// beeps is a tone of 100 ms in each second.
func beeps(at float64) float64 {
	if math.Mod(at, 1) < 0.1 {
		return 2.4 * tone(at)
	}
	return 0
}

// TestSoundStaysWhereItWas plays a beep at each full second of the stream's
// time line and looks where it is heard, whatever happens to the stamps.
func TestSoundStaysWhereItWas(t *testing.T) {
	for _, tc := range []struct {
		name string
		// next returns the stamp of the unit after one stamped pts, and whether
		// it is a gap or lost.
		next func(i int, pts time.Duration, r *rand.Rand) (next time.Duration, gap, lost bool)
		most time.Duration // by which a beep may be off
	}{
		{"all is well", func(_ int, pts time.Duration, _ *rand.Rand) (time.Duration, bool, bool) {
			return pts + 20*time.Millisecond, false, false
		}, time.Millisecond},
		{"a clock that is 300 ppm fast", func(_ int, pts time.Duration, _ *rand.Rand) (time.Duration, bool, bool) {
			return pts + 20*time.Millisecond - 6*time.Microsecond, false, false
		}, 5 * time.Millisecond},
		{"a clock that is 0.5 % slow, as where audio is moved to the video", func(
			_ int, pts time.Duration, _ *rand.Rand,
		) (time.Duration, bool, bool) {
			return pts + 20*time.Millisecond + 100*time.Microsecond, false, false
		}, 10 * time.Millisecond},
		{"5 % fast, as where much is to be moved", func(_ int, pts time.Duration, _ *rand.Rand) (time.Duration, bool, bool) {
			return pts + 19*time.Millisecond, false, false
		}, 40 * time.Millisecond},
		{"stamps that jitter by 8 ms", func(i int, _ time.Duration, r *rand.Rand) (time.Duration, bool, bool) {
			return origin + time.Duration(i)*20*time.Millisecond + time.Duration(r.IntN(16)-8)*time.Millisecond, false, false
		}, 20 * time.Millisecond},
		{"one packet in ten is lost", func(_ int, pts time.Duration, r *rand.Rand) (time.Duration, bool, bool) {
			return pts + 20*time.Millisecond, false, r.IntN(10) == 0
		}, 35 * time.Millisecond},
		{"holes of 400 ms", func(i int, pts time.Duration, _ *rand.Rand) (time.Duration, bool, bool) {
			return pts + 20*time.Millisecond, false, i%130 > 110
		}, 35 * time.Millisecond},
		{"outages of 4 s", func(i int, pts time.Duration, _ *rand.Rand) (time.Duration, bool, bool) {
			if i%130 == 110 {
				return pts + 4*time.Second, true, false
			}
			return pts + 20*time.Millisecond, false, false
		}, 3 * time.Millisecond},
		{"pauses of 3 s that are no gap", func(i int, pts time.Duration, _ *rand.Rand) (time.Duration, bool, bool) {
			if i%130 == 110 {
				return pts + 3*time.Second, false, false
			}
			return pts + 20*time.Millisecond, false, false
		}, 3 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := newTestTranscoder(t, false, video, pcmu)
			c, r := newCodes(newMuLaw()), rand.New(rand.NewPCG(1, 2))
			var frames []frame
			pts := origin
			for i := range 550 {
				gap, lost := false, false
				if i > 0 {
					pts, gap, lost = tc.next(i, pts, r)
				}
				u := unitOf(pcmu, c, pts, beeps)
				u.Gap = gap
				if !lost {
					frames = tr.step(u, frames)
				}
			}
			checkFrames(t, frames)
			heard := onset(frames, decoded(t, dataOf(frames), 1)[0])
			if len(heard) < 7 {
				t.Fatalf("%d beeps were heard", len(heard))
			}
			for _, at := range heard {
				if off := (at - origin + 500*time.Millisecond) % time.Second; off < 500*time.Millisecond-tc.most ||
					off > 500*time.Millisecond+tc.most+3*time.Millisecond { // a beep takes 2 ms to be loud
					if !tornOff(at) {
						t.Errorf("the beep at %v is off by %v", at-origin, off-500*time.Millisecond)
					}
				}
			}
		})
	}
}

// tornOff tells whether what is heard at that time is the rest of a beep whose
// beginning was lost.
func tornOff(at time.Duration) bool {
	into := (at - origin) % time.Second
	return 40*time.Millisecond < into && into < 100*time.Millisecond
}

// checkFrames fails unless the frames follow one another.
func checkFrames(t *testing.T, frames []frame) {
	t.Helper()
	for i, f := range frames {
		if f.err != nil {
			t.Fatalf("frame %d: %v", i, f.err)
		}
		if d := f.wall.Sub(time.Unix(1000, 0)) - f.pts; d != 0 {
			t.Fatalf("frame %d is %v off the clock", i, d)
		}
		if i == 0 {
			continue
		}
		d := f.pts - frames[i-1].pts
		if d < 20*time.Millisecond || !f.gap && d > 22*time.Millisecond && d < 500*time.Millisecond {
			t.Fatalf("frame %d comes %v after the one before, gap %v", i, d, f.gap)
		}
	}
}

// TestViewMakesWhatFFmpegPlays runs a whole view with the real encoder.
func TestViewMakesWhatFFmpegPlays(t *testing.T) {
	s := hub.NewStream("cam")
	s.SetTracks(tracks(video, alaw))
	view, release := View(s, Mode{Policy: Auto, Needed: true})
	units := view.Units.Reader("test", hub.LastStart)
	defer units.Close()
	log, releaseLog := hub.Derive(s, recipe(s, false, newEncoder))
	made := log.Reader("test", hub.LastStart)
	defer made.Close()
	c, newest := newCodes(newALaw()), origin
	var frames []frame
	for i := range 250 {
		pts := origin + time.Duration(i)*20*time.Millisecond
		if i%2 == 0 {
			s.Units.Append(&media.Unit{Track: video, PTS: pts, DTS: pts, Key: i%50 == 0, Data: [][]byte{{1}}})
		}
		s.Units.Append(unitOf(alaw, c, pts, beeps))
		for i%2 == 0 { // the picture comes, whatever becomes of the sound
			u, _, err := units.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if u.Track == video {
				break
			}
			frames = append(frames, frame{pts: u.PTS, data: u.Data[0]})
		}
		for newest < pts-lag { // not faster than the encoder
			f, _, err := made.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			newest = f.pts
		}
	}
	releaseLog()
	s.Close()
	for {
		u, _, err := units.Next(t.Context())
		if err != nil {
			break
		}
		if u.Track.Kind == media.KindAudio {
			frames = append(frames, frame{pts: u.PTS, data: u.Data[0]})
		}
	}
	release()
	heard := onset(frames, decoded(t, dataOf(frames), 1)[0])
	if len(heard) < 3 {
		t.Fatalf("%d beeps were heard in %d frames", len(heard), len(frames))
	}
	for _, at := range heard[1:] { // the first is cut: a decoder needs the frame before
		if off := (at-origin+500*time.Millisecond)%time.Second - 500*time.Millisecond; off.Abs() > 5*time.Millisecond {
			t.Errorf("the beep at %v is off by %v", at-origin, off)
		}
	}
}
