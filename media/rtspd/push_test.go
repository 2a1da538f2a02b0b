package rtspd

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"camrelay/media"
	"camrelay/media/mediatest"
)

// recorder is an RTSP server that takes publications.
type recorder struct {
	addr     string
	verify   []auth.VerifyMethod
	status   base.StatusCode // of ANNOUNCE
	announce atomic.Pointer[description.Session]
	packets  [4]atomic.Int64 // by media
	deaf     atomic.Bool     // reads nothing more
	torn     chan struct{}   // closed when the session has ended
	nonce    string
	hear     chan struct{} // closed at the end of the test: deaf ones wake up
}

func record(t *testing.T, set func(*recorder), secure *tls.Config) *recorder {
	t.Helper()
	r := &recorder{status: base.StatusOK, torn: make(chan struct{}), nonce: "f00d", hear: make(chan struct{})}
	if set != nil {
		set(r)
	}
	listen := func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		r.addr = l.Addr().String()
		if secure != nil {
			l = tls.NewListener(l, secure)
		}
		return deafListener{l, r}, nil
	}
	s := &gortsplib.Server{Handler: r, RTSPAddress: "127.0.0.1:0", AuthMethods: r.verify, Listen: listen}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(r.hear); s.Close() })
	return r
}

type deafListener struct {
	net.Listener
	r *recorder
}

func (l deafListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &deafConn{c, l.r}, err
}

// deafConn stops reading when the recorder does.
type deafConn struct {
	net.Conn
	r *recorder
}

func (c *deafConn) Read(b []byte) (int, error) {
	if c.r.deaf.Load() {
		<-c.r.hear
	}
	return c.Conn.Read(b[:min(len(b), 1<<10)])
}

func (r *recorder) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	if r.verify != nil {
		if err := auth.Verify(ctx.Request, "cam", "s3cret", r.verify, "realm", r.nonce); err != nil {
			return &base.Response{
				StatusCode: base.StatusUnauthorized,
				Header:     base.Header{"WWW-Authenticate": auth.GenerateWWWAuthenticate(r.verify, "realm", r.nonce)},
			}, nil
		}
	}
	r.announce.Store(ctx.Description)
	return &base.Response{StatusCode: r.status}, nil
}

func (r *recorder) OnSetup(*gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil, nil
}

func (r *recorder) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	medias := ctx.Session.AnnouncedDescription().Medias
	ctx.Session.OnPacketRTPAny(func(m *description.Media, _ format.Format, _ *rtp.Packet) {
		for i := range medias {
			if medias[i] == m {
				r.packets[i].Add(1)
			}
		}
	})
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (r *recorder) OnSessionClose(*gortsplib.ServerHandlerOnSessionCloseCtx) { close(r.torn) }

// pushing is a push under test.
type pushing struct {
	progress *media.Progress
	active   chan struct{}
	stop     context.CancelCauseFunc
	ended    chan error
}

func startPush(t *testing.T, spec PushSpec, cam *camera) *pushing {
	t.Helper()
	ctx, stop := context.WithCancelCause(context.Background())
	x := &pushing{active: make(chan struct{}, 1), stop: stop, ended: make(chan error, 1)}
	x.progress = media.NewProgress(func() {
		select {
		case x.active <- struct{}{}:
		default:
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.ended <- Push(ctx, spec, cam.stream, x.progress, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() { stop(nil); <-done })
	return x
}

func (x *pushing) reason(t *testing.T) error {
	t.Helper()
	select {
	case err := <-x.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the push does not end")
		return nil
	}
}

func TestPushSendsTheCamerasPackets(t *testing.T) {
	cert, _, _ := mediatest.Certificate(t, net.IPv4(127, 0, 0, 1), time.Now())
	pin := sha256.Sum256(cert.Certificate[0])
	for _, c := range []struct {
		name   string
		kind   mediatest.Kind
		scheme string
		verify []auth.VerifyMethod
	}{
		{"H.264 and AAC", mediatest.H264AAC, "rtsp", nil},
		{"H.265, digest with SHA-256", mediatest.H265AAC, "rtsp", []auth.VerifyMethod{auth.VerifyMethodDigestSHA256}},
		{"H.264 and Opus, digest with MD5", mediatest.H264Opus, "rtsp", []auth.VerifyMethod{auth.VerifyMethodDigestMD5}},
		{"over TLS, basic", mediatest.H264AAC, "rtsps", []auth.VerifyMethod{auth.VerifyMethodBasic}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var secure *tls.Config
			if c.scheme == "rtsps" {
				secure = &tls.Config{Certificates: []tls.Certificate{cert}}
			}
			r := record(t, func(r *recorder) { r.verify = c.verify }, secure)
			cam := newCamera(t, c.kind)
			cam.feed(t)
			x := startPush(t, PushSpec{
				URL: c.scheme + "://" + r.addr + "/live/gate", Username: "cam", Password: "s3cret",
				Fingerprint: hex.EncodeToString(pin[:]),
			}, cam)
			<-x.active
			eventually(t, "media of all tracks arrives", func() bool {
				for i := range cam.clip.Tracks {
					if r.packets[i].Load() < 20 {
						return false
					}
				}
				return true
			})
			if got := r.announce.Load(); len(got.Medias) != len(cam.clip.Tracks) {
				t.Errorf("%d tracks announced, want %d", len(got.Medias), len(cam.clip.Tracks))
			}
			bytes, packets, lost, _ := x.progress.Counts()
			if bytes == 0 || packets == 0 || lost != 0 {
				t.Errorf("%d bytes in %d packets sent, %d lost", bytes, packets, lost)
			}
			if rtt := x.progress.RTT(); rtt <= 0 {
				t.Errorf("round trip time %v", rtt)
			}
			why := errors.New("enough")
			x.stop(why)
			if err := x.reason(t); !errors.Is(err, why) {
				t.Errorf("ended by %v", err)
			}
			<-r.torn
		})
	}
}

func TestPushIsRefusedInWords(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*recorder)
		spec  PushSpec
		class media.Class
		words string
	}{
		{
			"no password", func(r *recorder) { r.verify = []auth.VerifyMethod{auth.VerifyMethodDigestMD5} },
			PushSpec{},
			media.ClassCredentials, "wants a user",
		},
		{
			"wrong password", func(r *recorder) { r.verify = []auth.VerifyMethod{auth.VerifyMethodBasic} },
			PushSpec{Username: "cam", Password: "wr0ng"},
			media.ClassCredentials, "refuses the user or the password",
		},
		{
			"no such path", func(r *recorder) { r.status = base.StatusNotFound },
			PushSpec{},
			media.ClassRefused, "no such path",
		},
		{
			"plays only", func(r *recorder) { r.status = base.StatusMethodNotAllowed },
			PushSpec{},
			media.ClassUnsupported, "takes no publications",
		},
		{
			"full", func(r *recorder) { r.status = base.StatusNotEnoughBandwidth },
			PushSpec{},
			media.ClassBusy, "no room",
		},
		{
			"another scheme", func(r *recorder) {},
			PushSpec{URL: "http://127.0.0.1/x"},
			media.ClassUnsupported, "rtsp://",
		},
		{
			"nobody there", func(r *recorder) {},
			PushSpec{URL: "rtsp://127.0.0.1:1/x"},
			media.ClassRefused, "nobody listens",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := record(t, c.set, nil)
			cam := newCamera(t, mediatest.H264AAC)
			cam.publish(t, 60)
			if c.spec.URL == "" {
				c.spec.URL = "rtsp://" + r.addr + "/live/gate"
			}
			err := startPush(t, c.spec, cam).reason(t)
			if media.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%v (%v), want %q (%v)", err, media.ClassOf(err), c.words, c.class)
			}
			if strings.Contains(err.Error(), "wr0ng") {
				t.Error("the password is shown")
			}
		})
	}
}

