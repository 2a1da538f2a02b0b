package rtmp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/media"
	"camrelay/media/accept"
	"camrelay/media/hub"
)

// Why viewers' sessions end, as given to Subscription.Close, besides the cause
// of the subscription's own context and hub.ErrEnded.
var (
	errGone      = media.EndedBy(media.ErrPeerClosed, "the viewer closed the connection")
	errLeft      = media.EndedBy(media.ErrPeerClosed, "the viewer ended the session")
	errSlow      = errors.New("the viewer took no data for too long")
	errTooSlow   = errors.New("the viewer's connection is too slow for the stream")
	errGarbage   = errors.New("the viewer sent what is no proper request")
	errSilent    = errors.New("the viewer did not ask for a stream in time")
	errPublishes = errors.New("streams are played here, not published")
	errShutdown  = media.EndedBy(media.ErrClosedHere, "the server stops")
	errTracks    = media.EndedBy(media.ErrClosedHere, "the camera changed its tracks")
)

// Limits that apply where Config says nothing.
const (
	defaultConns   = 512
	defaultPerAddr = 64
)

// Config is what a Server is told. The zero value of each limit means its
// default.
type Config struct {
	Listen       string        // host:port; the port that players know is 1935
	MaxConns     int           // connections at a time, further ones are closed at once; 512
	MaxConnsFrom int           // connections from one address other than loopback; 64
	Timeout      time.Duration // for connecting, for asking for a stream, and for viewers that take no data; 10 s

	Bind accept.Bind // nil: accept.Bound
}

// Server hands streams to players.
type Server struct {
	cfg      Config
	open     hub.Opener
	log      *slog.Logger
	listener net.Listener
	counts   counts
}

type counts struct{ viewers, lost, slow, refused atomic.Int64 }

// Stats are counters since the server was made.
type Stats struct {
	Viewers int64 // that play now
	Lost    int64 // units that viewers lost by being slow
	Slow    int64 // viewers closed because they took too little
	Refused int64 // connections beyond the limits
}

// New returns a server that asks open for every stream. It binds nothing.
func New(cfg Config, open hub.Opener, log *slog.Logger) *Server {
	cfg.MaxConns = cmp.Or(cfg.MaxConns, defaultConns)
	cfg.MaxConnsFrom = cmp.Or(cfg.MaxConnsFrom, defaultPerAddr)
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	if cfg.Bind == nil {
		cfg.Bind = accept.Bound
	}
	return &Server{cfg: cfg, open: open, log: log}
}

// Listen binds the port. Connections wait in the kernel until Run is called;
// Run closes what Listen has bound.
func (s *Server) Listen() error {
	l, err := s.cfg.Bind(context.Background(), s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen for RTMP: %w", err)
	}
	s.listener = l
	return nil
}

// keepAlive finds peers that have gone without a word while a camera rests.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 20 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// Addr returns the address that Listen has bound.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Stats returns the counters. It may be called from any goroutine.
func (s *Server) Stats() Stats {
	return Stats{
		Viewers: s.counts.viewers.Load(), Lost: s.counts.lost.Load(),
		Slow: s.counts.slow.Load(), Refused: s.counts.refused.Load(),
	}
}

// Run serves until ctx is done, takes leave of every viewer and returns
// ctx.Err(). Listen must have succeeded.
func (s *Server) Run(ctx context.Context) error {
	l := accept.New(s.listener, accept.Limits{All: s.cfg.MaxConns, FromOne: s.cfg.MaxConnsFrom},
		func() { s.counts.refused.Add(1) })
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, leave, err := l.Next()
		if err == nil {
			conns.Go(func() {
				defer leave()
				newViewer(s, conn.(*net.TCPConn)).serve(ctx)
			})
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("cannot serve RTMP: %w", err)
	}
}
