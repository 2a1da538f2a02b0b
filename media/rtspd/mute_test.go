package rtspd

import (
	"context"
	"slices"
	"strings"
	"testing"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// mute returns a view of s that lists no sound.
func mute(t *testing.T, s *hub.Stream) *hub.Stream {
	t.Helper()
	tracks, _ := s.Tracks()
	tracks = slices.DeleteFunc(slices.Clone(tracks), func(t *media.Track) bool { return t.Kind == media.KindAudio })
	view, release := hub.View(s, hub.ViewRecipe{
		Name: "mute", Tracks: tracks, About: "mute",
		Run: func(ctx context.Context, _ *hub.Stream) error {
			<-ctx.Done()
			return nil
		},
	})
	t.Cleanup(release)
	return view
}

// swapped is a camera that describes its sound first.
type swapped struct {
	*camera

	tracks []*media.Track // by their IDs of before
}

func newSwapped(t *testing.T) *swapped {
	t.Helper()
	s := &swapped{camera: newCamera(t, mediatest.H264AAC)}
	for _, t := range s.clip.Tracks {
		c := *t
		c.ID = 1 - t.ID
		s.tracks = append(s.tracks, &c)
	}
	s.stream.SetTracks([]*media.Track{s.tracks[1], s.tracks[0]})
	return s
}

// publish appends n units and returns their packets.
func (s *swapped) publish(t *testing.T, n int) (all []media.Packets) {
	t.Helper()
	for range n {
		p := s.packets(t)
		p.Track = s.tracks[p.Track.ID]
		wire := p.Wire
		p.Wire = nil
		for rtp := range (&media.Packets{Wire: wire}).RTP() {
			p.Wire = media.AppendWire(p.Wire, 2*p.Track.ID, rtp)
		}
		s.stream.Packets.Append(p)
		all = append(all, p)
	}
	return all
}

// TestAViewerOfAViewWithoutSound gets the pictures alone, whichever track the
// camera describes first.
func TestAViewerOfAViewWithoutSound(t *testing.T) {
	usual, other := newCamera(t, mediatest.H264AAC), newSwapped(t)
	for _, c := range []struct {
		name    string
		stream  *hub.Stream
		publish func(*testing.T, int) []media.Packets
		video   int // its ID
	}{
		{"the sound comes second", usual.stream, usual.publish, 0},
		{"the sound comes first", other.stream, other.publish, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			fed := c.publish(t, 20)
			s := serve(t, Config{}, mute(t, c.stream))
			p := dial(t, s, "gate?start=gop")
			if sdp := p.want(200, "DESCRIBE", p.url).body; strings.Contains(sdp, "m=audio") {
				t.Errorf("sound is described:\n%s", sdp)
			}
			p.setup(0, "RTP/AVP/TCP;unicast;interleaved=0-1")
			p.want(200, "PLAY", p.url)
			p.packet()
			fed = append(fed, c.publish(t, 20)...)
			last := frames(fed, c.video)
			for want := last[len(last)-1]; ; {
				got := p.packet()
				if got[1] != 0 {
					t.Fatalf("a packet on channel %d", got[1])
				}
				if seqOf(got) == seqOf(want) {
					break
				}
			}
		})
	}
}

// TestNothingButSoundThatIsLeftOut is refused, in words.
func TestNothingButSoundThatIsLeftOut(t *testing.T) {
	cam := newCamera(t, mediatest.AAC)
	cam.publish(t, 5)
	view := mute(t, cam.stream)
	s := serve(t, Config{}, view)
	p := dial(t, s, "gate")
	if res := p.want(406, "DESCRIBE", p.url); res.phrase != errNothing.Error() {
		t.Errorf("the reason is %q", res.phrase)
	}
	r := record(t, nil, nil)
	x := startPush(t, PushSpec{URL: "rtsp://" + r.addr + "/live/gate"}, &camera{stream: view})
	if err := x.reason(t); err.Error() != errNothing.Error() || media.ClassOf(err) != media.ClassUnsupported {
		t.Errorf("the push ended because %v", err)
	}
}

// TestAPushOfAViewWithoutSound announces and sends the pictures alone.
func TestAPushOfAViewWithoutSound(t *testing.T) {
	r := record(t, nil, nil)
	cam := newCamera(t, mediatest.H264AAC)
	cam.feed(t)
	x := startPush(t, PushSpec{URL: "rtsp://" + r.addr + "/live/gate"}, &camera{stream: mute(t, cam.stream)})
	<-x.active
	eventually(t, "pictures arrive", func() bool { return r.packets[0].Load() > 200 })
	if got := r.announce.Load(); len(got.Medias) != 1 || r.packets[1].Load() != 0 {
		t.Errorf("%d tracks announced, %d packets of the second", len(got.Medias), r.packets[1].Load())
	}
}
