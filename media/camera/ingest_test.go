package camera

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// payloads are what a script of packets is made of.
var payloads = map[byte][]byte{
	'S': sps, 'P': pps, 'I': idr, 'p': non,
	'A': {0x09, 0xf0},                   // access unit delimiter
	'E': {0x06, 0x05, 0x01, 0x00, 0x80}, // SEI
	'J': {0x65, 0x40, 0x84, 0x00},       // a later slice of an IDR picture
	'q': {0x41, 0x40, 0x02, 0x05},       // a later slice of another picture
	'F': {0x7c, 0x85, 0x88, 0x84},       // first fragment of an IDR slice
	'f': {0x7c, 0x05, 0x01, 0x02},       // a later fragment of it
	'Z': append(append([]byte{0x78, 0, byte(len(sps))}, sps...), 0, 4, 0x68, 0xee, 0x3c, 0x80, 0, 4, 0x65, 0x88, 0x84, 0),
}

// rig is an ingest of one video track and one audio track.
type rig struct {
	*ingest
	slab slab
	now  time.Time
	seq  [2]uint16
	r    *hub.Reader[media.Packets]
}

func newRig(t *testing.T, splice *Splice, tracks ...media.Track) *rig {
	t.Helper()
	var offers []offer
	for i, tr := range tracks {
		tr.ID = i
		offers = append(offers, offer{track: &tr})
	}
	s := hub.NewStream("gate")
	in := newIngest(splice, s, offers, func() {}, slog.New(slog.DiscardHandler))
	r := s.Packets.Reader("test", hub.Live)
	t.Cleanup(r.Close)
	s.Packets.Append(media.Packets{Track: &tracks[0], Key: true, Wire: wire(0, make([]byte, 12)), N: 1})
	if _, _, err := r.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &rig{ingest: in, now: time.Now(), r: r, seq: [2]uint16{100, 100}}
}

var (
	h264  = media.Track{Kind: media.KindVideo, Codec: media.CodecH264, ClockRate: 90000}
	pcma  = media.Track{Kind: media.KindAudio, Codec: media.CodecPCMA, ClockRate: 8000}
	mjpeg = media.Track{Kind: media.KindVideo, Codec: media.CodecMJPEG, ClockRate: 90000}
)

// send gives one packet to the ingest as a read from a socket does.
func (g *rig) send(id int, ts uint32, payload []byte) {
	packet := wire(9, rtpPacket(g.seq[id], ts, uint32(7+id), payload))
	g.seq[id]++
	room := g.slab.room(len(packet), g.now)
	n := copy(room, packet)
	g.slab.w += n
	g.slab.r = g.slab.w
	g.packet(g.lanes[id], room[:n], g.now)
}

// play sends a script: words are packets of one stamp, a letter each, a is a
// packet of audio, | the end of a read.
func (g *rig) play(t *testing.T, script string) {
	t.Helper()
	ts := uint32(1000)
	for word := range strings.FieldsSeq(script) {
		for i := range len(word) {
			switch c := word[i]; {
			case c == '|':
				g.publish(g.now)
				g.now = g.now.Add(beat)
			case c == 'a':
				g.send(1, ts, []byte{0xd5})
			case payloads[c] == nil:
				t.Fatalf("no packet %c", c)
			default:
				g.send(0, ts, payloads[c])
			}
		}
		if strings.Trim(word, "|") != "" {
			ts += 3600
		}
	}
	g.publish(g.now)
}

func (g *rig) got() []media.Packets {
	var all [256]media.Packets
	n, _ := g.r.TryRead(all[:])
	return all[:n]
}

func TestWhereAViewerMayStart(t *testing.T) {
	tests := []struct {
		name, script, want string
	}{
		{"an IDR and what follows", "I p p", "0K1 01 01"},
		{"parameter sets before the IDR belong to it", "SPI p", "0K3 01"},
		{"so does what comes before them", "ASPEI p", "0K5 01"},
		{"in one aggregate", "Z p", "0K1 01"},
		{"a picture of several slices", "SPIJJ pq", "0K5 02"},
		{"an IDR in fragments over two reads", "Fff| ", "0K3"},
		{"the rest of it in the next read is no start", "Ff|f p", "0K2 01 01"},
		{"parameter sets wait for the read with the IDR", "p SP| I", "01 0K2 01"},
		{"for audio in between too", "p SPa| I p", "01 11 0K2 01 01"},
		{"stamped like the picture before (Reolink)", "I pSP I p", "0K1 01 0K2 01 01"},
		{"the same, cut by a read", "I pSP| I p", "0K1 01 0K2 01 01"},
		{"before a picture that is no key they are no start", "SPI SPp p", "0K3 03 01"},
		{"nor between the slices of an IDR (GStreamer)", "SPISPJSPJ p", "0K3 03 03 01"},
		{"nor when nothing follows", "I SP| | |", "0K1"},
		{"two IDRs with one stamp", "II p", "0K1 0K1 01"},
		{"an IDR behind a picture with its stamp", "pI", "01 0K1"},
		{"audio in the midst of a picture", "SPIaJ p", "0K3 11 01 01"},
		{"delimiters cut off by a read", "p A| SPI", "01 01 0K3"},
		{"fragments without a beginning", "ff p I", "02 01 0K1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, NewSplice(), h264, pcma)
			g.play(t, tt.script)
			got := g.got()
			if s := texts(got); s != tt.want {
				t.Errorf("%s gives %s, want %s", tt.script, s, tt.want)
			}
			for _, e := range got {
				checkWire(t, e)
			}
		})
	}
}

