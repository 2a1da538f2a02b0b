package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/camera"
	"camrelay/media/mediatest"
	"camrelay/media/rtmp"
	"camrelay/media/srt"
)

// parts is what runs sessions, without the rest of the daemon.
type parts struct {
	sessions *session.Registry
	relay    *relay.Relay
	cameras  *cameras
	pushes   *pushes
}

func newParts(t *testing.T, names ...string) *parts {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	access := auth.New(quiet)
	if _, err := access.Set(auth.Rules{Open: true}); err != nil {
		t.Fatal(err)
	}
	p := &parts{sessions: session.NewRegistry(nil)}
	p.relay = relay.New(relay.Config{Sessions: p.sessions, Access: access}, quiet)
	p.cameras = newCameras(p.relay, p.sessions, quiet)
	p.pushes = newPushes(p.relay, p.sessions, "test", func(pushEvent) {}, quiet)
	for _, name := range names {
		p.relay.Put(name, relay.Policy{Warm: true, IdleAfter: time.Second, StartTimeout: time.Second})
		t.Cleanup(func() { p.relay.Drop(name) })
	}
	return p
}

// background runs f until the test ends.
func background(t *testing.T, f func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// peer accepts connections and says answer to whatever comes, or hangs up then.
func peer(t *testing.T, answer string, hangUp bool) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				stop := context.AfterFunc(t.Context(), func() { conn.Close() })
				defer stop()
				buf := make([]byte, 4096)
				for {
					if n, _ := conn.Read(buf); n == 0 || hangUp {
						return
					}
					if _, err := io.WriteString(conn, answer); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

// deaf returns the address of a UDP port that nobody reads.
func deaf(t *testing.T) *net.UDPAddr {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().(*net.UDPAddr)
}

// one waits for the only session of a kind and returns it.
func (p *parts) one(t *testing.T, kind session.Kind) (s *session.Session) {
	t.Helper()
	await(t, "a session of a "+string(kind), func() bool {
		found, _ := p.sessions.Find(session.Filter{Kind: &kind})
		if len(found) > 0 {
			s = found[0]
		}
		return s != nil
	})
	return s
}

// terminate ends a session and returns what is remembered of it. It must be
// gone within a second.
func (p *parts) terminate(t *testing.T, s *session.Session) session.Ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // a second, on a machine that is busy
	defer cancel()
	if !s.Kick("alice", "test") {
		t.Fatal("somebody else has kicked the session")
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for p.sessions.Get(s.ID) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the session is still there")
		}
	}
	for _, e := range p.sessions.Ended() {
		if e.ID == s.ID {
			return e
		}
	}
	t.Fatal("the session was not remembered")
	return session.Ended{}
}

func TestL4_APullIsGoneWithinASecondWhileItConnects(t *testing.T) {
	for _, scheme := range []string{"rtsp", "rtsps"} {
		t.Run(scheme, func(t *testing.T) {
			p := newParts(t, "gate")
			addr := peer(t, "", false)
			background(t, func(ctx context.Context) {
				p.cameras.run(ctx, "gate", cameraSpec{camera.Spec{URL: scheme + "://user:secret@" + addr + "/live?token=secret"}})
			})
			s := p.one(t, session.Pull)
			e := p.terminate(t, s)
			if e.Reason != "closed_by_us(alice)" || e.Remote != addr || e.BaseType != "PULL" || e.Protocol != "RTSP" {
				t.Errorf("%+v", e)
			}
			if strings.Contains(e.URL, "secret") {
				t.Errorf("URL %q tells a secret", e.URL)
			}
			again := p.one(t, session.Pull) // whether it may come back is for the relay's ledger to say
			st := p.relay.Path("gate").State()
			if again.ID == s.ID || len(st.Errors) != 0 {
				t.Errorf("the kick counts as a failure: %v", st.Errors)
			}
		})
	}
}

