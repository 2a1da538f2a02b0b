//go:build cgo

package srt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// ask is a caller that wants to be connected; it returns why it was not.
func (s *site) ask(streamID, passphrase media.Secret) error {
	s.t.Helper()
	to := netip.MustParseAddrPort(s.server.Addr().String())
	spec := Spec{Host: "h", Port: 1, StreamID: streamID, Passphrase: passphrase}
	l, err := newLink(spec.options())
	if err != nil {
		s.t.Fatal(err)
	}
	defer l.close()
	if err := l.dial(s.t.Context(), to); err != nil && !strings.HasSuffix(err.Error(), "(reason 0)") {
		return err
	}
	eventually(s.t, "a caller who is refused later is sent away", func() bool { return !l.alive() })
	return errLate
}

var errLate = errors.New("connected and sent away")

// told asks until the refusal is in time. The second time it must be, unless
// the machine stands still until what was remembered is forgotten.
func (s *site) told(streamID, passphrase media.Secret) error {
	s.t.Helper()
	err := s.ask(streamID, passphrase)
	for again := 0; errors.Is(err, errLate) && again < 3; again++ {
		asked := time.Now()
		if err = s.ask(streamID, passphrase); time.Since(asked) < remembered/2 {
			break
		}
	}
	return err
}

func TestCallersLearnWhyTheyAreRefused(t *testing.T) {
	t.Parallel()
	const pass = "the-right-secret"
	s := hub.NewStream("mjpeg")
	defer s.Close()
	s.SetTracks([]*media.Track{{Kind: media.KindVideo, Codec: media.CodecMJPEG}})
	for _, guard := range []media.Secret{"", pass} {
		site := serve(t, Config{Passphrase: guard}, s)
		for _, tc := range []struct {
			id     media.Secret
			err    error // of the Opener; nil: its own
			reason int
		}{
			{"nobody", nil, 1404},
			{"refused", hub.ErrDenied, 1401},
			{"forbidden", fmt.Errorf("at night: %w", hub.ErrForbidden), 1403},
			{"out", hub.ErrUnavailable, 1503},
			{"broken", errors.New("what nobody has foreseen"), 1500},
			{"mjpeg", nil, 1415},
			{"publish:mjpeg", nil, 1405},
			{"#!::r=mjpeg,m=publish", nil, 1405},
			{"#!::r", nil, 1400},
			{"", nil, 1400},
		} {
			if tc.err != nil {
				site.answer(func(context.Context, hub.Request) (*hub.Subscription, error) { return nil, tc.err })
			}
			want := fmt.Sprintf("(reason %d)", tc.reason)
			if err := site.told(tc.id, guard); err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%q, guarded %v: %v, want %s", string(tc.id), guard != "", err, want)
			}
			if tc.err != nil {
				site.answer(site.usual)
			}
		}
	}
}

func TestACallReachesItsListener(t *testing.T) {
	for want, ip := range map[string][]byte{
		"192.0.2.7:9000":     {192, 0, 2, 7},
		"192.0.2.8:9000":     {10: 0xff, 11: 0xff, 12: 192, 13: 0, 14: 2, 15: 8},
		"[2001:db8::1]:9000": {0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 15: 1},
	} {
		var got caller
		h := cgo.NewHandle(&listener{ask: func(c caller) int { got = c; return 1404 }})
		id := []byte("live/gate\x00rest")
		reason := camrelaySRTCalled(uintptr(h), 7, unsafe.Pointer(&ip[0]), int32(len(ip)), 9000, unsafe.Pointer(&id[0]))
		h.Delete()
		if reason != 1404 || got != (caller{7, netip.MustParseAddrPort(want), "live/gate"}) {
			t.Errorf("%s: got %+v, reason %d", want, got, reason)
		}
	}
}

func TestWithoutThePassphraseNobodyIsAsked(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264)
	told := make(chan string, 2)
	s := serve(t, Config{Passphrase: "the-right-secret", Refused: func(req hub.Request, err error) {
		told <- req.Path + ": " + err.Error()
	}}, cam.stream)
	s.answer(func(context.Context, hub.Request) (*hub.Subscription, error) {
		t.Error("asked")
		return nil, hub.ErrNotFound
	})
	for pass, want := range map[media.Secret]string{"": "(reason 11)", "the-wrong-secret": "(reason 10)"} {
		if err := s.ask("cam", pass); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("with %q: %v", string(pass), err)
		}
		if got := <-told; got != "cam: "+errPassphrase.Error() {
			t.Errorf("with %q people are told %q", string(pass), got)
		}
	}
	eventually(t, "nobody is left", func() bool { return s.calling() == 0 })
	s.answer(s.usual)
	s.record("streamid=cam&passphrase=the-right-secret", 50_000)
}

// TestAPassphraseThatNobodyWants is why a session ends that had begun.
func TestAPassphraseThatNobodyWants(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, play(t, mediatest.H264).stream)
	if err := s.ask("cam", "some-passphrase"); err == nil || !strings.HasSuffix(err.Error(), "(reason 11)") {
		t.Errorf("got %v", err)
	}
	if err := <-s.ended; !errors.Is(err, errEncrypted) {
		t.Errorf("ended by %v", err)
	}
}

// TestTheServerStopsDuringAHandshake: the stream is there, its caller never is.
func TestTheServerStopsDuringAHandshake(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264)
	s := serve(t, Config{}, cam.stream)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for range 20 { // what follows a subscription takes place side by side
		c, _, err := s.server.enter(caller{id: -1, remote: netip.MustParseAddrPort("127.0.0.1:9")})
		if err != nil {
			t.Fatal(err)
		}
		s.server.serve(stopped, c, hub.Request{Protocol: "srt", Path: "cam", Remote: "127.0.0.1:9"})
		if err := s.reason(); !errors.Is(err, errShutdown) {
			t.Errorf("ended by %v", err)
		}
	}
}

