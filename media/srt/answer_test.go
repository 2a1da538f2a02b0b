//go:build cgo

package srt

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/mediatest"
)

// TestAReceiverCalls: FFmpeg reads what waits for it, one receiver after the other.
func TestAReceiverCalls(t *testing.T) {
	t.Parallel()
	for _, pass := range []media.Secret{"", "a-long-secret"} {
		cam := play(t, mediatest.H264AAC)
		spec := Spec{Host: "127.0.0.1", Port: freePort(t), Listen: true, Passphrase: pass, Latency: 2 * time.Second}
		for range 2 {
			p := start(t, new(Caller).Run, spec, cam.stream)
			input := "srt://127.0.0.1:" + strconv.Itoa(int(spec.Port)) + "?mode=caller&connect_timeout=20000"
			if pass != "" {
				input += "&passphrase=" + pass.Reveal()
			}
			probed := mediatest.Probe(t, "-analyzeduration", "1000000", "-read_intervals", "%+1", input)
			if n := len(probed.Of("video")); n < 10 {
				t.Errorf("%d pictures", n)
			}
			err := p.ends(giveUp)
			if !errors.Is(err, media.ErrPeerClosed) || err.Error() != "the receiver closed the connection" {
				t.Errorf("ended with %v", err)
			}
			if bytes, _, _, _ := p.progress.Counts(); bytes == 0 {
				t.Error("nothing was counted")
			}
		}
	}
}

// TestOneReceiverAtATime: others are told.
func TestOneReceiverAtATime(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264)
	spec := Spec{Port: freePort(t), Listen: true, StreamID: "this-one"} // of all addresses
	p := start(t, new(Caller).Run, spec, cam.stream)
	call := func(id media.Secret) (*link, error) {
		l, err := newLink(Spec{Host: "h", Port: 1, StreamID: id}.options())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.close)
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), spec.Port)
		return l, l.dial(t.Context(), to)
	}
	reason := func(err error) string {
		_, code, _ := strings.Cut(err.Error(), "(reason ")
		return code
	}
	if _, err := call("another"); err == nil || reason(err) != "1404)" {
		t.Errorf("another streamid: %v", err)
	}
	if _, _, _, last := p.progress.Counts(); !last.IsZero() {
		t.Error("active without a receiver")
	}
	if _, err := call("this-one"); err != nil {
		t.Fatal(err)
	}
	p.await()
	if _, err := call("this-one"); err == nil || reason(err) != "1402)" {
		t.Errorf("the second: %v", err)
	}
	p.stop(errStop)
	if err := p.ends(giveUp); !errors.Is(err, errStop) {
		t.Errorf("ended with %v", err)
	}
}

func TestWaitingForAReceiverEnds(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264)
	spec := Spec{Host: "localhost", Port: freePort(t), Listen: true}
	p := start(t, new(Caller).Run, spec, cam.stream)
	second := start(t, new(Caller).Run, spec, cam.stream)
	select {
	case <-p.done: // whoever comes second
		p, second = second, p
	case <-second.done:
	case <-time.After(giveUp):
		t.Fatal("two wait at one port")
	}
	if err := second.ends(giveUp); err.Error() != "cannot listen for a receiver: address already in use" {
		t.Errorf("the second ended with %v", err)
	}
	p.stop(errStop)
	if err := p.ends(giveUp); !errors.Is(err, errStop) {
		t.Errorf("ended with %v", err)
	}
}

// TestAPortThatIsTaken by another program is an error in words.
func TestAPortThatIsTaken(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := New(Config{Listen: c.LocalAddr().String()}, nil, slog.New(slog.DiscardHandler))
	if err := s.Listen(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}
