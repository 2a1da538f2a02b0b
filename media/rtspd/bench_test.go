package rtspd

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// BenchmarkWrite is what one picture of 20 kB costs one viewer, from the log to
// the socket.
func BenchmarkWrite(b *testing.B) {
	var p []byte
	for range 14 {
		p = media.AppendWire(p, 0, make([]byte, 1440))
	}
	picture := media.Packets{Track: video, Wire: p, N: 14, Wall: time.Now(), Key: true}
	now := time.Now()
	for name, channel := range map[string]byte{"tcp as is": 0, "tcp other channel": 4} {
		b.Run(name, func(b *testing.B) {
			v := newBenchViewer(channel)
			v.out = &tcpSender{wire: tcpToNowhere(b)}
			writeOften(b, v, &picture, now)
		})
	}
	b.Run("udp", func(b *testing.B) {
		rtp, rtcp, err := listenPair("127.0.0.1:0", 0)
		if err != nil {
			b.Fatal(err)
		}
		defer rtp.Close()
		defer rtcp.Close()
		v := newBenchViewer(0)
		v.lanes[0].rtp = rtcp.LocalAddr().(*net.UDPAddr)
		v.lanes[0].rtcp = v.lanes[0].rtp.AddrPort()
		out := newUDPSender(rtp, rtcp, func(int) {})
		v.out = out
		b.ReportAllocs()
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			out.allowed = paceBurst
			if err := v.send(b.Context(), []media.Packets{picture}, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func newBenchViewer(channel byte) *viewer {
	return &viewer{
		stream: hub.NewStream("gate"), taken: func(int64, int, uint64) {}, epoch: time.Now(),
		lanes: []lane{{up: true, began: true, track: video, channel: channel, clock: clock{rate: 90000}}},
	}
}

func writeOften(b *testing.B, v *viewer, e *media.Packets, now time.Time) {
	b.ReportAllocs()
	b.SetBytes(int64(len(e.Wire)))
	es := []media.Packets{*e}
	for b.Loop() {
		if err := v.send(context.Background(), es, now); err != nil {
			b.Fatal(err)
		}
	}
}

// tcpToNowhere returns a connection to somebody who reads and throws away.
func tcpToNowhere(b *testing.B) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(); l.Close(); wg.Wait() })
	return newWire(c.(*net.TCPConn), defaultTimeout)
}
