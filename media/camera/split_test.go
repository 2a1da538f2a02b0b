package camera

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"camrelay/media"
	"camrelay/media/hub"
)

// chunks is a connection that delivers what it is told to, read by read.
type chunks struct {
	net.Conn
	all [][]byte
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.all) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.all[0])
	if c.all[0] = c.all[0][n:]; len(c.all[0]) == 0 {
		c.all = c.all[1:]
	}
	return n, nil
}

// outcome is what became of the bytes of a connection.
type outcome struct {
	packets []string // track, and RTP packet without its header
	answers []string
	err     error
}

func (o outcome) equal(p outcome) bool {
	return slices.Equal(o.packets, p.packets) && slices.Equal(o.answers, p.answers) && errors.Is(o.err, p.err)
}

// through sends what comes in all through a tap with tracks on the channels
// 0-1 and 2-3.
func through(tb testing.TB, all [][]byte) (o outcome) {
	tb.Helper()
	s := hub.NewStream("gate")
	reader := s.Packets.Reader("test", hub.Live)
	defer reader.Close()
	var offers []offer
	for i := range 2 {
		t := media.Track{ID: i, Kind: media.KindAudio, ClockRate: 8000}
		offers = append(offers, offer{track: &t})
	}
	r := &route{in: newIngest(NewSplice(), s, offers, func() {}, slog.New(slog.DiscardHandler))}
	r.channels.assign(0, 1, 0)
	r.channels.assign(2, 3, 1)
	a := newTap(&chunks{all: slices.DeleteFunc(all, func(b []byte) bool { return len(b) == 0 })}, nil)
	a.play(r)
	for o.err == nil {
		if o.err = a.fill(); a.up != nil {
			o.answers = append(o.answers, string(a.up))
			a.up = nil
		}
		var es [512]media.Packets
		for n, _ := reader.TryRead(es[:]); n > 0; n, _ = reader.TryRead(es[:]) {
			for _, e := range es[:n] {
				for p := range e.RTP() {
					o.packets = append(o.packets, string(rune('0'+e.Track.ID))+string(p[rtpHeader:]))
				}
			}
		}
	}
	return o
}

// conversation is what a camera sends, with what it has to become.
type conversation struct {
	name    string
	bytes   []byte
	packets int
	answers int
}

func conversations() []conversation {
	on := func(channel int) func(n, size int) []byte {
		return func(n, size int) []byte {
			return wire(channel, rtpPacket(uint16(n), uint32(n), 7, bytes.Repeat([]byte{byte(n)}, size)))
		}
	}
	v, a, dead := on(0), on(2), on(8)
	all := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	text := func(s string) []byte { return []byte(s) }
	answer := text("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 5\r\n\r\n$\x00\x00\x05x")
	rr := wire(1, []byte{0x80, 201, 0, 1, 0, 0, 0, 7})
	return []conversation{
		{"frames of both tracks", all(v(1, 40), a(2, 3), v(2, 9), rr, v(3, 0)), 4, 0},
		{"an answer between frames", all(v(1, 4), answer, v(2, 4), answer, answer, v(3, 4)), 3, 3},
		{
			"stray bytes between frames",
			all(text("\r\n"), v(1, 4), text("\r\n\x00$$R"), v(2, 4), text("OPTI"), v(3, 4), v(4, 4)), 4, 0,
		},
		{"frames of a dead session", all(dead(1, 90), dead(2, 2), v(1, 4), dead(3, 4), v(2, 4)), 2, 0},
		{"a frame too short for RTP", all(wire(0, []byte{0x80, 96, 0}), v(1, 4), v(2, 4)), 2, 0},
		{"a frame that is no RTP", all(wire(0, make([]byte, 30)), v(1, 4), v(2, 4)), 2, 0},
		{"frames of 64 kB", all(v(1, 65523), v(2, 65523), a(1, 65523), v(3, 1)), 4, 0},
		{
			"an answer without end",
			all(text("RTSP/1.0 200 OK\r\n"+strings.Repeat("A: b\r\n", 3000)), v(1, 4), v(2, 4)), 2, 0,
		},
		{
			"an answer with a body without end",
			all(text("RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n"), v(1, 4), v(2, 4)), 2, 0,
		},
	}
}

// TestEveryCut delivers each conversation in two parts, cut at every byte.
func TestEveryCut(t *testing.T) {
	for _, c := range conversations() {
		t.Run(c.name, func(t *testing.T) {
			whole := through(t, [][]byte{bytes.Clone(c.bytes)})
			if len(whole.packets) != c.packets || len(whole.answers) != c.answers || whole.err != io.EOF {
				t.Fatalf("%d packets, %d answers, %v", len(whole.packets), len(whole.answers), whole.err)
			}
			step := 1 + len(c.bytes)/600
			for at := 0; at < len(c.bytes); at += step {
				b := bytes.Clone(c.bytes)
				if got := through(t, [][]byte{b[:at], b[at:]}); !got.equal(whole) {
					t.Fatalf("cut at %d: %d packets, %d answers, %v", at, len(got.packets), len(got.answers), got.err)
				}
			}
			if len(c.bytes) > 50_000 {
				return
			}
			var single [][]byte
			for b := bytes.Clone(c.bytes); len(b) > 0; b = b[1:] {
				single = append(single, b[:1])
			}
			if got := through(t, single); !got.equal(whole) {
				t.Fatalf("byte by byte: %d packets, %d answers, %v", len(got.packets), len(got.answers), got.err)
			}
		})
	}
}

