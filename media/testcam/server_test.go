package testcam

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// serve runs a server until the test ends and fails it if Run does.
func serve(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s := New(cfg, slog.New(slog.DiscardHandler))
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// arrival is one packet at a viewer.
type arrival struct {
	audio  bool
	rtp    *rtp.Packet
	report *rtcp.SenderReport // or this
}

// watch plays a camera with the library's client, which is closed with the test.
func watch(t *testing.T, rawURL string, transport gortsplib.Transport) (*gortsplib.Client, <-chan arrival, error) {
	t.Helper()
	u, err := base.ParseURL(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	c := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Transport: &transport}
	if err := c.Start2(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	desc, _, err := c.Describe(u)
	if err != nil {
		return c, nil, err
	}
	if err := c.SetupAll(desc.BaseURL, desc.Medias); err != nil {
		return c, nil, err
	}
	got := make(chan arrival, 4096)
	c.OnPacketRTPAny(func(m *description.Media, _ format.Format, p *rtp.Packet) {
		got <- arrival{audio: m.Type == description.MediaTypeAudio, rtp: p}
	})
	c.OnPacketRTCPAny(func(m *description.Media, p rtcp.Packet) {
		if sr, ok := p.(*rtcp.SenderReport); ok {
			got <- arrival{audio: m.Type == description.MediaTypeAudio, report: sr}
		}
	})
	_, err = c.Play(nil)
	return c, got, err
}

// next waits for an arrival that has what is wanted.
func next(t *testing.T, got <-chan arrival, want func(arrival) bool) arrival {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case a := <-got:
			if want(a) {
				return a
			}
		case <-timeout:
			t.Fatal("nothing of the kind came in 20 s")
		}
	}
}

func isVideoEnd(a arrival) bool { return a.rtp != nil && !a.audio && a.rtp.Marker }
func isAudio(a arrival) bool    { return a.rtp != nil && a.audio }

// eventually waits until the server's account satisfies a condition.
func eventually(t *testing.T, s *Server, ok func(Stats) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(s.Stats()); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("still %+v", s.Stats())
		}
	}
}

func TestStampsAreTheWallClockAndRiseWithoutASeam(t *testing.T) {
	s := serve(t, Config{UDP: true, Cameras: []Camera{{Path: "a/b", Height: 180, GOP: 5}}})
	for name, transport := range map[string]gortsplib.Transport{
		"TCP": gortsplib.TransportTCP, "UDP": gortsplib.TransportUDP,
	} {
		t.Run(name, func(t *testing.T) {
			lossy := transport == gortsplib.TransportUDP // a busy box drops datagrams
			_, got, err := watch(t, s.URL("a/b"), transport)
			if err != nil {
				t.Fatal(err)
			}
			last := next(t, got, isVideoEnd).rtp
			now := uint32(stampAt(time.Now(), videoRate))
			if behind := int32(now - last.Timestamp); behind < 0 || behind > 10*videoRate {
				t.Errorf("stamp is %d ticks behind the clock", behind)
			}
			sound := next(t, got, isAudio).rtp
			for range 20 {
				p := next(t, got, isVideoEnd).rtp
				if d := p.Timestamp - last.Timestamp; d != videoRate/25 && (!lossy || d%(videoRate/25) != 0 || d > videoRate) {
					t.Fatalf("stamp %d follows %d", p.Timestamp, last.Timestamp)
				}
				last = p
				q := next(t, got, isAudio).rtp
				d := q.Timestamp - sound.Timestamp
				if d != toneFrame && d != 2*toneFrame && (!lossy || d%toneFrame != 0 || d > toneRate) {
					t.Fatalf("audio stamp %d follows %d", q.Timestamp, sound.Timestamp)
				}
				sound = q
			}
		})
	}
}