// checkWire fails unless an entry is a run of whole frames of its channel with
// one stamp.
func checkWire(t *testing.T, e media.Packets) {
	t.Helper()
	n, size := 0, 0
	for packet := range e.RTP() {
		one := media.Packets{Wire: e.Wire[size:]}
		if one.Wire[0] != '$' || one.Wire[1] != byte(2*e.Track.ID) ||
			one.Timestamp() != e.Timestamp() || len(packet) < rtpHeader {
			t.Errorf("packet %d of an entry: % x", n, one.Wire[:frameHeader+rtpHeader])
		}
		n++
		size += frameHeader + len(packet)
	}
	if n != e.N || size != len(e.Wire) || cap(e.Wire) != size {
		t.Errorf("entry of %d packets, %d bytes of %d: %d packets, %d bytes", e.N, len(e.Wire), cap(e.Wire), n, size)
	}
}

func TestWhereAViewerMayStartWithoutNALUnits(t *testing.T) {
	t.Run("each picture of MJPEG", func(t *testing.T) {
		g := newRig(t, NewSplice(), mjpeg, pcma)
		g.play(t, "pq pqa|q p")
		if s := texts(g.got()); s != "0K2 0K2 11 01 0K1" {
			t.Error(s)
		}
		if st := g.stream.Meter.Stats(g.now); st.Frames != 3 {
			t.Errorf("%d pictures", st.Frames)
		}
	})
	t.Run("anywhere in audio alone", func(t *testing.T) {
		g := newRig(t, NewSplice(), pcma, pcma)
		g.play(t, "p a p")
		if s := texts(g.got()); s != "0K1 1K1 0K1" {
			t.Error(s)
		}
	})
}

func TestParameterSetsInBandMakeANewTrack(t *testing.T) {
	g := newRig(t, NewSplice(), h264)
	before := g.tracks[0]
	g.play(t, "p SP| I p SPI")
	got := g.got()
	if got[0].Track != before || got[1].Track == before || got[1].Track != got[4].Track {
		t.Error("the new track is to begin with the parameter sets, and to stay")
	}
	tracks, _ := g.stream.Tracks()
	if tracks[0] != got[1].Track || tracks[0].Width == 0 || len(tracks[0].PPS) == 0 || before.Width != 0 {
		t.Errorf("%+v", tracks[0])
	}
}

