//go:build cgo

package srt

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"camrelay/media/mediatest"
)

// TestSink receives a push, then another after that, and ends while one goes on.
func TestSink(t *testing.T) {
	s, err := ListenSink("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var packets, bad atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, func(b []byte) {
			packets.Add(int64(len(b) / 188))
			if len(b)%188 != 0 || b[0] != 0x47 {
				bad.Add(1)
			}
		})
	}()
	cam := play(t, mediatest.H264AAC)
	spec := Spec{Host: "127.0.0.1", Port: uint16(s.Addr().(*net.UDPAddr).Port)}
	for range 2 {
		before := packets.Load()
		p := start(t, new(Caller).Run, spec, cam.stream)
		p.await()
		eventually(t, "media arrives", func() bool { return packets.Load() > before+50 })
		if packets.Load() > 0 && before > 0 {
			break // it ends with the sink
		}
		p.stop(errStop)
		p.ends(giveUp)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) || bad.Load() > 0 {
		t.Errorf("ended with %v, %d bad messages", err, bad.Load())
	}
	if again, err := ListenSink(s.Addr().String()); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		again.listener.close()
	}
}