// calling returns how many callers the server knows.
func (s *site) calling() int {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	return len(s.server.calls)
}

// TestAColdCameraDelaysNobodyElse also not those who come while it starts.
func TestAColdCameraDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264)
	s := serve(t, Config{}, cam.stream)
	warm := make(chan struct{})
	s.answer(func(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
		if req.Path == "cold" {
			select {
			case <-warm:
				return nil, hub.ErrUnavailable
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return s.usual(ctx, req)
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.ask("cold", ""); !errors.Is(err, errLate) {
				t.Errorf("got %v", err)
			}
		})
	}
	eventually(t, "all wait for the camera", func() bool { return s.calling() == 20 })
	s.record("streamid=cam", 50_000)
	close(warm)
	wg.Wait()
	if err := s.told("cold", ""); err == nil || !strings.HasSuffix(err.Error(), "(reason 1503)") {
		t.Errorf("who comes again is told %v", err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264)
	s := serve(t, Config{MaxConns: 2}, cam.stream)
	s.record("streamid=cam", 20_000)
	s.record("streamid=cam", 20_000)
	if err := s.ask("cam", ""); err == nil || !strings.HasSuffix(err.Error(), "(reason 1402)") {
		t.Errorf("the third was told %v", err)
	}
	far := serve(t, Config{MaxConnsFrom: 1}, cam.stream).server
	for i, want := range []error{nil, errCrowded} {
		_, _, err := far.enter(caller{id: int32(i), remote: netip.MustParseAddrPort("192.0.2.1:9")})
		if !errors.Is(err, want) {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	for id := range far.calls {
		far.leave(far.calls[id])
		far.serving.Done()
	}
}

// TestAHundredAtOnce: all get pictures, and nothing is left of them.
func TestAHundredAtOnce(t *testing.T) {
	cam := play(t, mediatest.AAC) // 128 kbit/s each
	s := serve(t, Config{}, cam.stream)
	to := netip.MustParseAddrPort(s.server.Addr().String())
	var wg sync.WaitGroup
	leave := make(chan struct{})
	for range 100 {
		wg.Go(func() {
			l, err := newLink(Spec{Host: "h", Port: 1, StreamID: "cam"}.options())
			if err != nil {
				t.Error(err)
				return
			}
			defer l.close()
			if err := l.dial(t.Context(), to); err != nil {
				t.Error(err)
				return
			}
			<-leave
		})
	}
	eventually(t, "all are viewers who have got media", func() bool {
		return s.server.Stats().Readers == 100
	})
	for range 100 {
		sub := <-s.subs
		eventually(t, "each has taken media", func() bool { return sub.Sent.Load() > 20_000 })
	}
	close(leave)
	wg.Wait()
	for range 100 {
		if err := s.reason(); !errors.Is(err, media.ErrPeerClosed) {
			t.Errorf("ended with %v", err)
		}
	}
	if st := s.server.Stats(); st.Slow > 0 || st.Refused > 0 {
		t.Errorf("%+v", st)
	}
}

// TestACallerThatVanishes in the midst of its handshake costs nobody anything.
func TestACallerThatVanishes(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264)
	s := serve(t, Config{}, cam.stream)
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "udp", s.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello := make([]byte, 64) // an induction that nothing follows
	copy(hello, []byte{0x80, 0})
	copy(hello[16:], []byte{0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 5, 220, 0, 0, 32, 0, 0, 0, 0, 1, 0, 0, 0, 7})
	eventually(t, "it is answered", func() bool {
		_, _ = conn.Write(hello)
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := conn.Read(make([]byte, 1500))
		return err == nil && n >= len(hello)
	})
	s.record("streamid=cam", 50_000)
	if n := s.calling(); n != 1 {
		t.Errorf("%d callers are known", n)
	}
}

// TestNothingIsLeft of a server: no goroutine, file or thread.
func TestNothingIsLeft(t *testing.T) {
	cam := play(t, mediatest.H264)
	round := func() {
		s := serve(t, Config{}, cam.stream)
		_, viewer := s.record("streamid=cam", 20_000)
		_ = s.told("nobody", "")
		_ = viewer.Process.Signal(os.Interrupt)
		_ = viewer.Wait()
		_ = s.reason()
		_ = s.stop()
	}
	round()
	threads, files := settled(t)
	routines := runtime.NumGoroutine()
	const rounds = 5
	for range rounds {
		round()
	}
	eventually(t, "all is as before", func() bool {
		th, f := count(t)
		// The Go runtime keeps threads; one that is left in each round is more.
		return th < threads+rounds && f <= files && runtime.NumGoroutine() <= routines
	})
}

func count(t *testing.T) (threads, files int) {
	t.Helper()
	dirs := [2]string{"/proc/self/task", "/proc/self/fd"}
	var n [2]int
	for i, dir := range dirs {
		all, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		n[i] = len(all)
	}
	return n[0], n[1]
}

// settled returns the counts once they have been the same for a while: libsrt
// gives up what is closed after some seconds.
func settled(t *testing.T) (threads, files int) {
	t.Helper()
	same := time.Now()
	eventually(t, "threads and files settle", func() bool {
		th, f := count(t)
		if th != threads || f != files {
			threads, files, same = th, f, time.Now()
		}
		return time.Since(same) > 4*time.Second
	})
	return threads, files
}
