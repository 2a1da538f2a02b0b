//go:build cgo

package srt

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

// lossy is a line to a server that loses one datagram in fifty each way.
type lossy struct {
	address string
	lost    atomic.Int64
}

// newLossy opens a line for one viewer, for the length of the test.
func newLossy(t *testing.T, server string) *lossy {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	back, err := d.DialContext(t.Context(), "udp4", server)
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{address: front.LocalAddr().String()}
	var viewer atomic.Pointer[net.UDPAddr]
	var wg sync.WaitGroup
	pass := func(seed uint64, read func([]byte) (int, error), write func([]byte)) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		b := make([]byte, 2048)
		for {
			n, err := read(b)
			switch {
			case err != nil:
				return
			case rnd.IntN(50) == 0:
				l.lost.Add(1)
			default:
				write(b[:n])
			}
		}
	}
	wg.Go(func() {
		pass(1, func(b []byte) (int, error) {
			n, from, err := front.ReadFromUDP(b)
			viewer.Store(from)
			return n, err
		}, func(b []byte) { _, _ = back.Write(b) })
	})
	wg.Go(func() {
		pass(2, back.Read, func(b []byte) { _, _ = front.WriteToUDP(b, viewer.Load()) })
	})
	t.Cleanup(func() { front.Close(); back.Close(); wg.Wait() })
	return l
}

// inTime fails the test if f does each of four times: a machine that stands still
// for longer than the latency loses what no protocol can save.
func inTime(t *testing.T, f func() error) {
	t.Helper()
	const tries = 4
	for try := 1; ; try++ {
		err := f()
		if err == nil {
			return
		}
		t.Log(err)
		if try == tries {
			t.Fatalf("%d times in a row", tries)
		}
	}
}

// TestALossyLine: with a latency of 400 ms a viewer gets everything all the same.
func TestALossyLine(t *testing.T) { inTime(t, func() error { return viewLossy(t) }) }

// viewLossy records behind a lossy line and tells what is wrong with it.
func viewLossy(t *testing.T) error {
	cam := play(t, mediatest.H264AAC)
	s := serve(t, Config{}, cam.stream)
	line := newLossy(t, s.server.Addr().String())
	s.url = "srt://" + line.address
	file, viewer := s.record("streamid=cam&latency=400", 100_000)
	eventually(t, "datagrams are lost both ways", func() bool { return line.lost.Load() >= 20 })
	cam.stop()
	cam.stream.Close()
	_ = s.reason()
	timer := time.AfterFunc(5*time.Second, func() { _ = viewer.Process.Kill() })
	defer timer.Stop()
	_ = viewer.Wait()
	if err := mediatest.Decode(t.Context(), file); err != nil {
		return err
	}
	p := mediatest.Probe(t, file)
	for kind, step := range map[string]time.Duration{"video": 41 * time.Millisecond, "audio": 22 * time.Millisecond} {
		ts := p.Times(t, kind)
		if len(ts) < 25 {
			return fmt.Errorf("%d frames of %s", len(ts), kind)
		}
		for i := 1; i < len(ts); i++ {
			if d := ts[i] - ts[i-1]; d > step {
				return fmt.Errorf("%s frame %d of %d comes %v after the one before", kind, i, len(ts), d)
			}
		}
	}
	return nil
}
