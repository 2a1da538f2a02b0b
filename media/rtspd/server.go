// Package rtspd is the RTSP server of the LAN: it hands the packets of a
// hub.Stream to viewers over TCP, TLS, UDP and multicast as the camera sent them.
// Its Push publishes them to another server, which to its sender is one more
// viewer. It pulls no camera, depacketises nothing and knows no user: who may see
// what is decided by the hub.Opener. Recording is not offered.
//
// Concurrency: one Server is used by one goroutine (New, Listen, Run); Stats
// and Addr may be called from any. Push may run any number of times at once.
// Inside, gortsplib runs a few goroutines per
// connection for the dialogue, and every playing viewer has one of ours with a
// cursor on the packet log, so that a slow viewer stands only in its own way.
//
// # Why
//
// gortsplib writes one packet per system call and passes each through a queue
// and a goroutine per viewer, five times the cost of the work itself. So it
// speaks the protocol and we send the media: a viewer's goroutine writes whole
// frames to the connection under gortsplib's feet, a mutex keeping its
// responses apart from them. The price: the library must never send media of
// its own, and its SSRC, RTP-Info and sender reports are replaced by ours.
package rtspd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"

	"camrelay/media"
	"camrelay/media/accept"
	"camrelay/media/hub"
)

// Why sessions end, as given to Subscription.Close, besides the cause of the
// subscription's own context and hub.ErrEnded.
var (
	errClosed   = media.EndedBy(media.ErrPeerClosed, "the viewer closed the connection")
	errTeardown = media.EndedBy(media.ErrPeerClosed, "the viewer ended the session")
	errTimeout  = errors.New("the viewer gave no sign of life")
	errSlow     = errors.New("the viewer took no data for too long")
	errGarbage  = errors.New("the viewer sent what is no proper request")
	errNothing  = errors.New("nothing is left to send: the camera sends sound alone, and it is left out")
	errChanged  = media.EndedBy(media.ErrClosedHere, "the camera changed its tracks")
	errShutdown = media.EndedBy(media.ErrClosedHere, "the server stops")
	errPaused   = errors.New("the viewer pauses")
	errReplaced = media.EndedBy(media.ErrPeerClosed, "the viewer asked for another stream")
)

// Limits that apply where Config says nothing.
const (
	defaultReaders = 512
	defaultConns   = 512
	defaultPerAddr = 64
	defaultTimeout = 10 * time.Second
)

// Config is what a Server is told. The zero value of each limit means its
// default.
type Config struct {
	Listen       string // host:port for control connections; UDP uses the same host
	RTPPort      int    // even UDP port, RTCP uses the next; 0 takes any free pair; < 0: no UDP
	MaxReaders   int    // sessions at a time, further ones are answered 453; 512
	MaxConns     int    // connections at a time, further ones are closed at once; 512
	MaxConnsFrom int    // connections from one address other than loopback; 64

	TLS *tls.Config // RTSP over TLS, where media comes over TCP alone; nil: plain

	// Schemes tells by what viewers may show who they are; nil: by basic alone.
	Schemes func() (digest, basic bool)

	Multicast Multicast // the zero value is none

	WriteTimeout time.Duration // a viewer that takes no data for so long is closed; 10 s

	Bind accept.Bind // of the control port; nil: accept.Bound
}

// Server is the RTSP server.
type Server struct {
	cfg       Config
	open      hub.Opener
	log       *slog.Logger
	listener  *listener
	rtp, rtcp *net.UDPConn // nil without UDP
	counts    counts
}

type counts struct{ readers, groups, lost, slow, refused atomic.Int64 }

// Stats are counters since the server was made.
type Stats struct {
	Readers int64 // viewers that play now
	Groups  int64 // multicast groups that are sent to now
	Lost    int64 // log entries that viewers lost by being slow
	Slow    int64 // viewers closed because they took no data
	Refused int64 // connections and sessions beyond the limits
}

// New returns a server that asks open for every stream. It binds nothing.
func New(cfg Config, open hub.Opener, log *slog.Logger) *Server {
	cfg.MaxReaders = cmp.Or(cfg.MaxReaders, defaultReaders)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, defaultConns)
	cfg.MaxConnsFrom = cmp.Or(cfg.MaxConnsFrom, defaultPerAddr)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, defaultTimeout)
	if cfg.Bind == nil {
		cfg.Bind = accept.Bound
	}
	if cfg.Schemes == nil {
		cfg.Schemes = func() (digest, basic bool) { return false, true }
	}
	return &Server{cfg: cfg, open: open, log: log}
}