func TestMainAndSubShowTheSamePictureAtTheSameTime(t *testing.T) {
	s := serve(t, Config{Cameras: DemoCameras("gate")})
	_, main, err := watch(t, s.URL("gate"), gortsplib.TransportTCP)
	if err != nil {
		t.Fatal(err)
	}
	_, sub, err := watch(t, s.URL("gate_sub"), gortsplib.TransportTCP)
	if err != nil {
		t.Fatal(err)
	}
	a := next(t, main, isVideoEnd).rtp.Timestamp
	next(t, sub, func(b arrival) bool { return isVideoEnd(b) && int32(b.rtp.Timestamp-a) >= 0 })
	want := next(t, sub, isVideoEnd).rtp.Timestamp
	next(t, main, func(b arrival) bool { return isVideoEnd(b) && b.rtp.Timestamp == want })
}

func TestReportsTieStampsToTheWallClock(t *testing.T) {
	s := serve(t, Config{Cameras: []Camera{{Path: "cam", Height: 180}}})
	_, got, err := watch(t, s.URL("cam"), gortsplib.TransportTCP)
	if err != nil {
		t.Fatal(err)
	}
	for _, rate := range []int64{videoRate, toneRate} {
		sr := next(t, got, func(a arrival) bool { return a.report != nil && a.audio == (rate == toneRate) }).report
		const to1900 = 2208988800
		at := time.Unix(int64(sr.NTPTime>>32)-to1900, int64(sr.NTPTime&0xFFFFFFFF*1e9>>32))
		if off := int32(uint32(stampAt(at, rate)) - sr.RTPTime); off < -1 || off > 1 {
			t.Errorf("at %d ticks a second the report is %d ticks off", rate, off)
		}
		if age := time.Since(at); age < -time.Second || age > 10*time.Second {
			t.Errorf("report is for %v ago", age)
		}
	}
}

func TestStatsTellWhatTheCameraSaw(t *testing.T) {
	s := serve(t, Config{Cameras: []Camera{{Path: "cam", Height: 180}, {Path: "quiet", Height: 180, Silent: true}}})
	c, got, err := watch(t, s.URL("cam"), gortsplib.TransportTCP)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		next(t, got, isVideoEnd)
	}
	st := s.Stats()
	if st.Connections != 1 || st.Open != 1 || st.Requests["PLAY"] != 1 || st.Requests["TEARDOWN"] != 0 {
		t.Errorf("while playing: %+v", st)
	}
	if len(st.Sessions) != 1 || !st.Sessions[0].Playing || st.Sessions[0].Path != "cam" {
		t.Errorf("while playing: %+v", st.Sessions)
	}
	eventually(t, s, func(st Stats) bool { return st.Sessions[0].Frames >= 5 }) // it counts once a picture is on its way
	c.Close()
	eventually(t, s, func(st Stats) bool {
		return st.Open == 0 && st.Requests["TEARDOWN"] == 1 && !st.Sessions[0].Playing && st.Sessions[0].TornDown
	})
	if _, _, err := watch(t, s.URL("nowhere"), gortsplib.TransportTCP); err == nil {
		t.Error("a camera that is not there plays")
	}
	_, got, err = watch(t, s.URL("quiet"), gortsplib.TransportTCP)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if a := next(t, got, func(arrival) bool { return true }); a.audio {
			t.Fatal("a silent camera sends sound")
		}
	}
}

