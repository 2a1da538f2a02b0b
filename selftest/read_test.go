package selftest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"camrelay/hal/thermal"
)

func hot() thermal.Zone {
	celsius, critical := 108.0, 110.0
	return thermal.Zone{Name: "cpu-thermal", Celsius: &celsius, Critical: &critical}
}

// picture returns a NAL unit of a picture.
func picture(key bool, n byte) []byte {
	kind := byte(0x41)
	if key {
		kind = 0x65
	}
	return []byte{kind, n, 0xaa, 0x80}
}

// TestTally: what was not sent so is damaged, what came twice counts once.
func TestTally(t *testing.T) {
	l := newLedger()
	for n := range byte(60) {
		l.add(picture(n%20 == 0, n))
	}
	l.add([]byte{0x67, 1, 2}) // parameter sets are none
	play := func(damage bool) Result {
		v := newTally(l)
		for n := range byte(60) {
			p := picture(n%20 == 0, n)
			if damage && n == 30 {
				p[2] = 0xab
			}
			v.nal(p)
			v.nal(p)
		}
		v.mu.Lock()
		for p := range v.seen { // settle leaves out what is new
			v.seen[p] = v.seen[p].Add(-time.Second)
		}
		v.mu.Unlock()
		return v.judge(t.Context(), time.Minute, "it")
	}
	if res := play(false); res.Verdict != OK || res.Values["pictures"] != 60 || res.Values["key_frames"] != 3 {
		t.Errorf("%+v", res)
	}
	if res := play(true); res.Verdict != Fail || res.Reason != "it damages 1 of 60 pictures" {
		t.Errorf("%+v", res)
	}
	v := newTally(l)
	v.end(errors.New("connection refused"))
	res := v.judge(t.Context(), time.Minute, "it")
	if res.Verdict != Fail || res.Reason != "it ends after 0 pictures: connection refused" {
		t.Errorf("%+v", res)
	}
}

// collect returns what is handed out, as text.
func collect(read func(got func([]byte))) (all []string) {
	read(func(b []byte) { all = append(all, string(b)) })
	return all
}

func TestSplit(t *testing.T) {
	got := collect(func(got func([]byte)) {
		splitAnnexB([]byte("\x00\x00\x00\x01abc\x00\x00\x01d\x00\x00\x00\x01e"), got)
	})
	if !slices.Equal(got, []string{"abc", "d", "e"}) {
		t.Errorf("%q", got)
	}
	got = collect(func(got func([]byte)) {
		if !splitLengths([]byte("\x00\x00\x00\x03abc\x00\x00\x00\x01d"), got) {
			t.Error("the lengths fit")
		}
	})
	if !slices.Equal(got, []string{"abc", "d"}) || splitLengths([]byte{0, 0, 0, 9, 1}, func([]byte) {}) {
		t.Errorf("%q", got)
	}
}

// TestRTPPackets takes a picture in one packet, in an aggregate and in fragments.
func TestRTPPackets(t *testing.T) {
	head := "\x80\xe0\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"
	got := collect(func(got func([]byte)) {
		r := &rtspReader{got: got}
		for _, p := range []string{
			"\x65abc", "\x78\x00\x02\x67x\x00\x03\x68yz", "\x7c\x85AB", "\x7c\x05CD", "\x7c\x45EF",
			"\x7c\x45lost", "\x78\x00\x09a",
			"",
		} {
			r.packet([]byte(head + p))
		}
	})
	if !slices.Equal(got, []string{"\x65abc", "\x67x", "\x68yz", "\x65ABCDEF"}) {
		t.Errorf("%q", got)
	}
}

func TestVideoControl(t *testing.T) {
	const sdp = "v=0\r\na=control:*\r\nm=audio 0 RTP/AVP 97\r\na=control:a\r\nm=video 0 RTP/AVP 96\r\na=control:v\r\n"
	if c := videoControl(sdp); c != "v" {
		t.Errorf("%q", c)
	}
}

func FuzzRTP(f *testing.F) {
	f.Add([]byte("\x80\xe0\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x7c\x85AB"))
	f.Add([]byte("\x9f\xe0\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x78\xff\xff"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := &rtspReader{got: func([]byte) {}}
		r.packet(b)
		r.packet(b)
	})
}

func FuzzTS(f *testing.F) {
	p := bytes.Repeat([]byte{0xff}, tsPacket)
	copy(p, []byte{0x47, 0x41, 0x00, 0x10, 0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x65})
	f.Add(append(p, p...))
	f.Add([]byte{0x47, 0x40, 0x11, 0x30, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		r := newTSReader(func(nal []byte) { total += len(nal) })
		r.write(b)
		if total > len(b) || len(r.rest) >= tsPacket {
			t.Errorf("%d bytes of %d, %d kept", total, len(b), len(r.rest))
		}
	})
}

func FuzzPictures(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x10moof\x00\x00\x00\x08traf"))
	f.Add([]byte("\x00\x00\x00\x2cmoof\x00\x00\x00\x24traf\x00\x00\x00\x1ctrun\x00\x00\x02\x01\x00\x00\x00\x02" +
		"\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		found := 0
		err := pictures(b, func([]byte) { found++ })
		if err == nil && found == 0 && len(b) == 0 {
			t.Error("nothing is a picture")
		}
	})
}

func FuzzPublisher(f *testing.F) {
	f.Add([]byte("\x03\x00\x00\x00\x00\x00\x13\x14\x00\x00\x00\x00" +
		"\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x7f\xff\xff\xff\xc2"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		p := &publisher{bufio.NewReader(bytes.NewReader(b)), io.Discard, 128, make(map[uint32]*rtmpMessage), func([]byte) {}}
		for p.chunk() == nil {
		}
	})
}
