package hls

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/fmp4"
	"camrelay/media/mediatest"
)

func TestPlaylistThroughALongRun(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264B)
	r := newRig(t, settings(), clip.Tracks)
	began := false
	seen := make(map[*segment]bool)
	for i, u := range clip.Until(30 * time.Second) {
		r.feed(u)
		for _, s := range r.muxer.segments {
			seen[s] = true
		}
		if began = began || len(r.muxer.segments) > 0; began && i%20 == 0 {
			r.check()
		}
	}
	l := r.check()
	if l.target != 1 || !l.independent || l.discontinuity != 0 {
		t.Errorf("got %+v", l)
	}
	if l.sequence < 20 || len(l.segments) < 3 || len(l.segments) > 5 {
		t.Errorf("%d segments from %d", len(l.segments), l.sequence)
	}
	first := l.segments[0]
	for i, s := range l.segments {
		if d := s.wall.Sub(first.wall) - time.Duration(i)*time.Second; d.Abs() > time.Millisecond {
			t.Errorf("%s is dated %v off", s.uri, d)
		}
	}
	// Old segments are kept for a window more, by the clock, which hardly moves here.
	for s := range seen {
		_, err := os.Stat(filepath.Join(r.dir, "gate", s.name))
		if err != nil && (s.expires.IsZero() || s.expires.After(time.Now())) {
			t.Errorf("%s went before its time: %v", s.name, err)
		}
	}
	if len(seen) < 25 {
		t.Errorf("%d segments", len(seen))
	}
}

func TestPartsAreTheSegment(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(3500 * time.Millisecond)...)
	for _, s := range r.muxer.segments {
		var at int64
		for i, p := range s.parts {
			if p.offset != at || p.size <= 0 || p.independent != (i == 0) {
				t.Errorf("%s part %d: %+v", s.name, i, p)
			}
			if p.duration != 200*time.Millisecond || p.frames != 5 {
				t.Errorf("%s part %d: %v, %d frames", s.name, i, p.duration, p.frames)
			}
			at += p.size
		}
		if body := r.body("/gate/" + s.name); int64(len(body)) != at {
			t.Errorf("%s: %d bytes in parts of %d", s.name, at, len(body))
		}
	}
	if n := len(r.muxer.segments); n != 3 {
		t.Errorf("%d segments", n)
	}
	if s := r.muxer.current; len(s.parts) != 2 {
		t.Errorf("the open segment has %d parts", len(s.parts))
	}
}

func TestDiscontinuity(t *testing.T) {
	small := mediatest.MakeClip(t, mediatest.H264AAC)
	large := mediatest.MakeClip(t, mediatest.H264Large)
	again := mediatest.MakeClip(t, mediatest.H264AAC) // equal parameters in other tracks
	const before, pause = 2500 * time.Millisecond, 20 * time.Second
	for _, tc := range []struct {
		name          string
		after         []*media.Unit
		discontinuity bool
		inits         int
	}{
		{"the camera returns after an outage", shift(small.Until(3*time.Second), pause), true, 1},
		{"the camera returns and describes itself anew", shift(again.Until(3*time.Second), pause), true, 1},
		{"the camera returns with another picture", shift(large.Until(3*time.Second), pause), true, 2},
		{"audio that comes first after an outage waits", audioFirst(shift(small.Until(3*time.Second), pause)), true, 1},
		{"the tracks are new but equal", swap(small.Until(8 * time.Second)[len(small.Until(before)):], again), false, 1},
		{"the picture changes without a gap", swap(small.Until(8 * time.Second)[len(small.Until(before)):], large), true, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Config{
				Segment: time.Second, Part: 200 * time.Millisecond, Window: time.Minute, StartTimeout: time.Second,
			}, small.Tracks)
			r.feed(small.Until(before)...)
			r.check()
			r.feed(tc.after...)
			l := r.check()
			marks, inits := 0, map[string]bool{}
			for _, s := range l.segments {
				inits[s.init] = true
				if s.discontinuity {
					marks++
				}
			}
			if (marks == 1) != tc.discontinuity || marks > 1 || len(inits) != tc.inits {
				t.Errorf("%d discontinuities, %d init segments in %+v", marks, len(inits), l.segments)
			}
			last := r.muxer.segments[len(r.muxer.segments)-1]
			if d := last.wall.Sub(r.wall.Add(last.start)); d.Abs() > drift {
				t.Errorf("the time of day is %v off", d)
			}
		})
	}
}