func TestPushNoticesAServerThatStopsReading(t *testing.T) {
	r := record(t, nil, nil)
	cam := newCamera(t, mediatest.H264AAC)
	cam.publish(t, 60)
	x := startPush(t, PushSpec{URL: "rtsp://" + r.addr + "/live/gate", Timeout: 3 * time.Second}, cam)
	<-x.active
	r.deaf.Store(true)
	for range 200 { // more than the kernels of both sides hold
		select {
		case err := <-x.ended:
			if !errors.Is(err, errStalled) {
				t.Errorf("ended by %v", err)
			}
			return
		default:
			cam.publish(t, 1000)
		}
	}
	if err := x.reason(t); !errors.Is(err, errStalled) {
		t.Errorf("ended by %v", err)
	}
}

func TestFFmpegTakesAPush(t *testing.T) {
	for kind, pictures := range map[mediatest.Kind]int{mediatest.H264AAC: 50, mediatest.H265AAC: 50, mediatest.H264B: 50} {
		t.Run(string(kind), func(t *testing.T) {
			cam := newCamera(t, kind)
			cam.feed(t)
			l, err := net.Listen("tcp", "127.0.0.1:0") // a free port
			if err != nil {
				t.Fatal(err)
			}
			url := fmt.Sprintf("rtsp://%s/live/gate", l.Addr())
			l.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-rtsp_flags", "listen", "-i", url,
				"-map", "0:v", "-frames:v", fmt.Sprint(pictures), "-f", "framecrc", "-")
			var out, errs strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var x *pushing
			eventually(t, "ffmpeg listens", func() bool {
				x = startPush(t, PushSpec{URL: url}, cam)
				select {
				case <-x.active:
					return true
				case err := <-x.ended:
					if media.ClassOf(err) != media.ClassRefused {
						t.Fatal(err)
					}
					return false
				}
			})
			if err := cmd.Wait(); err != nil || errs.Len() > 0 {
				t.Errorf("ffmpeg: %v\n%s", err, &errs)
			}
			got := 0
			for line := range strings.Lines(out.String()) {
				if !strings.HasPrefix(line, "#") {
					got++
				}
			}
			if got != pictures {
				t.Errorf("%d pictures decoded, want %d", got, pictures)
			}
			if err := x.reason(t); !errors.Is(err, media.ErrPeerClosed) {
				t.Errorf("ended by %v", err)
			}
		})
	}
}

func TestServerSpeaksTLS(t *testing.T) {
	cam := newCamera(t, mediatest.H264AAC)
	cam.feed(t)
	cert, _, _ := mediatest.Certificate(t, net.IPv4(127, 0, 0, 1), time.Now())
	s := serve(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, cam.stream)
	url := strings.Replace(s.url("gate?start=gop"), "rtsp:", "rtsps:", 1)
	mediatest.Decodes(t, "-rtsp_transport", "tcp", "-t", "3", url)
	if err := s.reason(t); !errors.Is(err, media.ErrPeerClosed) {
		t.Errorf("ended by %v", err)
	}
}
