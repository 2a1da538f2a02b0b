package mediatest

import (
	"context"
	"errors"
	"io"
	"testing"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/hub"
)

// output is the simplest one: its peer is a function call away. A flaw makes
// it do one thing wrong.
func output(flaw string) func(context.Context, *hub.Stream, func(Received)) error {
	return func(ctx context.Context, s *hub.Stream, got func(Received)) error {
		if flaw == "does not stop" {
			ctx = context.WithoutCancel(ctx)
		}
		r := s.Units.Reader("output", hub.LastStart)
		defer r.Close()
		begun := false
		for {
			u, _, err := r.Next(ctx)
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			if begun && u.Gap && flaw == "ends at a gap" {
				return errors.New("gap")
			}
			if !begun && flaw == "drops the first frame" {
				begun = true
				continue
			}
			begun = true
			f := Received{Kind: u.Track.Kind, Key: u.Key, PTS: u.PTS}
			for _, nal := range u.Data {
				if which, ok := codec.ParameterSet(u.Track.Codec, nal); ok && which == codec.SPS && flaw != "old parameters" {
					f.SPS = u.Track.SPS
				}
			}
			if flaw == "old parameters" {
				f.SPS = []byte{1}
			}
			got(f)
		}
	}
}

func TestAGoodOutputPasses(t *testing.T) {
	Suite{
		Kind:  H264B,
		Start: output(""),
		Stall: func(ctx context.Context, s *hub.Stream) error {
			<-ctx.Done()
			return nil
		},
	}.Run(t)
}

func TestAFlawIsFound(t *testing.T) {
	for _, tc := range []struct {
		flaw string
		run  func(Suite) func(context.Context, *rig) error
	}{
		{"drops the first frame", func(x Suite) func(context.Context, *rig) error { return x.lateJoin }},
		{"old parameters", func(x Suite) func(context.Context, *rig) error { return x.newParameters }},
		{"ends at a gap", func(x Suite) func(context.Context, *rig) error { return x.gap }},
		{"does not stop", func(x Suite) func(context.Context, *rig) error { return x.stop }},
	} {
		t.Run(tc.flaw, func(t *testing.T) {
			t.Parallel()
			x := Suite{Kind: H264AAC, Start: output(tc.flaw)}
			if err := tc.run(x)(t.Context(), newRig(t, x.Kind)); err == nil {
				t.Error("the flaw was not found")
			} else {
				t.Log(err)
			}
		})
	}
}

func TestGolden(t *testing.T) {
	Golden(t, "golden.txt", []byte("one\ntwo\n"))
}

func TestFeedPublishesBothLanes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := MakeClip(t, H264AAC)
	s := hub.NewStream("feed")
	defer s.Close()
	units, packets := s.Units.Reader("t", hub.Live), s.Packets.Reader("t", hub.Live)
	defer units.Close()
	defer packets.Close()
	done := make(chan error, 1)
	go func() { done <- Feed(ctx, s, c, NewPacketizer(t, c.Tracks), true) }()
	u, _, err := units.Next(ctx)
	if err != nil || !u.Key || u.Track.Kind != media.KindVideo {
		t.Errorf("got %+v, %v", u, err)
	}
	p, _, err := packets.Next(ctx)
	if err != nil || !p.Key {
		t.Errorf("got %d packets, key %v, %v", p.N, p.Key, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestClipFilesDecode(t *testing.T) {
	for _, kind := range []Kind{H264B, H265B, H264Opus} {
		t.Run(string(kind), func(t *testing.T) {
			c := MakeClip(t, kind)
			Decodes(t, c.File)
			p := Probe(t, c.File)
			if s := p.Stream("video"); s == nil || s.Width != 320 || len(p.Times(t, "video")) != 200 {
				t.Errorf("got %+v, %d pictures", s, len(p.Times(t, "video")))
			}
		})
	}
}
