package rtspd

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// bulk appends n large packets, every 25th a key frame, until the log has turned over.
func bulk(s *hub.Stream, t *media.Track, from, n int) {
	for i := from; i < from+n; i++ {
		p := make([]byte, 16<<10)
		p[0], p[1] = 0x80, t.PayloadType
		binary.BigEndian.PutUint16(p[2:], uint16(i))
		binary.BigEndian.PutUint32(p[4:], uint32(i*3600))
		p[12] = 1 // slice
		if i%25 == 0 {
			p[12] = 5
		}
		s.Packets.Append(media.Packets{
			Track: t, Wire: media.AppendWire(nil, 0, p), N: 1, Wall: time.Now(), Key: i%25 == 0,
		})
	}
}

func TestASlowViewerLosesAlone(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	s := serve(t, Config{WriteTimeout: patience}, cam.stream)
	good, slow := dial(t, s, "gate"), dial(t, s, "gate")
	good.play(1)
	slow.play(1)
	eventually(t, "both play", func() bool { return cam.stream.Packets.Readers() == 2 })
	const total = 8000 // 128 MB; the log holds 24
	for i := 0; i < total; i += 25 {
		bulk(cam.stream, cam.clip.Tracks[0], i, 25)
		for seq := i; seq < i+25; {
			b := good.packet()
			if depay.Peek(media.CodecH264, b[4:]).Params {
				continue
			}
			if int(seqOf(b)) != seq {
				t.Fatalf("the other viewer got packet %d instead of %d", seqOf(b), seq)
			}
			seq++
		}
	}
	last := int(seqOf(slow.packet()))
	for last != total-1 {
		b := slow.packet()
		seq := int(seqOf(b))
		if seq != (last+1)&0xffff && seq%25 != 0 {
			t.Fatalf("the slow viewer goes on with packet %d, which is no key frame", seq)
		}
		last = seq
	}
	if s.server.Stats().Lost == 0 {
		t.Error("the slow viewer lost nothing, so the test shows nothing")
	}
}

func TestAStalledViewerIsClosed(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	s := serve(t, Config{WriteTimeout: 300 * time.Millisecond}, cam.stream)
	p := dial(t, s, "gate")
	p.play(1)
	eventually(t, "it plays", func() bool { return cam.stream.Packets.Readers() == 1 })
	bulk(cam.stream, cam.clip.Tracks[0], 0, 1000)
	if err := s.reason(t); !errors.Is(err, errSlow) {
		t.Errorf("ended because %v", err)
	}
	if n := s.server.Stats().Slow; n != 1 {
		t.Errorf("%d slow viewers counted", n)
	}
}
