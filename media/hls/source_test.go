package hls

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestAnotherViewGoesOnWhereTheFirstOneWas packages a camera that has other
// sound after a while, so that its units come from elsewhere, where some that
// were packaged already come again.
func TestAnotherViewGoesOnWhereTheFirstOneWas(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	stream, view := hub.NewStream("gate"), hub.NewStream("gate")
	stream.SetTracks(slices.Clone(clip.Tracks))
	view.SetTracks(slices.Clone(clip.Tracks))
	other := *clip.Tracks[1]
	released := make(chan struct{})
	cfg := settings()
	cfg.Window = time.Minute
	r := newRig(t, cfg, nil)
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
	awaitReader(stream)
	stream.Units.Append(clip.Until(4500 * time.Millisecond)...)
	await(t, r, func(s Status) bool { return s.Segments == 4 })
	stream.SetTracks([]*media.Track{clip.Tracks[0], &other})
	stream.Units.Append(clip.Until(4600 * time.Millisecond)...) // wakes it
	awaitReader(view)
	view.Units.Append(clip.Until(9500 * time.Millisecond)...)
	await(t, r, func(s Status) bool { return s.Segments >= 8 })

	l := r.check()
	if len(l.segments) == 0 || l.segments[len(l.segments)-1].number != 1 {
		t.Errorf("want one discontinuity: %+v", l)
	}
	dir := serveEnded(t, r)
	mediatest.Decodes(t, dir+plainPlaylist)
	probed := mediatest.Probe(t, dir+plainPlaylist)
	times := probed.Times(t, "video")
	for i := range times[1:] {
		if times[i+1] <= times[i] {
			t.Fatalf("picture %d is shown at %v after %v", i+1, times[i+1], times[i])
		}
	}
	if len(times) < 200 || len(probed.Of("audio")) < 150 {
		t.Errorf("%d pictures and %d frames of sound", len(times), len(probed.Of("audio")))
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-released
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
