package fmp4_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"camrelay/media"
	"camrelay/media/fmp4"
	"camrelay/media/mediatest"
)

// fragments returns the fragments of units, one every so many.
func fragments(tb testing.TB, tracks []*media.Track, units []*media.Unit, every int) []byte {
	tb.Helper()
	init, err := fmp4.Init(tracks)
	if err != nil {
		tb.Fatal(err)
	}
	return file(tb, tracks, units, every)[len(init):]
}

// TestExtractedTracksPlay holds each track that was taken out against the units
// of which it was made.
func TestExtractedTracksPlay(t *testing.T) {
	for _, kind := range append(mediatest.Kinds(), mediatest.AAC, mediatest.H265B) {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			units := clip.Units(clip.Round())
			all := fragments(t, clip.Tracks, units, 20)
			var e fmp4.Extractor
			for i, track := range clip.Tracks {
				out, err := fmp4.Init([]*media.Track{track})
				if err != nil {
					t.Fatal(err)
				}
				out, err = e.Append(out, bytes.NewReader(all), 0, int64(len(all)), uint32(i+1))
				if err != nil {
					t.Fatal(err)
				}
				name := filepath.Join(t.TempDir(), "track.mp4")
				if err := os.WriteFile(name, out, 0o600); err != nil {
					t.Fatal(err)
				}
				mediatest.Decodes(t, name)
				compare(t, mediatest.Probe(t, name).Of(track.Kind.String()), of(units, i))
			}
		})
	}
}

// edited returns a copy of what f has changed.
func edited(b []byte, f func(b []byte)) []byte {
	b = bytes.Clone(b)
	f(b)
	return b
}

func TestExtractor(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	good := fragments(t, clip.Tracks, clip.Units(40), 20)
	moof := int(binary.BigEndian.Uint32(good))
	edit := func(f func(b []byte)) []byte { return edited(good, f) }
	for _, tc := range []struct {
		name  string
		data  []byte
		track uint32
		fails bool
		empty bool

		earlier int64
	}{
		{name: "a track that is there", data: good, track: 2},
		{name: "a track that is not there gives nothing", data: good, track: 3, empty: true},
		{name: "no fragment gives nothing", track: 1, empty: true},
		{name: "a fragment that is cut off", data: good[:len(good)-1], track: 1, fails: true},
		{name: "a moof that is cut off", data: good[:moof/2], track: 1, fails: true, empty: true},
		{name: "times that would be negative", data: good, track: 1, earlier: 1 << 40, fails: true, empty: true},
		{name: "four bytes", data: good[:4], track: 1, fails: true, empty: true},
		{name: "a moof without mdat", data: good[:moof], track: 1, fails: true, empty: true},
		{
			name: "a moof that is larger than all", track: 1, fails: true, empty: true,
			data: edit(func(b []byte) { binary.BigEndian.PutUint32(b, 1<<31) }),
		},
		{
			name: "an mdat of no size", track: 1, fails: true, empty: true,
			data: edit(func(b []byte) { binary.BigEndian.PutUint32(b[moof:], 0) }),
		},
		{
			name: "another box in the place of traf", track: 1, fails: true, empty: true,
			data: edit(func(b []byte) { copy(b[28:], "free") }),
		},
		{
			name: "samples outside of mdat", track: 1, fails: true, empty: true,
			data: edit(func(b []byte) { binary.BigEndian.PutUint32(b[8+16+8+20+20+16:], 1<<30) }),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := fmp4.Extractor{Earlier: tc.earlier}
			out, err := e.Append(nil, bytes.NewReader(tc.data), 0, int64(len(tc.data)), tc.track)
			if (err != nil) != tc.fails || (len(out) == 0) != tc.empty {
				t.Errorf("%d bytes, %v", len(out), err)
			}
		})
	}
	t.Run("a part of a longer file", func(t *testing.T) {
		var e fmp4.Extractor
		whole, err := e.Append(nil, bytes.NewReader(good), 0, int64(len(good)), 1)
		if err != nil {
			t.Fatal(err)
		}
		first := int64(moof) + int64(binary.BigEndian.Uint32(good[moof:]))
		var parts []byte
		for _, at := range [][2]int64{{0, first}, {first, int64(len(good)) - first}} {
			if parts, err = e.Append(parts, bytes.NewReader(good), at[0], at[1], 1); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(whole, parts) {
			t.Error("parts differ from the whole")
		}
	})
}

// FuzzExtractor: no bytes make it panic or give more than there is, and what it
// gives it reads again as the same.
func FuzzExtractor(f *testing.F) {
	video := &media.Track{Kind: media.KindVideo, Codec: media.CodecH264}
	m := fmp4.NewMuxer([]*media.Track{video})
	m.Add(&media.Unit{Track: video, Key: true, Data: [][]byte{{0x65, 0x88}}})
	bufs, _ := m.Flush(nil, nil)
	f.Add(bytes.Join(bufs, nil), uint32(1))
	f.Add([]byte("\x00\x00\x00\x08moof\x00\x00\x00\x08mdat"), uint32(1))
	f.Fuzz(func(t *testing.T, data []byte, track uint32) {
		var e fmp4.Extractor
		end, err := fmp4.End(bytes.NewReader(data), int64(len(data)), []*media.Track{video})
		if end < 0 || err != nil && end != 0 {
			t.Fatalf("it ends at %v, %v", end, err)
		}
		out, err := e.Append(nil, bytes.NewReader(data), 0, int64(len(data)), track)
		if len(out) > len(data) {
			t.Fatalf("%d bytes of %d", len(out), len(data))
		}
		if err != nil {
			return
		}
		again, err := e.Append(nil, bytes.NewReader(out), 0, int64(len(out)), 1)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("read again: %v", err)
		}
	})
}

// BenchmarkExtractor takes the pictures out of parts of 400 ms.
func BenchmarkExtractor(b *testing.B) {
	clip := mediatest.MakeClip(b, mediatest.H264AAC)
	data := fragments(b, clip.Tracks, clip.Units(partUnits), partUnits)
	r := bytes.NewReader(data)
	var e fmp4.Extractor
	var out []byte
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, err = e.Append(out[:0], r, 0, int64(len(data)), 1); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSizeOf compares what a Muxer tells of its tracks with what is taken out.
func TestSizeOf(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	m := fmp4.NewMuxer(clip.Tracks)
	for _, u := range clip.Units(60) {
		m.Add(u)
	}
	var told []int
	for _, track := range clip.Tracks {
		told = append(told, m.SizeOf(track.ID))
	}
	bufs, size := m.Flush(nil, nil)
	all := bytes.NewReader(bytes.Join(bufs, nil))
	for i, want := range told {
		var e fmp4.Extractor
		if b, err := e.Append(nil, all, 0, int64(size), uint32(i+1)); err != nil || len(b) != want || want == 0 {
			t.Errorf("track %d has %d bytes, told are %d, %v", i+1, len(b), want, err)
		}
	}
	if n := m.SizeOf(clip.Tracks[1].ID); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}
