package mpegts_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/mediatest"
	"camrelay/media/mpegts"
)

var _ = flag.Bool("update", false, "rewrite golden files")

const ms = time.Millisecond

var (
	h264 = &media.Track{
		ID: 0, Kind: media.KindVideo, Codec: media.CodecH264, SPS: []byte{0x67, 1, 2}, PPS: []byte{0x68, 3},
	}
	h264Changed = &media.Track{
		ID: 0, Kind: media.KindVideo, Codec: media.CodecH264, SPS: []byte{0x67, 9, 9}, PPS: []byte{0x68, 3},
	}
	h265 = &media.Track{
		ID: 0, Kind: media.KindVideo, Codec: media.CodecH265,
		VPS: []byte{0x40, 1, 1}, SPS: []byte{0x42, 1, 2}, PPS: []byte{0x44, 1, 3},
	}
	aac  = &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecAAC, AudioConfig: []byte{0x11, 0x90}}
	opus = &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecOpus, Channels: 2}
	pcma = &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecPCMA}
)

// nal returns a NAL unit of n bytes that begins with header.
func nal(n int, header ...byte) []byte {
	b := bytes.Repeat([]byte{0xab}, n)
	copy(b, header)
	return b
}

func unit(t *media.Track, pts, dts time.Duration, data ...[]byte) *media.Unit {
	u := &media.Unit{Track: t, PTS: pts, DTS: dts, Data: data}
	u.Key = t.Kind == media.KindVideo && codec.Key(t.Codec, data)
	return u
}

func gap(u *media.Unit) *media.Unit {
	u.Gap = true
	return u
}

// mux returns the transport stream of all units, and checks each chunk.
func mux(t testing.TB, tracks []*media.Track, units []*media.Unit) []byte {
	t.Helper()
	m := mpegts.New(tracks)
	var all []byte
	var chunks []mpegts.Chunk
	for _, u := range units {
		chunks = m.Chunks(u, chunks[:0])
		for _, c := range chunks {
			if len(c.Data) == 0 || len(c.Data)%mpegts.PacketSize != 0 {
				t.Fatalf("a chunk of %d bytes", len(c.Data))
			}
			if len(c.Data) != cap(c.Data) {
				t.Errorf("a chunk of %d bytes holds on to %d", len(c.Data), cap(c.Data))
			}
			if c.Key && (c.Data[1]&0x1f != 0 || c.Data[2] != 0) {
				t.Error("a key chunk does not begin with the PAT")
			}
			if u.Key && u.Track.Kind == media.KindVideo && !c.Key || c.Key && !u.Key {
				t.Errorf("a chunk is Key %v, its unit %v", c.Key, u.Key)
			}
			all = append(all, c.Data...)
		}
	}
	return all
}

