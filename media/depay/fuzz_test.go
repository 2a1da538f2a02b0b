package depay

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// unpack turns fuzz input into RTP packets: for each a byte of flags (marker,
// step of the sequence, step of the stamp, SSRC), a length, a payload.
func unpack(b []byte) [][]byte {
	var out [][]byte
	var seq uint16
	var ts uint32
	for len(b) >= 2 {
		flags, n := b[0], min(int(b[1]), len(b)-2)
		seq += uint16(flags >> 1 & 3)
		ts += uint32(flags>>3&3) * 3000
		p := binary.BigEndian.AppendUint16([]byte{0x80, flags << 7}, seq)
		p = binary.BigEndian.AppendUint32(p, ts)
		p = binary.BigEndian.AppendUint32(p, uint32(flags>>7))
		out = append(out, append(p, b[2:2+n]...))
		b = b[2+n:]
	}
	return out
}

// pack is the inverse of unpack for a seed.
func pack(packets []sent) []byte {
	var b []byte
	var ts uint32
	for _, p := range packets {
		flags := byte(1+min(p.skip, 2)) << 1
		if p.marker {
			flags |= 1
		}
		if p.ts != ts {
			flags |= 1 << 3
		}
		ts = p.ts
		b = append(b, flags, byte(len(p.payload)))
		b = append(b, p.payload...)
	}
	return b
}

// checkHeld fails if what the decoder holds is over its limits, in bytes or in
// pieces, each of which keeps a packet in memory.
func checkHeld(t *testing.T, d *Decoder) {
	t.Helper()
	v, ok := d.assembly.(*video)
	if !ok {
		t.Fatalf("%T assembles video", d.assembly)
	}
	if n := len(v.parts.parts); n > min(v.parts.size, maxParts) || v.size+v.parts.size > maxSize {
		t.Errorf("%d parts of %d bytes are held beside %d", n, v.parts.size, v.size)
	}
	if n := len(v.lead.nals); n > min(v.lead.size, maxNALs) || v.lead.size > maxSize {
		t.Errorf("%d NAL units of %d bytes wait for their picture", n, v.lead.size)
	}
	if n := len(v.nals); n > min(v.size, maxNALs) {
		t.Errorf("a picture of %d bytes has %d NAL units", v.size, n)
	}
}

func fuzzVideo(f *testing.F, c media.Codec) {
	track := media.Track{Kind: media.KindVideo, Codec: c, ClockRate: 90000}
	f.Fuzz(func(t *testing.T, b []byte) {
		packets := unpack(b)
		before := slices.Concat(packets...)
		d, err := New(&track)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		check := func(aus []AU) {
			for _, a := range aus {
				slices, key := 0, false
				for _, n := range a.Data {
					switch codec.ClassOf(c, n) {
					case codec.Slice:
						slices++
						key = key || codec.IsKey(c, n)
					case codec.Other, codec.Delimiter, codec.Filler:
						t.Errorf("NAL unit %x has no place in an access unit", n)
					}
					total += len(n)
				}
				if slices == 0 || key != a.Key || a.Wall.IsZero() {
					t.Errorf("access unit with %d slices, key %v told as %v, at %v", slices, key, a.Key, a.Wall)
				}
			}
		}
		for i, p := range packets {
			Peek(c, p)
			Params(c, p, nil)
			aus, _ := d.Decode(nil, p, time.Unix(int64(i+1), 0))
			check(aus)
			checkHeld(t, d)
		}
		check(d.Flush(nil))
		if total > 2*len(before)+4*len(packets) {
			t.Errorf("%d bytes came out of %d", total, len(before))
		}
		if !bytes.Equal(before, slices.Concat(packets...)) {
			t.Error("the packets were written to")
		}
	})
}

func FuzzH264(f *testing.F) {
	f.Add(pack([]sent{
		{ts: 1, payload: stap(sps, pps, sei)},
		{ts: 1, payload: "\x7c\x85\x88i"},
		{ts: 1, payload: "\x7c\x45dr"},
		{ts: 2, marker: true, payload: p1},
		{ts: 3, payload: p2, skip: 1},
		{ts: 3, payload: pps},
		{ts: 3, marker: true, payload: p2b},
	}))
	f.Add(pack([]sent{
		{ts: 1, payload: "\x00\x00\x00\x01" + sps + "\x00\x00\x01" + idr},
		{ts: 2, payload: "\x7a\x00\x03\x00\x04\x00\x00\x00" + p1},
	}))
	f.Add(pack([]sent{
		{ts: 1, payload: "\x7c\x85\x88i"},
		{ts: 1, payload: "\x7c\x05"},
		{ts: 1, payload: "\x7c\x05"},
		{ts: 1, payload: "\x7c\x05"},
		{ts: 1, payload: "\x7c\x05"},
		{ts: 1, marker: true, payload: "\x7c\x45"},
	}))
	fuzzVideo(f, media.CodecH264)
}

