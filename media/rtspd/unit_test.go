package rtspd

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"camrelay/media"
	"camrelay/media/hub"
)

var video = &media.Track{
	Kind: media.KindVideo, Codec: media.CodecH264, ClockRate: 90000, PayloadType: 96, RTPMap: "H264/90000",
	FMTP: map[string]string{"sprop-parameter-sets": "old", "packetization-mode": "1", "x-dimensions": "1,2"},
	SPS:  []byte{0x67, 0x42, 0xc0, 0x1f}, PPS: []byte{0x68, 0xce},
}

// pictures returns one entry for each stamp, in units of 3600 ticks, in decoding order.
func pictures(t *media.Track, base uint32, stamps ...int) (es []media.Packets) {
	for _, s := range stamps {
		p := make([]byte, rtpHeader)
		binary.BigEndian.PutUint32(p[4:], base+uint32(3600*s))
		es = append(es, media.Packets{Track: t, Wire: media.AppendWire(nil, 0, p), N: 1})
	}
	return es
}

func TestSqueeze(t *testing.T) {
	reorder := *video
	reorder.Reorder = true
	for name, tc := range map[string]struct {
		track  *media.Track
		stamps []int
		edge   int // the stamp from which on nothing changes
	}{
		"a single picture stays":                                {video, []int{0}, 0},
		"pictures in order are squeezed before the newest":      {video, []int{0, 1, 2, 3, 4, 5, 6}, 6},
		"a gap is no reason to stay behind":                     {video, []int{0, 1, 2, 9, 10}, 10},
		"B-frames that are missing hold the edge back":          {&reorder, []int{0, 4, 2, 1, 3, 8, 6, 5}, 5},
		"a P-frame before its B-frames is past the edge":        {&reorder, []int{0, 4, 2, 1, 3, 8}, 4},
		"a complete pyramid is squeezed up to its newest frame": {&reorder, []int{0, 4, 2, 1, 3}, 3},
		"a gap long ago is no missing B-frame":                  {&reorder, []int{0, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13}, 13},
	} {
		t.Run(name, func(t *testing.T) {
			const base = 1<<32 - 7200 // stamps wrap
			es := pictures(tc.track, base, tc.stamps...)
			s := newSqueeze(es, tc.track)
			if want := base + uint32(3600*tc.edge); s.edge != want {
				t.Fatalf("edge is %d pictures off", int32(s.edge-want)/3600)
			}
			checkSqueeze(t, s, es)
		})
	}
}

// checkSqueeze fails unless s keeps the order of presentation, keeps what is
// past the edge and puts the rest within 10 ms, or one tick each, before it.
func checkSqueeze(t *testing.T, s squeeze, es []media.Packets) {
	t.Helper()
	es = slices.SortedFunc(slices.Values(es), func(a, b media.Packets) int {
		return int(int32(a.Timestamp()-s.edge)) - int(int32(b.Timestamp()-s.edge))
	})
	span := max(900, len(es))
	for i := range es {
		old := int32(es[i].Timestamp() - s.edge)
		now := int32(s.apply(es[i].Timestamp()) - s.edge)
		if old >= 0 && now != old || old < 0 && (now >= 0 || int(now) < -span) {
			t.Errorf("stamp %d became %d", old, now)
		}
		if i > 0 && es[i].Timestamp() != es[i-1].Timestamp() {
			if before := int32(s.apply(es[i-1].Timestamp()) - s.edge); now <= before {
				t.Errorf("stamp %d became %d, which is not after %d", old, now, before)
			}
		}
	}
}

func FuzzSqueeze(f *testing.F) {
	f.Add([]byte{0, 3, 1, 2, 6, 4, 5}, true)
	f.Add([]byte{0, 1, 2, 2, 2, 200}, false)
	f.Fuzz(func(t *testing.T, stamps []byte, reorder bool) {
		if len(stamps) == 0 {
			return
		}
		track := *video
		track.Reorder = reorder
		var es []media.Packets
		for _, s := range stamps {
			es = append(es, pictures(&track, 1<<31-50000, int(s))...)
		}
		checkSqueeze(t, newSqueeze(es, &track), es)
	})
}

func TestDescriptionCarriesTheLiveParameterSets(t *testing.T) {
	aac := &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecAAC, ClockRate: 48000, PayloadType: 97,
		RTPMap: "mpeg4-generic/48000/2", FMTP: map[string]string{"config": "ffff", "sizelength": "13"},
		AudioConfig: []byte{0x11, 0x90},
	}
	hevc := &media.Track{
		ID: 2, Kind: media.KindVideo, Codec: media.CodecH265, ClockRate: 90000, PayloadType: 98,
		RTPMap: "H265/90000", VPS: []byte{0x40, 1}, SPS: []byte{0x42, 1}, PPS: []byte{0x44, 1},
	}
	alaw := &media.Track{ID: 3, Kind: media.KindAudio, Codec: media.CodecPCMA, ClockRate: 8000, PayloadType: 8}
	meta := &media.Track{
		ID: 4, Kind: media.KindApplication, ClockRate: 90000, PayloadType: 107,
		RTPMap: "vnd.onvif.metadata/90000",
	}
	b, err := describe("gate", []*media.Track{video, aac, hevc, alaw, meta}).Marshal(false)
	if err != nil {
		t.Fatal(err)
	}
	const want = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=gate\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n" +
		"m=video 0 RTP/AVP 96\r\na=control:trackID=0\r\na=rtpmap:96 H264/90000\r\n" +
		"a=fmtp:96 packetization-mode=1; profile-level-id=42C01F; sprop-parameter-sets=Z0LAHw==,aM4=; x-dimensions=1,2\r\n" +
		"m=audio 0 RTP/AVP 97\r\na=control:trackID=1\r\na=rtpmap:97 mpeg4-generic/48000/2\r\n" +
		"a=fmtp:97 config=1190; sizelength=13\r\n" +
		"m=video 0 RTP/AVP 98\r\na=control:trackID=2\r\na=rtpmap:98 H265/90000\r\n" +
		"a=fmtp:98 sprop-pps=RAE=; sprop-sps=QgE=; sprop-vps=QAE=\r\n" +
		"m=audio 0 RTP/AVP 8\r\na=control:trackID=3\r\n" +
		"m=application 0 RTP/AVP 107\r\na=control:trackID=4\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n"
	if string(b) != want {
		t.Errorf("description is\n%s\nwant\n%s", b, want)
	}
	if video.FMTP["sprop-parameter-sets"] != "old" {
		t.Error("the track was written to")
	}
}