// TestPublishedBytesNeverChange reads much more than a slab and looks at the
// first entries at the end.
func TestPublishedBytesNeverChange(t *testing.T) {
	var all [][]byte
	var want []string
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		p := rtpPacket(uint16(i), uint32(i/3), 7, bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 1+rnd.IntN(1500)))
		want = append(want, "0"+string(p[rtpHeader:]))
		all = append(all, wire(0, p))
	}
	stream := slices.Concat(all...)
	var cut [][]byte
	for len(stream) > 0 {
		n := min(1+rnd.IntN(30_000), len(stream))
		cut = append(cut, stream[:n])
		stream = stream[n:]
	}
	if got := through(t, cut); !slices.Equal(got.packets, want) {
		t.Errorf("%d packets of %d, or they have changed", len(got.packets), len(want))
	}
}

// FuzzSplit: however the bytes of a camera are cut, the same comes out of
// them, and what comes out was in them.
func FuzzSplit(f *testing.F) {
	for _, c := range conversations() {
		if len(c.bytes) < 2000 {
			f.Add(c.bytes, uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		if len(b) > 10_000 || bytes.Contains(b, []byte("TEARDOWN")) || bytes.Contains(b, []byte(" RTSP")) {
			return // requests are answered, on a connection that is not there
		}
		for _, start := range beginnings[1:] {
			if bytes.Contains(b, start) {
				return
			}
		}
		whole := through(t, [][]byte{bytes.Clone(b)})
		rnd := rand.New(rand.NewPCG(seed, 0))
		var cut [][]byte
		for rest := bytes.Clone(b); len(rest) > 0; {
			n := min(1+rnd.IntN(1+len(b)/4), len(rest))
			cut = append(cut, rest[:n])
			rest = rest[n:]
		}
		if got := through(t, cut); !got.equal(whole) {
			t.Fatalf("cut: %d packets, %d answers, %v; whole: %d, %d, %v",
				len(got.packets), len(got.answers), got.err, len(whole.packets), len(whole.answers), whole.err)
		}
		for _, p := range whole.packets {
			if !bytes.Contains(b, []byte(p[1:])) {
				t.Fatalf("packet %x was never sent", p)
			}
		}
	})
}

// FuzzDescribe: whatever an SDP holds, tracks come out of it that the rest of
// the system can work with.
func FuzzDescribe(f *testing.F) {
	f.Add([]byte(sdpH264))
	f.Add([]byte("m=audio 0 RTP/AVP 97 0\na=rtpmap:97 MPEG4-GENERIC/48000/2\na=fmtp:97 config=1190\na=control:x"))
	f.Add([]byte("m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/48000/2\na=fmtp:97 cpresent=0;config=400023203fc0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, sections := parseSDP(b)
		offers := describe(sections, slog.New(slog.DiscardHandler))
		if len(offers) > maxMedias {
			t.Fatalf("%d tracks", len(offers))
		}
		for i, o := range offers {
			tr := o.track
			if tr.ID != i || tr.ClockRate <= 0 || tr.Kind == 0 || tr.PayloadType > 127 || o.others[tr.PayloadType] {
				t.Fatalf("%+v", tr)
			}
			for k := range tr.FMTP {
				if k != strings.ToLower(k) {
					t.Fatalf("key %q", k)
				}
			}
		}
	})
}

// BenchmarkTap measures the way from the socket's bytes to the packet log,
// without the socket: 4 Mbit/s in reads of 40 ms.
func BenchmarkTap(b *testing.B) {
	var read []byte
	n := 0
	for len(read) < 20_000 {
		read = append(read, wire(0, rtpPacket(uint16(n), 1, 7, bytes.Repeat([]byte{0x5c, 0x01}, 700)))...)
		n++
	}
	s := hub.NewStream("gate")
	t := media.Track{Kind: media.KindVideo, Codec: media.CodecH264, ClockRate: 90000}
	r := &route{in: newIngest(NewSplice(), s, []offer{{track: &t}}, func() {}, slog.New(slog.DiscardHandler))}
	r.channels.assign(0, 1, 0)
	c := &chunks{}
	a := newTap(c, nil)
	a.play(r)
	one := make([][]byte, 1)
	b.SetBytes(int64(len(read)))
	b.ReportAllocs()
	for b.Loop() {
		one[0] = read
		c.all = one
		if err := a.fill(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/packet")
}

// TestCommittedCorpora fails when a fuzz target lost its corpus.
func TestCommittedCorpora(t *testing.T) {
	for _, name := range []string{"FuzzSplit", "FuzzDescribe"} {
		if files, err := os.ReadDir(filepath.Join("testdata", "fuzz", name)); err != nil || len(files) == 0 {
			t.Errorf("no corpus of %s: %v", name, err)
		}
	}
}