func FuzzH265(f *testing.F) {
	f.Add(pack([]sent{
		{ts: 1, payload: "\x60\x01\x00\x03\x40\x01v\x00\x04\x26\x01\x80i"},
		{ts: 2, payload: "\x62\x01\x81\x80i"},
		{ts: 2, payload: "\x62\x01\x41r"},
		{ts: 3, marker: true, payload: "\x64\x01\x26\x30ext\x80idr"},
	}))
	fuzzVideo(f, media.CodecH265)
}

func FuzzAAC(f *testing.F) {
	f.Add(pack([]sent{{ts: 1, marker: true, payload: au("a", "bb")}, {ts: 2, payload: adts("x") + adts("yy")}}), uint8(0))
	f.Add(pack([]sent{
		{ts: 1, payload: "\x00\x10\x3e\x80abc"}, {ts: 1, marker: true, payload: "\x00\x10\x3e\x80def"},
	}), uint8(0))
	f.Add(pack([]sent{{ts: 1, payload: "\x03ab"}, {ts: 1, marker: true, payload: "c"}}), uint8(1))
	f.Add(pack([]sent{{ts: 1, marker: true, payload: "\x40\x00\x23\x20\x3f\xc0\x01c"}}), uint8(2))
	tracks := []media.Track{
		*aacTrack(nil),
		{
			Codec: media.CodecAAC, ClockRate: 48000, RTPMap: "MP4A-LATM/48000/2",
			FMTP: map[string]string{"cpresent": "0", "config": "400023203fc0"},
		},
		{Codec: media.CodecAAC, ClockRate: 48000, RTPMap: "MP4A-LATM/48000/2"},
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		d, err := New(&tracks[int(which)%len(tracks)])
		if err != nil {
			t.Fatal(err)
		}
		in, total := 0, 0
		for _, p := range unpack(b) {
			in += len(p)
			aus, _ := d.Decode(nil, p, time.Unix(1, 0))
			for _, a := range aus {
				total += len(a.Data[0])
				if len(a.Data) != 1 {
					t.Errorf("%d frames in one access unit", len(a.Data))
				}
			}
		}
		if total > in {
			t.Errorf("%d bytes came out of %d", total, in)
		}
	})
}

// FuzzPeek compares Peek with the decoder on single packets.
func FuzzPeek(f *testing.F) {
	for _, s := range []string{idr, p1, sps, stap(sps, pps, idr), "\x7c\x85\x88i", "\x60\x01\x00\x04\x26\x01\x80i"} {
		f.Add(slices.Concat(make([]byte, 12), []byte(s)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 {
			b[0] = b[0]&0x3f | 0x80
		}
		for _, c := range []media.Codec{media.CodecH264, media.CodecH265} {
			i := Peek(c, b)
			if n := len(Params(c, b, nil)); n > 0 && !i.Params {
				t.Errorf("%s: %d parameter sets that Peek does not see", c, n)
			}
			if allocs := testing.AllocsPerRun(1, func() { Peek(c, b) }); allocs > 0 {
				t.Errorf("%s: Peek allocates", c)
			}
			d, err := New(&media.Track{Kind: media.KindVideo, Codec: c, ClockRate: 90000})
			if err != nil {
				t.Fatal(err)
			}
			aus, err := d.Decode(nil, b, time.Unix(1, 0))
			aus = d.Flush(aus)
			if err == nil && len(aus) == 1 && len(aus[0].Data) == 1 && !i.Start {
				t.Errorf("%s: Peek does not see the picture of %x", c, b)
			}
		}
	})
}

// FuzzSamples: what comes out are the payloads, in whole samples.
func FuzzSamples(f *testing.F) {
	f.Add(pack([]sent{{ts: 1, payload: "abcdefg"}, {ts: 2, payload: "h", skip: 1}}), uint8(0), uint8(1))
	f.Add(pack([]sent{{ts: 1, payload: "abcdefg"}, {ts: 2, payload: "hijkl"}}), uint8(3), uint8(2))
	of := []media.Codec{media.CodecPCMA, media.CodecPCMU, media.CodecG722, media.CodecL16}
	f.Fuzz(func(t *testing.T, b []byte, which, channels uint8) {
		track := media.Track{
			Kind: media.KindAudio, Codec: of[int(which)%len(of)], ClockRate: 8000, Channels: int(channels),
		}
		d, err := New(&track)
		if err != nil {
			t.Fatal(err)
		}
		size := d.assembly.(simple).sample
		for _, p := range unpack(b) {
			before := bytes.Clone(p)
			aus, _ := d.Decode(nil, p, time.Unix(1, 0))
			if len(aus) > 1 {
				t.Fatalf("%d frames in one packet", len(aus))
			}
			for _, a := range aus {
				n := len(a.Data[0])
				if n == 0 || n%size != 0 || len(p)-12-n >= size || !bytes.Equal(a.Data[0], p[12:12+n]) {
					t.Errorf("%d bytes in samples of %d came out of %d", n, size, len(p)-12)
				}
			}
			if !bytes.Equal(before, p) {
				t.Error("the packet was written to")
			}
		}
		if aus := d.Flush(nil); len(aus) > 0 {
			t.Error("something was held back")
		}
	})
}
