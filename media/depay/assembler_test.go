package depay_test

import (
	"bytes"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/mediatest"
	"camrelay/media/timeline"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// play sends units through packets and back.
func play(t *testing.T, a *depay.Assembler, p *mediatest.Packetizer, units []*media.Unit) []*media.Unit {
	t.Helper()
	var out []*media.Unit
	for _, u := range units {
		u.Wall = begin.Add(u.DTS)
		pk, err := p.Packets(u)
		if err != nil {
			t.Fatal(err)
		}
		out = a.Packets(pk, out)
	}
	return out
}

func TestUnitsComeBackAsTheyWereSent(t *testing.T) {
	for _, kind := range append(mediatest.Kinds(), mediatest.AAC) {
		t.Run(string(kind), func(t *testing.T) {
			c := mediatest.MakeClip(t, kind)
			a, err := depay.NewAssembler(c.Tracks, timeline.New())
			if err != nil {
				t.Fatal(err)
			}
			sent := c.Units(2 * c.Round())
			got := play(t, a, mediatest.NewPacketizer(t, c.Tracks), sent)
			for _, track := range c.Tracks {
				compare(t, track, of(track, sent), of(track, got))
			}
			if _, changed := a.Tracks(); changed {
				t.Error("tracks changed though the parameter sets in band are those known")
			}
		})
	}
}

func of(track *media.Track, units []*media.Unit) []*media.Unit {
	var out []*media.Unit
	for _, u := range units {
		if u.Track.ID == track.ID {
			out = append(out, u)
		}
	}
	return out
}

func compare(t *testing.T, track *media.Track, sent, got []*media.Unit) {
	t.Helper()
	if len(got) < len(sent)-1 {
		t.Fatalf("%s: %d units of %d came back", track.Codec, len(got), len(sent))
	}
	shift := got[0].PTS - sent[0].PTS
	for i, g := range got {
		s := sent[i]
		if d := g.PTS - s.PTS - shift; d < -time.Millisecond || d > time.Millisecond {
			t.Fatalf("%s unit %d: PTS %v, want %v", track.Codec, i, g.PTS, s.PTS+shift)
		}
		if d := g.DTS - s.DTS - shift; d < -time.Millisecond || d > time.Millisecond {
			t.Fatalf("%s unit %d: DTS %v, want %v", track.Codec, i, g.DTS, s.DTS+shift)
		}
		if g.Gap || g.Key != s.Key && track.Kind == media.KindVideo {
			t.Fatalf("%s unit %d: gap %v, key %v", track.Codec, i, g.Gap, g.Key)
		}
		if len(g.Data) != len(s.Data) {
			t.Fatalf("%s unit %d: %d NAL units, want %d", track.Codec, i, len(g.Data), len(s.Data))
		}
		for j := range g.Data {
			if !bytes.Equal(g.Data[j], s.Data[j]) {
				t.Fatalf("%s unit %d: NAL unit %d differs", track.Codec, i, j)
			}
		}
	}
}

// TestSoundInSamplesGetsUnits: beside video a unit of sound begins nothing,
// alone each does; what is not known by name has no units.
func TestSoundInSamplesGetsUnits(t *testing.T) {
	pcma := &media.Track{ID: 0, Kind: media.KindAudio, Codec: media.CodecPCMA, ClockRate: 8000, Channels: 1}
	h264 := &media.Track{ID: 1, Kind: media.KindVideo, Codec: media.CodecH264, ClockRate: 90000}
	g726 := &media.Track{ID: 1, Kind: media.KindAudio, RTPMap: "G726-32/8000", ClockRate: 8000}
	for _, tc := range []struct {
		name   string
		beside *media.Track
		key    bool
	}{{"alone", g726, true}, {"beside video", h264, false}} {
		a, err := depay.NewAssembler([]*media.Track{pcma, tc.beside}, timeline.New())
		if err != nil {
			t.Fatal(err)
		}
		var got []*media.Unit
		for i := range byte(3) {
			packet := append([]byte{0x80, 8, 0, i, 0, 0, i, 64 * i, 0, 0, 0, 0}, make([]byte, 320)...)
			got = a.Packets(media.Packets{
				Track: pcma, Wire: media.AppendWire(nil, 0, packet), N: 1,
				Wall: begin.Add(time.Duration(i) * 40 * time.Millisecond),
			}, got)
		}
		if len(got) != 3 {
			t.Fatalf("%s: %d units of 3 packets", tc.name, len(got))
		}
		for i, u := range got {
			if u.Key != tc.key || u.Gap || u.PTS-got[0].PTS != time.Duration(i)*40*time.Millisecond || len(u.Data[0]) != 320 {
				t.Errorf("%s: unit %d at %v, key %v, gap %v, %d bytes", tc.name, i, u.PTS, u.Key, u.Gap, len(u.Data[0]))
			}
		}
	}
}
