package rtspd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// frames returns the interleaved frames of one track.
func frames(es []media.Packets, track int) (all [][]byte) {
	for _, e := range es {
		if e.Track.ID == track {
			for p := range e.RTP() {
				all = append(all, media.AppendWire(nil, 2*track, p))
			}
		}
	}
	return all
}

func seqOf(frame []byte) uint16 { return binary.BigEndian.Uint16(frame[6:]) }

func TestPacketsArriveAsTheyWereFed(t *testing.T) {
	cam := newCamera(t, mediatest.H264AAC)
	cam.toKey(t)
	fed := cam.publish(t, 60)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate?start=gop")
	p.play(2)
	eventually(t, "it plays", func() bool { return cam.stream.Packets.Readers() == 1 })
	fed = append(fed, cam.publish(t, 100)...)
	last := slices.IndexFunc(fed, func(e media.Packets) bool { return e.Key })
	for i, e := range fed[:60] {
		if e.Key {
			last = i
		}
	}
	fed = append(fed[last:], cam.publish(t, 3)...)
	want := [][][]byte{frames(fed, 0), frames(fed, 1)}
	got := make([][][]byte, 2)
	for len(got[0]) < len(want[0])-3 || len(got[1]) < len(want[1])-3 {
		b := p.packet()
		got[b[1]/2] = append(got[b[1]/2], b)
	}
	if !depay.Peek(media.CodecH264, got[0][0][4:]).Params {
		t.Fatal("the first packet is no parameter set")
	}
	for !bytes.Equal(got[0][0], want[0][0]) { // sets that were put in front
		if n := seqOf(got[0][1]) - seqOf(got[0][0]); n != 1 {
			t.Fatalf("sequence numbers rise by %d", n)
		}
		got[0] = got[0][1:]
	}
	for track := range got {
		for i, b := range got[track][:min(len(got[track]), len(want[track]))] {
			if !bytes.Equal(b, want[track][i]) {
				t.Fatalf("packet %d of track %d differs from what was fed", i, track)
			}
		}
	}
}

func TestParameterSetsComeFirst(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264, mediatest.H265AAC} {
		t.Run(string(kind), func(t *testing.T) {
			cam := newCamera(t, kind)
			cam.toKey(t)
			cam.publish(t, 5)
			s := serve(t, Config{}, cam.stream)
			p := dial(t, s, "gate")
			p.play(1)
			track, seq := cam.clip.Tracks[0], -1
			var sets [][]byte
			for {
				b := p.packet()
				if seq >= 0 && seqOf(b) != uint16(seq+1) {
					t.Fatalf("sequence number %d after %d", seqOf(b), seq)
				}
				seq = int(seqOf(b))
				if depay.Peek(track.Codec, b[4:]).Key {
					break
				}
				sets = depay.Params(track.Codec, b[4:], sets)
			}
			for _, want := range [][]byte{track.VPS, track.SPS, track.PPS} {
				if want != nil && !slices.ContainsFunc(sets, func(s []byte) bool { return bytes.Equal(s, want) }) {
					t.Errorf("parameter set %x is missing before the first key picture", want[:2])
				}
			}
		})
	}
}

func TestFastStartEndsAtTheLiveEdge(t *testing.T) {
	cam := newCamera(t, mediatest.H264AAC)
	cam.toKey(t)
	cached := cam.publish(t, 40)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate")
	p.play(2)
	eventually(t, "it plays", func() bool { return cam.stream.Packets.Readers() == 1 })
	first := true
	var last, begin uint32
	edge := lastVideo(cached).Timestamp()
	for {
		b := p.packet()
		ts := stamp(b)
		if b[1] != 0 {
			if d := int32(ts - firstAudio(cached).Timestamp()); d == 0 {
				t.Error("old audio was sent along")
			}
			continue
		}
		if first {
			first, begin, last = false, ts, ts
		}
		if int32(ts-last) < 0 {
			t.Fatalf("stamp %d after %d", ts, last)
		}
		if last = ts; ts == edge {
			break
		}
	}
	if span := edge - begin; span == 0 || span > 900 {
		t.Errorf("the cached pictures span %d ticks, want up to 10 ms", span)
	}
	next := lastVideo(cam.publish(t, 4))
	for b := p.packet(); ; b = p.packet() {
		if b[1] == 0 && stamp(b) == next.Timestamp() {
			return
		}
	}
}

func lastVideo(es []media.Packets) *media.Packets {
	for i := len(es) - 1; ; i-- {
		if es[i].Track.Kind == media.KindVideo {
			return &es[i]
		}
	}
}

func firstAudio(es []media.Packets) *media.Packets {
	for i := range es {
		if es[i].Track.Kind == media.KindAudio {
			return &es[i]
		}
	}
	return nil
}

func TestLiveStartWaitsForTheNextKeyFrame(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	cam.publish(t, 10)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate?start=live")
	p.play(1)
	eventually(t, "it plays", func() bool { return cam.stream.Packets.Readers() == 1 })
	cam.toKey(t)
	want := cam.publish(t, 1)[0]
	if got := p.packet(); stamp(got) != want.Timestamp() {
		t.Errorf("began with stamp %d, want that of the next key frame, %d", stamp(got), want.Timestamp())
	}
}

func TestOtherChannelsAndOneTrackOnly(t *testing.T) {
	cam := newCamera(t, mediatest.H264AAC)
	cam.toKey(t)
	fed := cam.publish(t, 20)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate?start=gop")
	p.want(200, "DESCRIBE", p.url)
	p.setup(1, "RTP/AVP/TCP;unicast;interleaved=6-7")
	p.want(200, "PLAY", p.url)
	for i, want := range frames(fed, 1) {
		got := p.packet()
		if got[1] != 6 {
			t.Fatalf("packet on channel %d", got[1])
		}
		if !bytes.Equal(got[2:], want[2:]) {
			t.Fatalf("packet %d differs", i)
		}
	}
}