func TestLossAndRestartsOfTheCounter(t *testing.T) {
	type p struct {
		seq  uint16
		ts   uint32
		ssrc uint32
	}
	tests := []struct {
		name string
		in   []p
		want []p // as viewers see them
		gaps string
		lost uint64
	}{
		{"in order over the wrap", []p{{65535, 1, 7}, {0, 3601, 7}}, []p{{65535, 1, 7}, {0, 3601, 7}}, "..", 0},
		{"two are lost", []p{{1, 1, 7}, {4, 10801, 7}}, []p{{1, 1, 7}, {4, 10801, 7}}, ".G", 2},
		{"one comes twice", []p{{1, 1, 7}, {2, 3601, 7}, {2, 3601, 7}}, []p{{1, 1, 7}, {2, 3601, 7}, {2, 3601, 7}}, "...", 0},
		{
			"one comes late",
			[]p{{1, 1, 7}, {3, 7201, 7}, {2, 3601, 7}, {4, 10801, 7}},
			[]p{{1, 1, 7}, {3, 7201, 7}, {2, 3601, 7}, {4, 10801, 7}},
			".G..", 1,
		},
		{
			"the counter begins anew",
			[]p{{1, 1, 7}, {40000, 3601, 7}, {40001, 7201, 7}},
			[]p{{1, 1, 7}, {2, 3601, 7}, {3, 7201, 7}},
			"...", 0,
		},
		{
			"a new source with each group (Uniview)",
			[]p{{1, 1, 7}, {9, 3601, 8}, {10, 7201, 8}, {500, 10801, 9}},
			[]p{{1, 1, 7}, {2, 3601, 7}, {3, 7201, 7}, {4, 10801, 7}},
			"....", 0,
		},
		{"a new source that counts on", []p{{1, 1, 7}, {2, 3601, 8}}, []p{{1, 1, 7}, {2, 3601, 7}}, "..", 0},
		{
			"a new source with stamps of its own",
			[]p{{1, 1, 7}, {900, 1 << 30, 8}, {901, 1<<30 + 3600, 8}},
			[]p{{1, 1, 7}, {2, 3601, 7}, {3, 7201, 7}},
			".G.", 0,
		},
		{
			"the stamps alone go back (GStreamer, when a second client comes)",
			[]p{{1, 1 << 30, 7}, {2, 1<<30 - 15*90000, 7}, {3, 1<<30 - 15*90000 + 3600, 7}},
			[]p{{1, 1 << 30, 7}, {2, 1<<30 + 3600, 7}, {3, 1<<30 + 7200, 7}},
			"...", 0,
		},
		{
			"the stamps alone leap ahead and come back, and one is lost",
			[]p{{1, 1, 7}, {2, 20 * 90000, 7}, {4, 7201, 7}, {5, 10801, 7}},
			[]p{{1, 1, 7}, {2, 3601, 7}, {4, 7201, 7}, {5, 10801, 7}},
			"..G.", 1,
		},
		{
			"pictures out of order",
			[]p{{1, 1 << 30, 7}, {2, 1<<30 + 18000, 7}, {3, 1<<30 + 3600, 7}, {4, 1<<30 + 7200, 7}},
			[]p{{1, 1 << 30, 7}, {2, 1<<30 + 18000, 7}, {3, 1<<30 + 3600, 7}, {4, 1<<30 + 7200, 7}},
			"....", 0,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, NewSplice(), h264)
			for _, p := range tt.in {
				w := wire(0, rtpPacket(p.seq, p.ts, p.ssrc, non))
				g.packet(g.lanes[0], w, g.now)
				g.publish(g.now)
				g.now = g.now.Add(40 * time.Millisecond)
			}
			got, gaps := []p(nil), ""
			for _, e := range g.got() {
				got = append(got, p{e.Sequence(), e.Timestamp(), e.SSRC()})
				gaps += map[bool]string{true: "G", false: "."}[e.Gap]
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || gaps != tt.gaps {
				t.Errorf("got %v %s, want %v %s", got, gaps, tt.want, tt.gaps)
			}
			if st := g.stream.Meter.Stats(g.now); st.Lost != tt.lost || st.Packets != uint64(len(tt.in)) {
				t.Errorf("%d lost of %d", st.Lost, st.Packets)
			}
		})
	}
}

func TestUnitsBeginWithTheNewestGroupAndRepeatNothing(t *testing.T) {
	track := h264
	track.SPS, track.PPS, track.FrameRate = sps, pps, 25
	g := newRig(t, NewSplice(), track)
	ts := uint32(0)
	picture := func(nal []byte) {
		g.send(0, ts, nal)
		ts += 3600
		g.now = g.now.Add(beat)
		g.publish(g.now)
	}
	group := func() {
		picture(idr)
		for range 9 {
			picture(non)
		}
	}
	group()
	group()
	if n, _ := g.stream.Units.Held(); n != 0 {
		t.Fatalf("%d units that nobody asked for", n)
	}
	last := time.Duration(0)
	check := func(r *hub.Reader[*media.Unit], what string, least int) {
		t.Helper()
		var us [64]*media.Unit
		n, lost := r.TryRead(us[:])
		if n < least || lost != 0 || !us[0].Key && what != "goes on" {
			t.Fatalf("%s: %d units, %d lost", what, n, lost)
		}
		for _, u := range us[:n] {
			if u.DTS <= last {
				t.Errorf("%s: a unit at %v after %v", what, u.DTS, last)
			}
			last = u.DTS
		}
		if age := g.now.Sub(us[0].Wall); age > 25*beat {
			t.Errorf("%s: it begins with what is %v old", what, age)
		}
	}
	r := g.stream.Units.Reader("first", hub.LastStart)
	picture(non)
	check(r, "a first reader", 9)
	group()
	check(r, "goes on", 9)
	r.Close()
	group()
	r = g.stream.Units.Reader("soon", hub.LastStart)
	picture(non)
	check(r, "one that comes back soon", 1)
	r.Close()
	for range 100 {
		group()
	}
	r = g.stream.Units.Reader("late", hub.LastStart)
	defer r.Close()
	g.send(0, ts, non)
	g.publish(g.now)
	check(r, "one that comes late", 9)
}