func TestL4_APushIsGoneWithinASecondWhileItConnects(t *testing.T) {
	udp := deaf(t)
	tcp := peer(t, "", false)
	for _, tc := range []struct {
		name string
		targetSpec
	}{
		{"rtmp", targetSpec{
			scheme: "rtmp", remote: tcp, shown: "rtmp://" + tcp + "/live/***",
			rtmp: rtmp.Spec{URL: "rtmp://" + tcp + "/live/key", Timeout: 10 * time.Second},
		}},
		{"rtmps", targetSpec{
			scheme: "rtmps", remote: tcp, shown: "rtmps://" + tcp + "/live/***",
			rtmp: rtmp.Spec{URL: "rtmps://" + tcp + "/live/key", Timeout: 10 * time.Second},
		}},
		{"srt", targetSpec{
			scheme: "srt", remote: udp.String(),
			srt: srt.Spec{Host: udp.IP.String(), Port: uint16(udp.Port), Timeout: 10 * time.Second},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newParts(t, "gate")
			path := p.relay.Path("gate")
			clip := mediatest.MakeClip(t, mediatest.H264)
			background(t, func(ctx context.Context) {
				_ = path.Pull(ctx, supervise.Policy{}, func(ctx context.Context, active func()) error {
					path.Stream().SetTracks([]*media.Track{clip.Video()})
					active()
					<-ctx.Done()
					return ctx.Err()
				})
			})
			spec := tc.targetSpec
			p.pushes.apply(map[string]pushPlan{
				"up": {pushSpec{camera: "gate", target: spec}, pushTerms{demand: true}},
			}, nil)
			t.Cleanup(p.pushes.Close)
			e := p.terminate(t, p.one(t, session.Push))
			if e.Reason != "closed_by_us(alice)" || e.Push != "up" || e.Remote != spec.remote || e.BaseType != "PUSH" {
				t.Errorf("%+v", e)
			}
			await(t, "the push to be held off", func() bool {
				list := p.pushes.list()
				return len(list) == 1 && list[0].State.Phase == supervise.Stopped
			})
			if st := p.pushes.list()[0].State; time.Until(st.NextRetry) < 50*time.Second {
				t.Errorf("it is tried again at %v", st.NextRetry)
			}
		})
	}
}

func TestL7_PullsTellWhyTheyEnded(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer string
		hangUp bool
		want   string // prefix
	}{
		{"a camera that hangs up", "", true, "peer_closed"},
		{"a camera that answers with an error", "RTSP/1.0 500 No\r\n\r\n", false, "error:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newParts(t, "gate")
			addr := peer(t, tc.answer, tc.hangUp)
			background(t, func(ctx context.Context) {
				p.cameras.run(ctx, "gate", cameraSpec{camera.Spec{URL: fmt.Sprintf("rtsp://%s/live", addr)}})
			})
			await(t, "the end of a session", func() bool { return len(p.sessions.Ended()) > 0 })
			if e := p.sessions.Ended()[0]; !strings.HasPrefix(e.Reason, tc.want) {
				t.Errorf("reason %q (%q), want %s", e.Reason, e.Detail, tc.want)
			}
		})
	}
}

func TestAPullEndsByUsWhenNobodyWantsIt(t *testing.T) {
	p := newParts(t, "gate")
	addr := peer(t, "", false)
	background(t, func(ctx context.Context) {
		p.cameras.run(ctx, "gate", cameraSpec{camera.Spec{URL: "rtsp://" + addr + "/live"}})
	})
	p.one(t, session.Pull)
	p.relay.Put("gate", relay.Policy{IdleAfter: time.Millisecond, StartTimeout: time.Second})
	await(t, "the end of the session", func() bool { return len(p.sessions.Ended()) > 0 })
	if e := p.sessions.Ended()[0]; e.Reason != "closed_by_us(camrelay)" || e.Detail == "" {
		t.Errorf("reason %q (%q)", e.Reason, e.Detail)
	}
}

func TestRemoteOf(t *testing.T) {
	for raw, want := range map[string]string{
		"rtsp://user:pw@10.0.0.1/live":    "10.0.0.1:554",
		"rtsps://camera.example/live":     "camera.example:322",
		"rtsp://[fe80::1%25eth0]:8554/x":  "[fe80::1%eth0]:8554",
		"rtmp://h/app/key":                "h:1935",
		"rtmps://h/app/key":               "h:443",
		"srt://h:9000?streamid=x&mode=ca": "h:9000",
		"***":                             "",
		"":                                "",
	} {
		if got := remoteOf(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}
