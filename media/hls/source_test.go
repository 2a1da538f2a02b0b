package hls

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/feed"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestAnotherViewGoesOnWhereTheFirstOneWas packages a camera that has other
// sound after a while, so that its units come from elsewhere, where some that
// were packaged already come again.
func TestAnotherViewGoesOnWhereTheFirstOneWas(t *testing.T) {
	for f, file := range map[form]string{fragmented: plainPlaylist, transport: tsPlaylist} {
		t.Run(file, func(t *testing.T) {
			clip := mediatest.MakeClip(t, mediatest.H264AAC)
			stream, view := hub.NewStream("gate"), hub.NewStream("gate")
			stream.SetTracks(slices.Clone(clip.Tracks))
			view.SetTracks(slices.Clone(clip.Tracks))
			other := *clip.Tracks[1]
			released := make(chan struct{})
			cfg := settings()
			cfg.Window = time.Minute
			r := newRigOf(t, f, t.TempDir(), cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
			r.muxer.stream = stream
			r.muxer.view = func(s *hub.Stream) (*hub.Stream, func()) {
				if tracks, _ := s.Tracks(); tracks[1] != &other {
					return s, func() {}
				}
				return view, func() { close(released) }
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- r.muxer.Run(ctx) }()
			show(t, f, stream, clip, 4500*time.Millisecond)
			await(t, r, func(s Status) bool { return s.Segments == 4 })
			stream.SetTracks([]*media.Track{clip.Tracks[0], &other})
			stream.Units.Append(from(clip, 4500*time.Millisecond, 4600*time.Millisecond)...) // wakes it
			show(t, f, view, clip, 9500*time.Millisecond)
			await(t, r, func(s Status) bool { return s.Segments >= 8 })
			checkContinued(t, r, file)
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			<-released
		})
	}
}

// show lets a stream deliver the beginning of a clip once it is read, and from
// the first unit on.
func show(t *testing.T, f form, s *hub.Stream, clip *mediatest.Clip, d time.Duration) {
	t.Helper()
	units := clip.Until(d)
	if f == transport {
		log, release := feed.TS(s, clip.Tracks)
		t.Cleanup(release)
		n := 1 + slices.IndexFunc(units, func(u *media.Unit) bool { return u.Key })
		s.Units.Append(units[:n]...)
		units = units[n:]
		for log.Readers() == 0 {
			runtime.Gosched()
		}
	}
	awaitReader(s)
	s.Units.Append(units...)
}

// checkContinued checks a playlist of 9 s with one discontinuity, over which no
// picture comes again.
func checkContinued(t *testing.T, r *rig, file string) {
	t.Helper()
	l := parseList(t, r.body("/gate/"+file))
	if len(l.segments) == 0 || l.segments[len(l.segments)-1].number != 1 {
		t.Errorf("want one discontinuity: %+v", l)
	}
	url := serveEnded(t, r) + file
	mediatest.Decodes(t, url)
	probed := mediatest.Probe(t, url)
	times := probed.Times(t, "video")
	for i := range times[1:] {
		if times[i+1] <= times[i] {
			t.Fatalf("picture %d is shown at %v after %v", i+1, times[i+1], times[i])
		}
	}
	if len(times) < 200 || len(probed.Of("audio")) < 150 {
		t.Errorf("%d pictures and %d frames of sound", len(times), len(probed.Of("audio")))
	}
}

func awaitReader(s *hub.Stream) {
	for s.Units.Readers() == 0 {
		runtime.Gosched()
	}
}

// await waits until the figures of the rig's Muxer are such.
func await(t *testing.T, r *rig, such func(Status) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !such(r.muxer.Status()); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited too long: %+v", r.muxer.Status())
		}
	}
}
