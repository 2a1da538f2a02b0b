package testcam

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"

	"camrelay/media"
)

// Auth is how a camera asks for credentials.
type Auth uint8

// The ways to ask for credentials.
const (
	AuthNone Auth = iota
	AuthBasic
	AuthDigestMD5
	AuthDigestSHA256
)

// Config says what a Server offers.
type Config struct {
	Listen   string // host:port for TCP; port 0 takes a free one
	UDP      bool   // offer UDP as well, on a free pair of ports of the same host
	Auth     Auth
	User     string
	Password media.Secret
	Cameras  []Camera
}

// Camera is one stream of the server.
type Camera struct {
	Path   string // below the host, without a slash before it: "cam1", "cam1_sub"
	Title  string // shown in the picture, the path if empty; 12 letters are legible
	Height int    // 180, 360, 720 (default) or 1080 lines of 16:9
	FPS    int    // pictures a second, 25 if 0; at most 60
	GOP    int    // pictures from one IDR to the next, 2 s of them if 0
	Silent bool   // no audio track
}

// DemoCameras returns main and sub streams for each name: NAME with 1280×720
// at about 1.7 Mbit/s and NAME_sub with 640×360 at about 0.6 Mbit/s, both with
// 25 pictures a second and an IDR each 2 s.
func DemoCameras(names ...string) []Camera {
	var cams []Camera
	for _, n := range names {
		cams = append(cams, Camera{Path: n, Height: 720}, Camera{Path: n + "_sub", Title: n, Height: 360})
	}
	return cams
}

// check fills in the defaults.
func (c Camera) check() (Camera, error) {
	if c.Title == "" {
		c.Title = c.Path
	}
	if c.Height == 0 {
		c.Height = 720
	}
	if c.FPS == 0 {
		c.FPS = 25
	}
	if c.GOP == 0 {
		c.GOP = 2 * c.FPS
	}
	switch c.Height {
	case 180, 360, 720, 1080:
	default:
		return c, fmt.Errorf("camera %q: height %d is not 180, 360, 720 or 1080", c.Path, c.Height)
	}
	if c.Path == "" || c.FPS < 1 || c.FPS > 60 || c.GOP < 1 {
		return c, fmt.Errorf("camera %q: no path, or fps %d or gop %d out of range", c.Path, c.FPS, c.GOP)
	}
	return c, nil
}

// Server is a host with cameras.
type Server struct {
	cfg      Config
	log      *slog.Logger
	gate     gate
	counters counters
	listener net.Listener
	udp      []net.PacketConn // RTP and RTCP, or none
	streams  map[string]*stream
}

// New returns a server that does nothing yet.
func New(cfg Config, log *slog.Logger) *Server {
	return &Server{cfg: cfg, log: log, streams: make(map[string]*stream)}
}

// Listen binds the ports; the server answers from Run on. It is called once,
// before Run and Addr.
func (s *Server) Listen() error {
	for _, cam := range s.cfg.Cameras {
		cam, err := cam.check()
		if err != nil {
			return fmt.Errorf("cannot offer %w", err)
		}
		st, err := newStream(cam, &s.gate)
		if err != nil {
			return fmt.Errorf("cannot offer camera %q: %w", cam.Path, err)
		}
		s.streams[cam.Path] = st
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	if s.cfg.UDP {
		if s.udp, err = listenPair(ln.Addr().(*net.TCPAddr).IP); err != nil {
			_ = ln.Close()
			return fmt.Errorf("cannot listen for UDP: %w", err)
		}
	}
	s.listener = ln
	return nil
}

// Addr returns host:port of the RTSP server.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL returns the address of a camera, with the credentials in it, escaped, if
// there are any: it is not for logs.
func (s *Server) URL(path string) string {
	u := url.URL{Scheme: "rtsp", Host: s.Addr(), Path: "/" + path}
	if s.cfg.Auth != AuthNone {
		u.User = url.UserPassword(s.cfg.User, s.cfg.Password.Reveal())
	}
	return u.String()
}

// Freeze makes the cameras hang, or go on: while frozen they keep every socket
// open and send nothing, neither media nor reports nor answers.
func (s *Server) Freeze(on bool) { s.gate.set(on) }

// Run serves until ctx is done, which is the one normal end; viewers are then
// cut off without a word, as by a camera that loses its power. It is called
// once, after Listen.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan struct{})
	srv := s.server(ctx, ready)
	if err := srv.Start(); err != nil {
		return fmt.Errorf("cannot start RTSP server: %w", err)
	}
	defer srv.Close()
	if err := s.attach(srv); err != nil {
		stop()
		return err
	}
	ended := make(chan error, 1)
	var running sync.WaitGroup
	for _, st := range s.streams {
		running.Go(func() { st.run(ctx) })
	}
	close(ready)
	var waiting sync.WaitGroup
	waiting.Go(func() { ended <- srv.Wait() }) // Close ends it
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
		err = fmt.Errorf("cannot go on serving RTSP: %w", err)
	}
	stop()
	running.Wait()
	for _, st := range s.streams {
		st.out.Close()
	}
	srv.Close()
	waiting.Wait()
	return err
}

// attach makes the cameras known to the server.
func (s *Server) attach(srv *gortsplib.Server) error {
	for _, st := range s.streams {
		if err := st.attach(srv); err != nil {
			return fmt.Errorf("cannot start camera %q: %w", st.cam.Path, err)
		}
	}
	return nil
}

// server puts the library's server on our sockets. It accepts connections from
// when ready is closed, and nothing waits for the gate once ctx is done.
func (s *Server) server(ctx context.Context, ready <-chan struct{}) *gortsplib.Server {
	srv := &gortsplib.Server{
		Handler:                  &handler{s},
		RTSPAddress:              s.Addr(),
		WriteQueueSize:           1024, // packets of an IDR of 1080 lines, twice
		DisableRTCPSenderReports: true, // stream sends its own
		Listen: func(string, string) (net.Listener, error) {
			return &gatedListener{Listener: s.listener, gate: &s.gate, ready: ready, done: ctx.Done()}, nil
		},
	}
	switch s.cfg.Auth {
	case AuthNone:
	case AuthBasic:
		srv.AuthMethods = []auth.VerifyMethod{auth.VerifyMethodBasic}
	case AuthDigestMD5:
		srv.AuthMethods = []auth.VerifyMethod{auth.VerifyMethodDigestMD5}
	case AuthDigestSHA256:
		srv.AuthMethods = []auth.VerifyMethod{auth.VerifyMethodDigestSHA256}
	}
	if len(s.udp) == 2 {
		srv.UDPRTPAddress = s.udp[0].LocalAddr().String()
		srv.UDPRTCPAddress = s.udp[1].LocalAddr().String()
		srv.ListenPacket = func(_, address string) (net.PacketConn, error) {
			if address == srv.UDPRTPAddress {
				return s.udp[0], nil
			}
			return s.udp[1], nil
		}
	}
	return srv
}

// listenPair binds an even UDP port and the next one (RFC 3550 §11).
func listenPair(ip net.IP) ([]net.PacketConn, error) {
	var err error
	for range 64 {
		var rtp, rtcp *net.UDPConn
		if rtp, err = net.ListenUDP("udp", &net.UDPAddr{IP: ip}); err != nil {
			return nil, err
		}
		port := rtp.LocalAddr().(*net.UDPAddr).Port
		if port%2 == 0 {
			if rtcp, err = net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port + 1}); err == nil {
				return []net.PacketConn{rtp, rtcp}, nil
			}
		}
		_ = rtp.Close()
	}
	return nil, fmt.Errorf("no free pair of ports: %w", err)
}