func TestDiscontinuitiesLeaveThePlaylist(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(4 * time.Second)...)
	r.check()
	for i := range 6 {
		for n, u := range shift(clip.Until(2500*time.Millisecond), time.Duration(i+1)*20*time.Second) {
			r.feed(u)
			if n%10 == 0 {
				r.check()
			}
		}
	}
	l := r.check()
	if last := l.segments[len(l.segments)-1]; last.number != 6 || l.discontinuity == 0 {
		t.Errorf("got %+v", l)
	}
}

// audioFirst moves one unit of audio to the front.
func audioFirst(units []*media.Unit) []*media.Unit {
	for i, u := range units {
		if u.Track.Kind == media.KindAudio {
			return append([]*media.Unit{u}, append(units[:i:i], units[i+1:]...)...)
		}
	}
	return units
}

// swap gives units the tracks and the content of another clip.
func swap(units []*media.Unit, clip *mediatest.Clip) []*media.Unit {
	content := map[int][]*media.Unit{}
	for _, u := range clip.Units(2 * clip.Round()) {
		content[u.Track.ID] = append(content[u.Track.ID], u)
	}
	key := false
	out := make([]*media.Unit, 0, len(units))
	for _, u := range units {
		c := content[u.Track.ID]
		v := *c[0]
		v.PTS, v.DTS = u.PTS, u.DTS
		if !key && u.Track.Kind == media.KindVideo {
			key = v.Key
		}
		content[u.Track.ID] = c[1:]
		out = append(out, &v)
	}
	return out
}

func TestIrregularKeyFrames(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	thin := func(every time.Duration) func(u *media.Unit) bool {
		return func(u *media.Unit) bool { return u.DTS%every == 0 }
	}
	feed := func(r *rig, from, to time.Duration, key func(*media.Unit) bool) {
		for _, u := range clip.Until(to) {
			if u.DTS-time.Second >= from {
				v := *u
				v.Key = u.Key && key(u)
				r.feed(&v)
			}
		}
	}
	t.Run("the target duration has a reserve over the longest segment so far", func(t *testing.T) {
		r := newRig(t, settings(), clip.Tracks)
		feed(r, 0, 20*time.Second, thin(4*time.Second))
		l := r.check()
		var total time.Duration
		for _, s := range l.segments {
			total += s.duration
		}
		if l.target != 5 || total < 15*time.Second {
			t.Errorf("target duration %d in a playlist of %v", l.target, total)
		}
	})
	t.Run("key frames that become rare do not exceed the target duration", func(t *testing.T) {
		r := newRig(t, settings(), clip.Tracks)
		feed(r, 0, 4500*time.Millisecond, thin(time.Second))
		if l := r.check(); l.target != 1 || !l.independent {
			t.Fatalf("got %+v", l)
		}
		feed(r, 4500*time.Millisecond, 14500*time.Millisecond, thin(8*time.Second))
		if l := r.check(); l.independent {
			t.Error("segments that begin in mid-GOP are told to be independent")
		}
	})
	t.Run("a pause of pictures is no longer than its segment", func(t *testing.T) {
		r := newRig(t, settings(), clip.Tracks)
		feed(r, 0, 2500*time.Millisecond, thin(time.Second))
		r.check()
		feed(r, 6*time.Second, 9*time.Second, thin(time.Second))
		if l := r.check(); l.segments[len(l.segments)-2].number != 1 {
			t.Errorf("got %+v", l)
		}
	})
}