func TestPackets(t *testing.T) {
	idr, slice := nal(300, 0x65, 0x88), nal(40, 0x41, 0x9a)
	const day = 24 * time.Hour
	wrap := media.ToDuration(1<<33, 90000) - 100*ms // here the stamps wrap, the PCR 100 ms later
	for _, tc := range []struct {
		name   string
		tracks []*media.Track
		units  []*media.Unit
	}{
		{"H.264 with B-frames and AAC", []*media.Track{h264, aac}, []*media.Unit{
			unit(h264, 80*ms, 0, idr),
			unit(aac, 0, 0, nal(150)),
			unit(h264, 200*ms, 40*ms, slice),
			unit(aac, 21333*time.Microsecond, 21333*time.Microsecond, nal(400)),
			unit(h264, 120*ms, 80*ms, slice),
			unit(h264, 160*ms, 120*ms, slice),
			unit(h264, 240*ms, 160*ms, h264.SPS, h264.PPS, idr),
		}},
		{"a gap, then new parameter sets", []*media.Track{h264, aac}, []*media.Unit{
			unit(h264, 0, 0, idr),
			unit(aac, 0, 0, nal(150)),
			gap(unit(h264Changed, 3*time.Second, 3*time.Second, idr)),
			gap(unit(aac, 3*time.Second, 3*time.Second, nal(150))),
		}},
		{"a delimiter and one parameter set in band", []*media.Track{h264}, []*media.Unit{
			unit(h264, 0, 0, nal(2, 9, 0x10), h264.PPS, idr),
		}},
		{"H.265 and Opus", []*media.Track{h265, opus}, []*media.Unit{
			unit(h265, 0, 0, nal(300, 0x26, 1)),
			unit(opus, 0, 0, nal(300)),
			unit(opus, 20*ms, 20*ms, nal(20)),
			unit(h265, 40*ms, 40*ms, nal(30, 2, 1)),
		}},
		{"audio alone starts where its tables are", []*media.Track{aac}, []*media.Unit{
			{Track: aac, Key: true, Data: [][]byte{nal(100)}},
			{Track: aac, PTS: 21 * ms, DTS: 21 * ms, Key: true, Data: [][]byte{nal(100)}},
			{Track: aac, PTS: 43 * ms, DTS: 43 * ms, Key: true, Data: [][]byte{nal(100)}},
			{Track: aac, PTS: 64 * ms, DTS: 64 * ms, Key: true, Data: [][]byte{nal(100)}},
		}},
		{"stamps and clock wrap after 26.5 hours", []*media.Track{h264}, []*media.Unit{
			unit(h264, day, day, idr),
			unit(h264, wrap-40*ms, wrap-80*ms, idr),
			unit(h264, wrap, wrap-40*ms, slice),
			unit(h264, wrap+40*ms, wrap, slice),
			unit(h264, wrap+160*ms, wrap+120*ms, slice),
		}},
		{"stuffing of each length around a packet's end", []*media.Track{h264}, func() (us []*media.Unit) {
			us = append(us, unit(h264, 0, 0, nal(148, 0x65)))
			for i := range 8 { // header 14, delimiter 6, start code 4, PCR 8
				at := time.Duration(i+1) * 10 * ms
				us = append(us, unit(h264, at, at, nal(148+i, 0x41)))
			}
			return us
		}()},
		{"pictures far apart: audio brings the clock", []*media.Track{h264, aac}, []*media.Unit{
			unit(h264, 0, 0, idr),
			unit(aac, 0, 0, nal(100)),
			unit(aac, 21*ms, 21*ms, nal(100)),
			unit(aac, 43*ms, 43*ms, nal(100)),
			unit(aac, 64*ms, 64*ms, nal(100)),
			unit(aac, 85*ms, 85*ms, nal(100)),
			unit(h264, 100*ms, 100*ms, slice),
			unit(aac, 107*ms, 107*ms, nal(100)),
			unit(aac, 128*ms, 128*ms, nal(100)),
			unit(aac, 149*ms, 149*ms, nal(100)),
		}},
		{"promised audio never comes, other audio does", []*media.Track{h264, aac}, []*media.Unit{
			unit(h264, 0, 0, idr),
			unit(h264, 4900*ms, 4900*ms, idr),
			unit(h264, 5000*ms, 5000*ms, slice),
			unit(pcma, 5010*ms, 5010*ms, nal(100)),
			unit(opus, 5020*ms, 5020*ms, nal(100)),
			unit(h264, 5040*ms, 5040*ms, slice),
		}},
		{"audio becomes what cannot be carried", []*media.Track{h264, aac}, []*media.Unit{
			unit(h264, 0, 0, idr),
			unit(aac, 0, 0, nal(100)),
			unit(pcma, 21*ms, 21*ms, nal(100)),
			unit(h264, 40*ms, 40*ms, slice),
		}},
		{"the camera changes to H.265", []*media.Track{h264}, []*media.Unit{
			unit(h264, 0, 0, idr),
			gap(unit(h265, 40*ms, 40*ms, nal(100, 0x26, 1))),
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, lines, err := readAll(mux(t, tc.tracks, tc.units))
			if err != nil {
				t.Fatal(err)
			}
			name := strings.NewReplacer(" ", "-", ",", "", ":", "", ".", "", "'", "").Replace(tc.name)
			mediatest.Golden(t, name+".txt", []byte(strings.Join(lines, "\n")+"\n"))
		})
	}
}

// ticks are those of a stamp as a PES holds it: 100 ms after the PCR.
func ticks(d time.Duration) int64 { return media.ToTicks(d+100*ms, 90000) & (1<<33 - 1) }

func TestFFmpegReadsEveryFrameAtItsTick(t *testing.T) {
	for _, kind := range append(mediatest.Kinds(), mediatest.AAC, mediatest.H264BOnly) {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			units := clip.Until(10 * time.Second)
			path := filepath.Join(t.TempDir(), "out.ts")
			if err := os.WriteFile(path, mux(t, clip.Tracks, units), 0o600); err != nil {
				t.Fatal(err)
			}
			mediatest.Decodes(t, path)
			p := mediatest.Probe(t, path)
			for _, track := range clip.Tracks {
				got := p.Of(track.Kind.String())
				i := 0
				for _, u := range units {
					if u.Track.ID != track.ID {
						continue
					}
					if i == len(got) {
						t.Fatalf("%d frames of %s, want more", i, track.Kind)
					}
					pts, dts := ticksOf(t, got[i].PTS), ticksOf(t, got[i].DTS)
					if pts != ticks(u.PTS) || dts != ticks(u.DTS) {
						t.Fatalf("%s frame %d: PTS %d, DTS %d, want %d, %d",
							track.Kind, i, pts, dts, ticks(u.PTS), ticks(u.DTS))
					}
					if track.Kind == media.KindVideo && got[i].Key() != u.Key {
						t.Fatalf("picture %d: key %v, want %v", i, got[i].Key(), u.Key)
					}
					i++
				}
				if i != len(got) {
					t.Errorf("%d frames of %s, want %d", len(got), track.Kind, i)
				}
			}
		})
	}
}

