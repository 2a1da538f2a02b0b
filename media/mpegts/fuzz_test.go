package mpegts_test

import (
	"bytes"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/mpegts"
)

// script turns fuzzed bytes into units: each takes a few bytes of control and
// then its data.
func script(b []byte) (units []*media.Unit) {
	tracks := []*media.Track{h264, h265, aac, opus, pcma, h264Changed, {ID: 7, Codec: media.CodecAAC}}
	var now time.Duration
	for len(b) >= 4 && len(units) < 64 {
		t := tracks[int(b[0]&0x0f)%len(tracks)]
		now += time.Duration(b[1]) * ms
		n := min(int(b[2])<<3, len(b)-4)
		u := &media.Unit{Track: t, DTS: now, PTS: now + time.Duration(b[3])*ms, Key: b[0]&0x80 != 0, Gap: b[0]&0x40 != 0}
		data := b[4 : 4+n]
		if b[0]&0x20 != 0 { // several
			u.Data = append(u.Data, data[:n/3], nil)
			data = data[n/3:]
		}
		u.Data = append(u.Data, data)
		b = b[4+n:]
		units = append(units, u)
	}
	return units
}

// FuzzMuxer: whatever is in the units, the packets are well-formed and hold
// every byte of every unit that can be carried, at its time.
func FuzzMuxer(f *testing.F) {
	f.Add([]byte{0x80, 0, 2, 80, 0x65, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Add(append([]byte{0xc2, 10, 0xff, 0}, bytes.Repeat([]byte{7}, 2040)...))
	f.Add([]byte{0x03, 40, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x23, 40, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{0x86, 40, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x81, 255, 1, 255, 0x26, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, r := mpegts.New([]*media.Track{h264, aac}), newReader()
		for _, u := range script(bytes.Clone(b)) {
			chunks := m.Chunks(u, nil)
			if carried := mpegts.Carries(u.Track) && u.Size() > 0; len(chunks) > 1 || len(chunks) == 1 != carried {
				t.Fatalf("%d chunks for %d bytes of %s", len(chunks), u.Size(), u.Track.Codec)
			}
			if len(chunks) == 0 {
				continue
			}
			known := len(r.units)
			for d := chunks[0].Data; len(d) > 0; d = d[188:] {
				p, err := readPacket(d[:188])
				if err == nil {
					err = r.packet(p)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if len(r.units) != known+1 {
				t.Fatalf("%d PES for one unit", len(r.units)-known)
			}
			checkUnit(t, u, r.units[known])
		}
	})
}

// checkUnit compares a PES with the unit that it holds.
func checkUnit(t *testing.T, u *media.Unit, got *pesUnit) {
	t.Helper()
	if got.left > 0 || got.pts != ticks(u.PTS) || got.dts != ticks(u.DTS) || got.random != u.Key || got.gap != u.Gap {
		t.Fatalf("got %+v of %+v", got, u)
	}
	var want []byte
	switch u.Track.Codec {
	case media.CodecH264, media.CodecH265:
		for _, nal := range u.Data {
			if len(nal) > 0 && !codec.IsAUD(u.Track.Codec, nal) {
				want = append(append(want, 0, 0, 0, 1), nal...)
			}
		}
		prefix := got.data[:len(got.data)-len(want)]
		if n := len(prefix); n > 7 && !u.Key || n < 6 {
			t.Fatalf("%d bytes before the picture", n)
		}
	case media.CodecAAC:
		want = bytes.Join(u.Data, nil)
		if n := int(got.data[3]&3)<<11 | int(got.data[4])<<3 | int(got.data[5])>>5; n != u.Size()+7 {
			t.Fatalf("frame of %d bytes in the ADTS header, want %d", n, u.Size()+7)
		}
	default:
		want = bytes.Join(u.Data, nil)
		n := 0
		for _, c := range got.data[2 : len(got.data)-u.Size()] {
			n += int(c)
		}
		if n != u.Size() {
			t.Fatalf("packet of %d bytes in the Opus header, want %d", n, u.Size())
		}
	}
	if !bytes.HasSuffix(got.data, want) {
		t.Fatal("the data is not that of the unit")
	}
}
