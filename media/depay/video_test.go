package depay

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"camrelay/media"
)

// NAL units with as much of a header as matters. The digit is for people.
const (
	sps  = "\x67\x42\xc0\x0d\xd9\x01\x41\xfb\x01\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03\x20\xf1\x42\xa4\x80"
	pps  = "\x68\xcb\x83\xcb\x20"
	sei  = "\x06\x05\x01\xaa\x80"
	aud  = "\x09\xf0"
	fill = "\x0c\xff\xff\x80"
	idr  = "\x65\x88idr"
	idr2 = "\x65\x48idr" // not the first slice
	p1   = "\x41\x9ap1"
	p1b  = "\x41\x4ap1" // not the first slice
	p2   = "\x41\x9ap2"
	p2b  = "\x41\x4ap2"
	p3   = "\x41\x9ap3"
)

// sent is one packet: the sequence number rises by one, and by skip more.
type sent struct {
	ts      uint32
	marker  bool
	payload string
	skip    int
	ssrc    uint32
}

// wire returns the RTP packets.
func wire(packets []sent) [][]byte {
	var out [][]byte
	seq := 65530
	for _, p := range packets {
		seq += p.skip
		b := make([]byte, 12, 12+len(p.payload))
		b[0], b[1] = 0x80, 96
		if p.marker {
			b[1] |= 0x80
		}
		binary.BigEndian.PutUint16(b[2:], uint16(seq))
		binary.BigEndian.PutUint32(b[4:], p.ts)
		binary.BigEndian.PutUint32(b[8:], p.ssrc)
		out = append(out, append(b, p.payload...))
		seq++
	}
	return out
}