func TestReportSaysWhatItIsToldTo(t *testing.T) {
	at := time.Unix(1700000000, 250e6)
	all, err := rtcp.Unmarshal(appendReport(nil, 7, at, 9, 10, 11))
	if err != nil {
		t.Fatal(err)
	}
	sr, ok := all[0].(*rtcp.SenderReport)
	if !ok || sr.SSRC != 7 || sr.RTPTime != 9 || sr.PacketCount != 10 || sr.OctetCount != 11 ||
		sr.NTPTime != (1700000000+unixToNTP)<<32|1<<30 {
		t.Errorf("sender report is %+v", all[0])
	}
	sd, ok := all[1].(*rtcp.SourceDescription)
	if !ok || sd.Chunks[0].Source != 7 || sd.Chunks[0].Items[0].Text != cname {
		t.Errorf("source description is %+v", all[1])
	}
}

func TestClockIgnoresJitterAndFollowsDrift(t *testing.T) {
	c := clock{rate: 90000}
	rng := rand.New(rand.NewPCG(1, 2))
	const drift = 1.0001 // the camera's clock is 100 ppm slow
	ts := uint32(1<<32 - 90000)
	for i := range 25 * 600 {
		due := time.Duration(float64(i) * drift * float64(40*time.Millisecond))
		jitter := time.Duration(rng.ExpFloat64() * float64(5*time.Millisecond))
		c.observe(ts, due+jitter, false)
		if i%112 == 111 {
			c.turn()
		}
		if d := c.at(ts) - due; i > 300 && d.Abs() > 3*time.Millisecond {
			t.Fatalf("after %v the clock is off by %v", due, d)
		}
		ts += 3600
	}
	c.observe(ts, time.Hour, true)
	if got := c.at(ts); got != time.Hour {
		t.Errorf("after a gap the clock says %v, want 1h", got)
	}
}

func TestACatchUpBeginsAfterTheNewestGap(t *testing.T) {
	key, gap := media.Packets{Key: true}, media.Packets{Gap: true}
	both, plain := media.Packets{Key: true, Gap: true}, media.Packets{}
	for name, c := range map[string]struct {
		es   []media.Packets
		want int
	}{
		"no gap":                      {[]media.Packets{key, plain, key, plain}, 0},
		"the first one marks a gap":   {[]media.Packets{both, plain, plain}, 0},
		"a key frame ends the gap":    {[]media.Packets{key, plain, both, plain}, 2},
		"a key frame after the gap":   {[]media.Packets{key, gap, plain, key, plain}, 3},
		"no key frame since the gap":  {[]media.Packets{key, plain, gap, plain}, 0},
		"two gaps, the second counts": {[]media.Packets{key, both, plain, both}, 3},
	} {
		if got := len(c.es) - len(unbroken(c.es)); got != c.want {
			t.Errorf("%s: begins at %d, want %d", name, got, c.want)
		}
	}
}

// An encoder takes now a little less and now a little more than half a second:
// what is reported follows the camera all the same, and does not jump.
func TestReportsOfASlowEncoderDoNotJump(t *testing.T) {
	epoch := time.Now()
	v := &viewer{stream: hub.NewStream("gate"), epoch: epoch, lanes: []lane{
		{up: true, track: video, clock: clock{rate: 90000}},
	}}
	l := &v.lanes[0]
	captured := func(ts uint32) time.Time { return epoch.Add(-maxSkew).Add(media.ToDuration(int64(ts), 90000)) }
	for i := range 20 {
		ts := uint32(i) * 5 * 90000
		late := maxSkew + time.Duration(i%2*20-10)*time.Millisecond
		l.clock.observe(ts, captured(ts).Add(late).Sub(epoch), false)
		l.clock.turn()
		v.stream.SetClock(0, hub.Clock{RTP: ts, Wall: captured(ts)})
		if d := l.slew(ts, v.captured(l, ts)).Sub(captured(ts)); d.Abs() > maxSlew {
			t.Fatalf("report %d is %v off", i, d)
		}
	}
	v.stream.SetClock(0, hub.Clock{RTP: 0, Wall: epoch.Add(-time.Minute)})
	if d := v.captured(l, l.clock.last).Sub(captured(l.clock.last)); d < 0 {
		t.Errorf("a camera that cannot be right is believed: %v", d)
	}
}