func TestAudioWithoutPicturesIsNotHeld(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	for _, u := range clip.Until(60 * time.Second) {
		if u.Track.Kind == media.KindAudio || u.DTS < 4*time.Second {
			r.feed(u)
		}
	}
	if n := r.pack.mux.(*fmp4.Muxer).Size(); n > 100<<10 {
		t.Errorf("%d bytes are held", n)
	}
	if r.pack.seg != nil {
		t.Error("the segment is still open")
	}
	r.check()
}

func TestSilentAudioIsNotPromised(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	for _, tc := range []struct {
		name     string
		from, to time.Duration // stream time in which there is audio
		marks    int
	}{
		{"audio that never comes", time.Hour, time.Hour, 0},
		{"audio that comes later", 4 * time.Second, time.Hour, 1},
		{"audio that ends", 0, 4 * time.Second, 1},
		{"audio that is away for a while", 3 * time.Second, 6 * time.Second, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := settings()
			cfg.Window = time.Minute
			r := newRig(t, cfg, clip.Tracks)
			for _, u := range clip.Until(10 * time.Second) {
				if u.Track.Kind == media.KindVideo || u.DTS >= tc.from && u.DTS < tc.to {
					r.feed(u)
				}
			}
			marks := 0
			for i, s := range r.check().segments {
				if s.discontinuity {
					marks++
				}
				promised := bytes.Contains(r.body("/gate/"+s.init), []byte("mp4a"))
				// The segment in which it ends or begins may be either.
				at := time.Duration(i+1) * time.Second
				if has := at >= tc.from && at < tc.to; promised != has && (at-tc.from).Abs() > time.Second && at != tc.to {
					t.Errorf("segment %d at %v promises audio: %v", i, at, promised)
				}
			}
			if marks != tc.marks {
				t.Errorf("%d discontinuities", marks)
			}
			if used, _ := r.muxer.budget.Used(); used != diskUse(t, r.dir) {
				t.Errorf("%d bytes accounted for, %d on disk", used, diskUse(t, r.dir))
			}
		})
	}
}

func TestStart(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	t.Run("audio before the first picture is left out", func(t *testing.T) {
		r := newRig(t, settings(), clip.Tracks)
		for _, u := range clip.Until(5 * time.Second) {
			if u.Track.Kind == media.KindAudio || u.DTS >= 3*time.Second {
				r.feed(u)
			}
		}
		if s := r.muxer.segments[0]; s.start != 3*time.Second || r.pack.origin != 3*time.Second {
			t.Errorf("the first segment begins at %v", s.start)
		}
	})
	t.Run("a track that cannot be carried is left out", func(t *testing.T) {
		pcma := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecPCMA, ClockRate: 8000}
		r := newRig(t, settings(), []*media.Track{clip.Tracks[0], pcma})
		for _, u := range clip.Until(3 * time.Second) {
			if u.Track.Kind == media.KindVideo {
				r.feed(u)
			}
		}
		if m := string(r.body("/gate/index.m3u8")); !strings.Contains(m, `CODECS="avc1.`) || strings.Contains(m, ",mp4a") {
			t.Error(m)
		}
	})
	t.Run("a track that appears later is taken in at a key frame", func(t *testing.T) {
		r := newRig(t, settings(), clip.Tracks[:1])
		for _, u := range clip.Until(6 * time.Second) {
			if u.DTS >= 3*time.Second {
				r.pack.tracks = func() ([]*media.Track, <-chan struct{}) { return clip.Tracks, nil }
			}
			if u.Track.Kind == media.KindVideo || u.DTS >= 3*time.Second {
				r.feed(u)
			}
		}
		if m := string(r.body("/gate/index.m3u8")); !strings.Contains(m, "mp4a.40.2") {
			t.Error(m)
		}
		r.check()
	})
}

func TestACameraThatBreaksOffAtOnceIsListed(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(400 * time.Millisecond)...)
	r.feed(shift(clip.Until(300*time.Millisecond), 5*time.Second)...)
	if text := r.body("/gate/index.m3u8"); !bytes.Contains(text, []byte("BANDWIDTH=")) {
		t.Errorf("got %s", text)
	}
}
