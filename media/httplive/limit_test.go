package httplive

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/feed"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
		from string
		want string // refusal of the third; "" if there is none
	}{
		{"in all", Config{Viewers: 2}, "10.0.0.1:5", "too many viewers\n"},
		{"of one stream", Config{PerStream: 2}, "10.0.0.1:5", "too many viewers of this stream\n"},
		{"from one address", Config{PerAddr: 2}, "10.0.0.1:5", "too many viewers from this address\n"},
		{"from this machine, which may be a proxy", Config{PerAddr: 2}, "127.0.0.1:5", ""},
		{"from this machine by IPv6", Config{PerAddr: 2}, "[::ffff:127.0.0.1]:5", ""},
		{"defaults", Config{}, "10.0.0.1:5", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := clipSite(t, tc.cfg, mediatest.H264)
			var leaves []func()
			for range 2 {
				leave, err := s.handler.admit("gate", "10.0.0.1:1")
				if err != nil {
					t.Fatal(err)
				}
				leaves = append(leaves, leave)
			}
			s.err = hub.ErrForbidden // whoever gets as far as that
			r := httptest.NewRequest(http.MethodGet, "/gate/mpegts", nil)
			r.RemoteAddr = tc.from
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			switch {
			case tc.want == "" && w.Code != http.StatusForbidden:
				t.Errorf("got %d %s", w.Code, w.Body)
			case tc.want != "" && (w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Body.String() != tc.want):
				t.Errorf("got %d %q", w.Code, w.Body)
			}
			for _, leave := range leaves {
				leave()
			}
			w = httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden || len(s.handler.byStream) > 0 || s.handler.Stats().Viewers > 0 {
				t.Errorf("no place is free after all have left: %d, %+v", w.Code, s.handler.Stats())
			}
		})
	}
}

func smallBuffer(_, _ string, c syscall.RawConn) error {
	var err error
	return errors.Join(c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
	}), err)
}

// slow connects a viewer that reads nothing.
func (s *site) slow(path string) net.Conn {
	s.t.Helper()
	d := net.Dialer{Control: smallBuffer}
	c, err := d.DialContext(s.t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if _, err := c.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// http2 is the handler of s behind a server that speaks HTTP/2.
func (s *site) http2() *httptest.Server {
	server := httptest.NewUnstartedServer(s.handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	s.t.Cleanup(server.Close)
	return server
}

// slowHTTP2 is slow over HTTP/2.
func (s *site) slowHTTP2(path string) {
	server := s.http2()
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		if err != nil {
			s.t.Error(err)
			return
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			return
		}
		<-ctx.Done()
		resp.Body.Close()
	}()
	s.t.Cleanup(func() { cancel(); <-done })
}

// TestHTTP2 plays over HTTP/2 to the end.
func TestHTTP2(t *testing.T) {
	s, clip := clipSite(t, Config{}, mediatest.H264)
	server := s.http2()
	pictures := 0
	units := s.reading(clip, 4*time.Second, func() {
		resp, err := server.Client().Get(server.URL + "/gate/mpegts")
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.Header.Get("Content-Type") != "video/mp2t" {
			t.Errorf("got %s %v", resp.Proto, resp.Header)
		}
		if err := mediatest.ReadTS(resp.Body, func(mediatest.Received) { pictures++ }); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
	if want := count(units, media.KindVideo); pictures != want {
		t.Errorf("%d pictures, want %d", pictures, want)
	}
}

// TestALateReaderGoesOnAtAKeyFrame lets a viewer read only after the log has
// gone on without it.
func TestALateReaderGoesOnAtAKeyFrame(t *testing.T) {
	s, clip := clipSite(t, Config{WriteTimeout: time.Minute}, mediatest.H264)
	c := s.slow("/gate/mpegts")
	s.until("the viewer waits", func() bool { return s.stream.Units.Readers() > 0 })
	log, release := feed.TS(s.stream, clip.Tracks)
	defer release()
	muxed := log.Reader("muxed", hub.Live)
	defer muxed.Close()
	i := 0
	play := func(bytes int) {
		for n := 0; n < bytes; i++ {
			u := clip.Unit(i)
			u.Wall = time.Now()
			s.stream.Units.Append(u)
			n += u.Size()
			if _, _, err := muxed.Next(t.Context()); err != nil { // the muxer loses nothing
				t.Fatal(err)
			}
		}
	}
	play(1)
	s.until("the viewer begins", func() bool { return s.begun() == 1 })
	sent := func() uint64 { return s.subs[0].Sent.Load() }
	for quiet, before := 0, sent(); quiet < 10; quiet++ { // until the kernel takes no more
		play(1 << 20)
		if now := sent(); now != before {
			quiet, before = 0, now
		}
	}
	play(32 << 20)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	go s.stream.Close() // its end follows what is held
	last, jumps := time.Duration(0), 0
	err = mediatest.ReadTS(resp.Body, func(f mediatest.Received) {
		if last > 0 && (f.PTS-last).Abs() > 100*time.Millisecond {
			if jumps++; !f.Key {
				t.Errorf("goes on at %v with no key frame", f.PTS)
			}
		}
		last = f.PTS
	})
	if !errors.Is(err, io.EOF) || jumps == 0 || s.handler.Stats().Lost == 0 {
		t.Errorf("%d jumps, %+v, %v", jumps, s.handler.Stats(), err)
	}
}

// TestASlowViewer stands in its own way only: a viewer beside it loses nothing,
// it is counted what it loses, and it is closed in the end.
func TestASlowViewer(t *testing.T) {
	for name, connect := range map[string]func(*site){
		"MPEG-TS":             func(s *site) { s.slow("/gate/mpegts") },
		"FLV":                 func(s *site) { s.slow("/gate.flv") },
		"MPEG-TS over HTTP/2": func(s *site) { s.slowHTTP2("/gate/mpegts") },
	} {
		t.Run(name, func(t *testing.T) {
			s, clip := clipSite(t, Config{WriteTimeout: 500 * time.Millisecond}, mediatest.H264AAC)
			connect(s)
			s.until("the viewer waits", func() bool { return s.stream.Units.Readers() > 0 })
			beside := s.stream.Units.Reader("beside", hub.LastStart)
			defer beside.Close()
			var in [64]*media.Unit
			units := 0
			for i := 0; len(s.reasons()) == 0; i++ {
				u := clip.Unit(i)
				u.Wall = time.Now()
				s.stream.Units.Append(u)
				n, lost := beside.TryRead(in[:])
				if units += n; lost > 0 {
					t.Fatal("a reader beside it lost something")
				}
			}
			if err := s.reasons()[0]; !errors.Is(err, errSlow) {
				t.Errorf("ended with %v", err)
			}
			if st := s.handler.Stats(); st.Slow != 1 {
				t.Errorf("got %+v", st)
			}
		})
	}
}