// ticksOf turns seconds as ffprobe prints them into ticks of 90 kHz.
func ticksOf(t *testing.T, s string) int64 {
	t.Helper()
	var secs float64
	if _, err := fmt.Sscan(s, &secs); err != nil {
		t.Fatalf("stamp %q: %v", s, err)
	}
	return int64(secs*90000 + 0.5)
}

// TestIntervals checks what receivers rely on, for clips as they are and for
// cameras with few pictures.
func TestIntervals(t *testing.T) {
	for _, tc := range []struct {
		kind mediatest.Kind
		keep int // one picture in so many
	}{
		{mediatest.H264, 1},
		{mediatest.H264B, 1},
		{mediatest.H265AAC, 1},
		{mediatest.H264Opus, 1},
		{mediatest.AAC, 1},
		{mediatest.H264AAC, 2},
		{mediatest.H264AAC, 5},
		{mediatest.H264AAC, 25},
	} {
		t.Run(fmt.Sprintf("%s, one picture in %d", tc.kind, tc.keep), func(t *testing.T) {
			clip := mediatest.MakeClip(t, tc.kind)
			n := 0
			units := slices.DeleteFunc(clip.Until(10*time.Second), func(u *media.Unit) bool {
				if u.Track.Kind != media.KindVideo {
					return false
				}
				n++
				return (n-1)%tc.keep != 0
			})
			checkIntervals(t, clip.Tracks, units)
		})
	}
}

func checkIntervals(t *testing.T, tracks []*media.Track, units []*media.Unit) {
	t.Helper()
	m, r := mpegts.New(tracks), newReader()
	clock, tables, now := int64(-1), units[0].DTS, time.Duration(0)
	for _, u := range units {
		now = max(now, u.DTS)
		for _, c := range m.Chunks(u, nil) {
			before := r.tables
			for b := c.Data; len(b) > 0; b = b[188:] {
				p, err := readPacket(b[:188])
				if err == nil {
					err = r.packet(p)
				}
				if err != nil {
					t.Fatal(err)
				}
				if p.pcr < 0 {
					continue
				}
				if d := p.pcr - clock; clock >= 0 && (d <= 0 || d > 40*27000+300) {
					t.Fatalf("at %v: PCR %.3f ms after the one before", now, float64(d)/27000)
				}
				clock = p.pcr
			}
			if r.tables > before {
				if now-tables > 100*ms {
					t.Fatalf("at %v: tables %v after the ones before", now, now-tables)
				}
				tables = now
			}
		}
		if clock < 0 {
			continue // audio from before the first picture
		}
		last := r.units[len(r.units)-1]
		if last.dts*300 <= clock || last.dts*300 > clock+27_000*300 {
			t.Fatalf("at %v: DTS %d, PCR %d", now, last.dts*300, clock)
		}
	}
}

func TestCarries(t *testing.T) {
	config := func(b ...byte) *media.Track { return &media.Track{Codec: media.CodecAAC, AudioConfig: b} }
	for name, tc := range map[string]struct {
		track *media.Track
		want  bool
	}{
		"AAC-LC stereo":                          {config(0x11, 0x90), true},
		"HE-AAC, signalled as such":              {config(0x2b, 0x92, 0x08, 0x00), true},
		"AAC without its configuration":          {config(), false},
		"AAC-ELD has no ADTS form":               {config(0xf8, 0xe6, 0x20, 0x00), false},
		"a frequency of its own has no index":    {config(0x17, 0x80, 0x17, 0x70, 0x10), false},
		"channels by a program config element":   {config(0x11, 0x80), false},
		"eight channels have no configuration 8": {config(0x11, 0xc0), false},
		"G.711":                                  {pcma, false},
		"Opus of 2 channels":                     {opus, true},
		"Opus of 9 channels":                     {&media.Track{Codec: media.CodecOpus, Channels: 9}, false},
	} {
		if got := mpegts.Carries(tc.track); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestUnitsAreNotAliasedNorChanged(t *testing.T) {
	data := nal(1000, 0x65, 0x88)
	c := mpegts.New([]*media.Track{h264}).Chunks(unit(h264, 0, 0, data), nil)[0]
	clear(c.Data)
	if !bytes.Equal(data, nal(1000, 0x65, 0x88)) {
		t.Error("the chunk shares the memory of its unit")
	}
}

func TestAppendNull(t *testing.T) {
	p, err := readPacket(mpegts.AppendNull(nil))
	if err != nil || p.pid != 0x1fff || len(p.payload) != 184 {
		t.Errorf("got %+v, %v", p, err)
	}
}