func TestCredentialsAreAskedFor(t *testing.T) {
	for name, kind := range map[string]Auth{"basic": AuthBasic, "MD5": AuthDigestMD5, "SHA-256": AuthDigestSHA256} {
		t.Run(name, func(t *testing.T) {
			// The library takes no colon in a password for basic.
			s := serve(t, Config{
				Auth: kind, User: "admin", Password: "pÄa@s/s", Cameras: []Camera{{Path: "cam", Height: 180}},
			})
			addr := "rtsp://%s@" + s.Addr() + "/cam"
			_, got, err := watch(t, s.URL("cam"), gortsplib.TransportTCP)
			if err != nil {
				t.Fatal(err)
			}
			next(t, got, isVideoEnd)
			for _, user := range []string{"admin:wrong", "other:p"} {
				if _, _, err := watch(t, fmt.Sprintf(addr, user), gortsplib.TransportTCP); err == nil {
					t.Errorf("%s plays", user)
				}
			}
			if _, _, err := watch(t, "rtsp://"+s.Addr()+"/cam", gortsplib.TransportTCP); err == nil {
				t.Error("nobody plays")
			}
			if strings.Contains(fmt.Sprintf("%v %+v", s.cfg, s.cfg), "pÄa@s/s") {
				t.Error("the configuration prints the password")
			}
		})
	}
}

func TestFrozenCameraKeepsSocketsOpenAndSaysNothing(t *testing.T) {
	s := serve(t, Config{UDP: true, Cameras: []Camera{{Path: "cam", Height: 180}}})
	_, tcp, err := watch(t, s.URL("cam"), gortsplib.TransportTCP)
	if err != nil {
		t.Fatal(err)
	}
	_, udp, err := watch(t, s.URL("cam"), gortsplib.TransportUDP)
	if err != nil {
		t.Fatal(err)
	}
	next(t, tcp, isVideoEnd)
	next(t, udp, isVideoEnd)
	s.Freeze(true)
	frames := s.Stats().Sessions[0].Frames
	answer := ask(t, s.Addr())
	select {
	case <-answer:
		t.Error("a frozen camera answers")
	case <-time.After(500 * time.Millisecond):
	}
	if n := s.Stats().Sessions[0].Frames - frames; n > 1 {
		t.Errorf("%d pictures sent while frozen", n)
	}
	before := time.Now()
	s.Freeze(false)
	later := uint32(stampAt(before, videoRate))
	for _, got := range []<-chan arrival{tcp, udp} {
		next(t, got, func(a arrival) bool { return isVideoEnd(a) && int32(a.rtp.Timestamp-later) >= 0 })
	}
	if a := <-answer; !strings.HasPrefix(a, "RTSP/1.0 200") {
		t.Errorf("after the thaw it answers %q", a)
	}
	if st := s.Stats(); st.Connections != 3 || st.Requests["PLAY"] != 2 {
		t.Errorf("viewers came again: %+v", st)
	}
}

// ask sends OPTIONS on a connection of its own and returns the answer when it
// comes; whatever happens, something comes by the end of the test.
func ask(t *testing.T, addr string) <-chan string {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := fmt.Fprintf(c, "OPTIONS rtsp://%s/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n", addr); err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		b := make([]byte, 12)
		_, _ = io.ReadFull(c, b)
		answer <- string(b)
	}()
	return answer
}

func TestRunEndsWhileFrozen(t *testing.T) {
	s := New(Config{Listen: "127.0.0.1:0", Cameras: []Camera{{Path: "cam", Height: 180}}}, slog.New(slog.DiscardHandler))
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.Freeze(true)
	answer := ask(t, s.Addr())
	eventually(t, s, func(st Stats) bool { return st.Requests["OPTIONS"] == 1 })
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run does not end")
	}
	if a := <-answer; strings.HasPrefix(a, "RTSP") {
		t.Errorf("it answered %q as it went", a)
	}
}

func TestWrongConfigurationIsRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no path":        {Listen: "127.0.0.1:0", Cameras: []Camera{{Height: 180}}},
		"unknown height": {Listen: "127.0.0.1:0", Cameras: []Camera{{Path: "a", Height: 480}}},
		"too fast":       {Listen: "127.0.0.1:0", Cameras: []Camera{{Path: "a", FPS: 61}}},
		"no address":     {Listen: "nowhere", Cameras: []Camera{{Path: "a"}}},
	} {
		if err := New(cfg, slog.New(slog.DiscardHandler)).Listen(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