// Listen binds the control port and the UDP ports. Connections wait in the
// kernel until Run is called; Run closes what Listen has bound.
func (s *Server) Listen() error {
	l, err := s.cfg.Bind(context.Background(), s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen for RTSP: %w", err)
	}
	s.listener = newListener(l, s.cfg, &s.counts)
	if s.cfg.RTPPort < 0 {
		return nil
	}
	if s.rtp, s.rtcp, err = listenPair(s.cfg.Listen, s.cfg.RTPPort); err != nil {
		l.Close()
		return fmt.Errorf("cannot listen for RTP: %w", err)
	}
	return nil
}

// Addr returns the address that Listen has bound.
func (s *Server) Addr() netip.AddrPort {
	return s.listener.Addr().(*net.TCPAddr).AddrPort()
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	return Stats{
		Readers: s.counts.readers.Load(), Groups: s.counts.groups.Load(), Lost: s.counts.lost.Load(),
		Slow: s.counts.slow.Load(), Refused: s.counts.refused.Load(),
	}
}

// Run serves until ctx is done, then closes every connection and returns
// ctx.Err(). Listen must have succeeded.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := newHandler(s, func(req hub.Request) (*hub.Subscription, error) { return s.open(ctx, req) })
	g := s.library(h)
	h.rtsp = g
	if err := g.Start(); err != nil {
		s.listener.Close()
		return fmt.Errorf("cannot serve RTSP: %w", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		h.closeAll(errShutdown)
		g.Close()
	})
	err := g.Wait()
	stopped := ctx.Err()
	cancel()
	wg.Wait()
	h.viewers.Wait()
	if stopped != nil {
		return stopped
	}
	return fmt.Errorf("cannot serve RTSP: %w", err)
}

// library returns the protocol half, which takes over our sockets.
func (s *Server) library(h *handler) *gortsplib.Server {
	g := &gortsplib.Server{
		Handler:                  h,
		RTSPAddress:              s.listener.Addr().String(),
		WriteTimeout:             s.cfg.WriteTimeout, // of no effect, see conn
		WriteQueueSize:           2,                  // nothing is ever put into it
		DisableRTCPSenderReports: true,
		Listen:                   func(string, string) (net.Listener, error) { return s.listener, nil },
	}
	if s.rtp == nil {
		return g
	}
	g.UDPRTPAddress, g.UDPRTCPAddress = s.rtp.LocalAddr().String(), s.rtcp.LocalAddr().String()
	rest := []*net.UDPConn{s.rtp, s.rtcp} // in the order in which the library asks
	g.ListenPacket = func(string, string) (net.PacketConn, error) {
		c := rest[0]
		rest = rest[1:]
		return c, nil
	}
	return g
}

// pairTries is how many free ports are looked at for one that is even and
// followed by another free one.
const pairTries = 64

// sendBuffer is the kernel's send buffer of each UDP socket, shared by all viewers.
const sendBuffer = 1 << 20

// listenPair binds an even UDP port and the one after it (RFC 3550 §11).
func listenPair(listen string, port int) (rtp, rtcp *net.UDPConn, err error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, nil, err
	}
	if port != 0 {
		return tryPair(host, port)
	}
	for range pairTries {
		if rtp, rtcp, err = tryPair(host, 0); err == nil {
			return rtp, rtcp, nil
		}
	}
	return nil, nil, err
}

var errOdd = errors.New("the RTP port must be even")

func tryPair(host string, port int) (rtp, rtcp *net.UDPConn, err error) {
	if rtp, err = listenUDP(host, port); err != nil {
		return nil, nil, err
	}
	got := rtp.LocalAddr().(*net.UDPAddr).Port
	err = errOdd
	if got%2 == 0 {
		rtcp, err = listenUDP(host, got+1)
	}
	if err != nil {
		rtp.Close()
		return nil, nil, err
	}
	return rtp, rtcp, nil
}

func listenUDP(host string, port int) (*net.UDPConn, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(context.Background(), "udp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		return nil, err
	}
	c := pc.(*net.UDPConn)
	// A smaller buffer only makes sends wait sooner.
	_ = c.SetWriteBuffer(sendBuffer)
	return c, nil
}