func TestSenderReportsRelateTheTracks(t *testing.T) {
	for name, apart := range map[string]time.Duration{
		"by arrival":              0,
		"as the camera says":      70 * time.Millisecond,
		"not if it says but half": 0,
	} {
		t.Run(name, func(t *testing.T) {
			cam := newCamera(t, mediatest.H264AAC)
			cam.toKey(t)
			cached := cam.publish(t, 60)
			cam.stream.SetClock(0, hub.Clock{RTP: cached[0].Timestamp(), Wall: cached[0].Wall})
			if apart != 0 {
				a := firstAudio(cached)
				cam.stream.SetClock(1, hub.Clock{RTP: a.Timestamp(), Wall: a.Wall.Add(apart)})
			}
			s := serve(t, Config{}, cam.stream)
			p := dial(t, s, "gate?start=gop")
			p.play(2)
			origin := origins(p, cam.clip.Tracks)
			if d := origin[1] - origin[0] - apart.Seconds(); d < -0.001 || d > 0.001 {
				t.Errorf("the tracks lie %.4f s apart, want %v", origin[1]-origin[0], apart)
			}
		})
	}
}

// origins returns the NTP time of RTP stamp 0 of two tracks, as their reports
// say, which must come before their packets.
func origins(p *player, tracks []*media.Track) (at [2]float64) {
	p.t.Helper()
	for at[0] == 0 || at[1] == 0 {
		b, err := p.frame()
		if err != nil {
			p.t.Fatal(err)
		}
		track := b[1] / 2
		if b[1]&1 == 0 {
			if at[track] == 0 {
				p.t.Fatal("a packet came before the report of its track")
			}
			continue
		}
		all, err := rtcp.Unmarshal(b[4:])
		if err != nil {
			p.t.Fatal(err)
		}
		sr := all[0].(*rtcp.SenderReport)
		if sr.SSRC != uint32(1000+int(track)) || all[1].(*rtcp.SourceDescription).Chunks[0].Items[0].Text != cname {
			p.t.Errorf("report is %+v", all)
		}
		ntp := float64(sr.NTPTime>>32) + float64(uint32(sr.NTPTime))/(1<<32)
		if at := time.Unix(int64(ntp)-unixToNTP, 0); time.Since(at).Abs() > time.Minute {
			p.t.Errorf("NTP time is %v", at)
		}
		at[track] = ntp - float64(sr.RTPTime)/float64(tracks[track].ClockRate)
	}
	return at
}

func TestAViewerOutlivesAnOutage(t *testing.T) {
	cam := newCamera(t, mediatest.H264AAC)
	cam.toKey(t)
	cam.publish(t, 10)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate")
	p.play(2)
	p.packet()
	<-time.After(3 * time.Second) // the camera is away
	cam.stream.Forget()
	cam.toKey(t)
	u := cam.clip.Unit(cam.next)
	u.Wall, u.Gap = cam.wall.Add(u.DTS), true
	want, err := cam.packer.Packets(u)
	if err != nil {
		t.Fatal(err)
	}
	cam.stream.Packets.Append(want)
	for stamp(p.packet()) != want.Timestamp() {
		continue
	}
	p.want(200, "GET_PARAMETER", p.url)
}

func TestTracksOfAnotherKindEndTheViewer(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	cam.publish(t, 5)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate")
	p.play(1)
	p.packet()
	e := cam.publish(t, 1)[0]
	other := *e.Track
	other.Codec = media.CodecH265
	e.Track = &other
	cam.stream.Packets.Append(e)
	if err := s.reason(t); !errors.Is(err, errChanged) {
		t.Errorf("ended because %v", err)
	}
}

func TestUDPViewerGetsEachPacketOnce(t *testing.T) {
	cam := newCamera(t, mediatest.H264AAC)
	cam.toKey(t)
	fed := cam.publish(t, 30)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate?start=gop")
	var ports [2]*net.UDPConn
	var err error
	if ports[0], ports[1], err = listenPair("127.0.0.1:0", 0); err != nil {
		t.Fatal(err)
	}
	defer ports[0].Close()
	defer ports[1].Close()
	port := ports[0].LocalAddr().(*net.UDPAddr).Port
	p.want(200, "DESCRIBE", p.url)
	p.setup(0, fmt.Sprintf("RTP/AVP;unicast;client_port=%d-%d", port, port+1))
	p.want(200, "PLAY", p.url)
	eventually(t, "it plays", func() bool { return cam.stream.Packets.Readers() == 1 })
	fed = append(fed, cam.publish(t, 40)...)
	buf := make([]byte, 2048)
	want := frames(fed, 0)
	for _, c := range ports {
		_ = c.SetReadDeadline(time.Now().Add(patience))
	}
	for i := 0; i < len(want); {
		n, err := ports[0].Read(buf)
		if err != nil {
			t.Fatalf("after %d of %d packets: %v", i, len(want), err)
		}
		if i == 0 && depay.Peek(media.CodecH264, buf[:n]).Params && !bytes.Equal(buf[:n], want[0][4:]) {
			continue
		}
		if !bytes.Equal(buf[:n], want[i][4:]) {
			t.Fatalf("packet %d differs", i)
		}
		i++
	}
	n, err := ports[1].Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := rtcp.Unmarshal(buf[:n]); err != nil || all[0].(*rtcp.SenderReport).SSRC != 1000 {
		t.Errorf("RTCP is %v, %v", all, err)
	}
}