// show prints access units as "[ts flags] nal nal", one a line.
func show(aus []AU) string {
	names := map[string]string{
		sps: "sps", pps: "pps", sei: "sei", aud: "aud", fill: "fill",
		idr: "idr", idr2: "idr2", p1: "p1", p1b: "p1b", p2: "p2", p2b: "p2b", p3: "p3",
	}
	var b strings.Builder
	for _, a := range aus {
		fmt.Fprintf(&b, "%d", a.RTP)
		if a.Key {
			b.WriteString(" key")
		}
		if a.Lost {
			b.WriteString(" lost")
		}
		b.WriteByte(':')
		for _, n := range a.Data {
			name := names[string(n)]
			if name == "" {
				name = fmt.Sprintf("%x", n)
			}
			b.WriteString(" " + name)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func stap(nals ...string) string {
	var s strings.Builder
	s.WriteString("\x78")
	for _, n := range nals {
		s.WriteString(string(rune(0)) + string([]byte{byte(len(n))}) + n)
	}
	return s.String()
}

func decode(t *testing.T, track *media.Track, packets [][]byte, flush bool) []AU {
	t.Helper()
	d, err := New(track)
	if err != nil {
		t.Fatal(err)
	}
	var out []AU
	for i, p := range packets {
		out, _ = d.Decode(out, p, time.Unix(int64(i), 0))
	}
	if flush {
		out = d.Flush(out)
	}
	return out
}

var trackH264 = media.Track{Kind: media.KindVideo, Codec: media.CodecH264, ClockRate: 90000}

func TestH264(t *testing.T) {
	for _, tc := range []struct {
		name    string
		packets []sent
		want    string
	}{
		{
			"the marker ends pictures",
			[]sent{
				{ts: 1, payload: sps},
				{ts: 1, payload: pps},
				{ts: 1, marker: true, payload: idr},
				{ts: 2, marker: true, payload: p1},
			},
			"1 key: sps pps idr\n2: p1\n",
		},
		{
			"OpenIPC smolrtsp#43: no marker ever",
			[]sent{
				{ts: 1, payload: sps},
				{ts: 1, payload: pps},
				{ts: 1, payload: idr},
				{ts: 2, payload: p1},
				{ts: 3, payload: p2},
				{ts: 4, payload: p3},
			},
			"1 key: sps pps idr\n2: p1\n3: p2\n",
		},
		{
			"obs-rtspserver#199: a marker on every NAL unit",
			[]sent{
				{ts: 1, marker: true, payload: sps},
				{ts: 1, marker: true, payload: pps},
				{ts: 1, marker: true, payload: idr},
				{ts: 1, marker: true, payload: idr2},
				{ts: 2, marker: true, payload: p1},
				{ts: 2, marker: true, payload: p1b},
				{ts: 3, marker: true, payload: p2},
				{ts: 3, marker: true, payload: p2b},
				{ts: 4, marker: true, payload: p1},
				{ts: 4, marker: true, payload: p1b},
			},
			"1 key: sps pps idr idr2\n2: p1 p1b\n3: p2 p2b\n4: p1 p1b\n",
		},
		{
			"Reolink, retina#13: parameter sets with the stamp and a marker of the picture before",
			[]sent{
				{ts: 1, marker: true, payload: p1},
				{ts: 1, marker: true, payload: sps},
				{ts: 1, marker: true, payload: pps},
				{ts: 2, marker: true, payload: idr},
				{ts: 3, marker: true, payload: p2},
			},
			"1: p1\n2 key: sps pps idr\n3: p2\n",
		},
		{
			"GStreamer config-interval=-1: parameter sets repeated between the slices of one picture",
			[]sent{
				{ts: 1, payload: sps},
				{ts: 1, payload: pps},
				{ts: 1, payload: idr},
				{ts: 1, payload: sps},
				{ts: 1, payload: pps},
				{ts: 1, marker: true, payload: idr2},
				{ts: 2, marker: true, payload: p1},
			},
			"1 key: sps pps idr idr2\n2: p1\n",
		},
		{
			"parameter sets that first come between the slices go in front of them",
			[]sent{{ts: 1, payload: idr}, {ts: 1, payload: sps}, {ts: 1, payload: pps}, {ts: 1, marker: true, payload: idr2}},
			"1 key: sps pps idr idr2\n",
		},
		{
			"two pictures with one stamp",
			[]sent{{ts: 1, payload: idr}, {ts: 1, payload: p1}, {ts: 1, payload: p1b}, {ts: 2, marker: true, payload: p2}},
			"1 key: idr\n1: p1 p1b\n2: p2\n",
		},
		{
			"slices of one picture with different stamps",
			[]sent{{ts: 1, payload: p1}, {ts: 2, payload: p1b}, {ts: 3, marker: true, payload: p2}},
			"1: p1 p1b\n3: p2\n",
		},
		{
			"aggregates and fragments mixed",
			[]sent{
				{ts: 1, payload: stap(sps, pps, sei)},
				{ts: 1, payload: "\x7c\x85\x88i"},
				{ts: 1, payload: "\x7c\x05d"},
				{ts: 1, marker: true, payload: "\x7c\x45r"},
				{ts: 2, marker: true, payload: stap(p1, p1b)},
			},
			"1 key: sps pps sei idr\n2: p1 p1b\n",
		},
		{
			"delimiters, filler and vendor types are left out, SEI stays",
			[]sent{
				{ts: 1, payload: aud},
				{ts: 1, payload: sei},
				{ts: 1, payload: idr},
				{ts: 1, payload: fill},
				{ts: 1, payload: "\x1evendor"},
				{ts: 1, marker: true, payload: "\x00none"},
				{ts: 2, marker: true, payload: p1},
			},
			"1 key: sei idr\n2: p1\n",
		},
		{
			"a fragment without its beginning drops one access unit",
			[]sent{
				{ts: 1, payload: p1},
				{ts: 2, payload: "\x5c\x01x"},
				{ts: 2, marker: true, payload: "\x5c\x41y"},
				{ts: 3, marker: true, payload: p3},
			},
			"1: p1\n3 lost: p3\n",
		},
		{
			"a fragment without its end drops one access unit",
			[]sent{
				{ts: 1, payload: p1},
				{ts: 2, payload: "\x5c\x81\x9ax"},
				{ts: 2, marker: true, payload: "\x5c\x01y"},
				{ts: 3, marker: true, payload: p3},
			},
			"1: p1\n3 lost: p3\n",
		},
		{
			"a lost fragment drops one access unit",
			[]sent{
				{ts: 1, marker: true, payload: p1},
				{ts: 2, payload: "\x5c\x81\x9ax"},
				{ts: 2, marker: true, payload: "\x5c\x41y", skip: 1},
				{ts: 3, marker: true, payload: p3},
			},
			"1: p1\n3 lost: p3\n",
		},
		{
			"the first slice is lost",
			[]sent{
				{ts: 1, marker: true, payload: p1},
				{ts: 2, marker: true, payload: p2b, skip: 1},
				{ts: 3, marker: true, payload: p3},
			},
			"1: p1\n3 lost: p3\n",
		},
		{
			"a slice in the middle is lost",
			[]sent{
				{ts: 1, marker: true, payload: p1},
				{ts: 2, payload: p2},
				{ts: 2, marker: true, payload: p2b, skip: 1},
				{ts: 3, marker: true, payload: p3},
			},
			"1: p1\n3 lost: p3\n",
		},
		{
			"the end of a picture may be lost",
			[]sent{{ts: 1, payload: p1}, {ts: 2, payload: p2, skip: 1}, {ts: 3, marker: true, payload: p3}},
			"2 lost: p2\n3: p3\n",
		},
		{
			"a fragment cut off by parameter sets and a later slice",
			[]sent{
				{ts: 1, payload: "\x7c\x85\x88i"},
				{ts: 1, payload: pps},
				{ts: 1, marker: true, payload: idr2},
				{ts: 2, marker: true, payload: p1},
			},
			"2 lost: p1\n",
		},
		{
			"whole pictures are lost between two whole ones",
			[]sent{
				{ts: 1, marker: true, payload: p1},
				{ts: 5, marker: true, payload: p2, skip: 9},
				{ts: 6, marker: true, payload: p3},
			},
			"1: p1\n5 lost: p2\n6: p3\n",
		},
		{
			"Uniview, gortsplib#687: a new SSRC and sequence for each group",
			[]sent{
				{ts: 1, payload: idr},
				{ts: 2, payload: p1},
				{ts: 3, payload: idr, ssrc: 7, skip: 20000},
				{ts: 4, marker: true, payload: p2, ssrc: 7},
			},
			"1 key: idr\n2: p1\n3 key: idr\n4: p2\n",
		},
		{
			"the sequence steps back by much and nothing is missing",
			[]sent{{ts: 1, payload: idr}, {ts: 2, payload: p1, skip: -5000}, {ts: 3, marker: true, payload: p2}},
			"1 key: idr\n2: p1\n3: p2\n",
		},
		{
			"a packet comes twice",
			[]sent{
				{ts: 1, payload: idr},
				{ts: 2, payload: p1},
				{ts: 2, payload: p1, skip: -1},
				{ts: 3, marker: true, payload: p2},
			},
			"1 key: idr\n2: p1\n3: p2\n",
		},
		{
			"a byte stream with start codes in one packet",
			[]sent{
				{ts: 1, marker: true, payload: sps + "\x00\x00\x00\x01" + pps + "\x00\x00\x01" + idr},
				{ts: 2, marker: true, payload: "\x00\x00\x00\x01" + p1},
			},
			"1 key: sps pps idr\n2: p1\n",
		},
		{
			"STAP-B, MTAP16 and FU-B",
			[]sent{
				{ts: 1, payload: "\x79\x00\x01\x00\x05" + pps},
				{ts: 1, payload: "\x7d\x85\x00\x02\x88i"},
				{ts: 1, payload: "\x7c\x45dr"},
				{ts: 2, marker: true, payload: "\x7a\x00\x03\x00\x04\x00\x00\x00" + p1 + "\x00\x04\x01\x00\x09" + p2},
			},
			"1 key: pps idr\n2: p1\n11: p2\n",
		},
		{
			"an aggregate whose lengths do not add up gives what it can",
			[]sent{{ts: 1, payload: stap(pps, idr) + "\x00\xff\x01"}, {ts: 2, marker: true, payload: p1}},
			"1 key: pps idr\n2: p1\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			packets := wire(tc.packets)
			before := fmt.Sprint(packets)
			if got := show(decode(t, &trackH264, packets, true)); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
			if fmt.Sprint(packets) != before {
				t.Error("the packets were written to")
			}
		})
	}
}
