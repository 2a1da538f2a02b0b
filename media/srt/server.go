//go:build cgo

package srt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// Server is the SRT server for viewers. One goroutine calls Listen and Run;
// Addr and Stats may be called from any once Listen has returned.
type Server struct {
	cfg      Config
	open     hub.Opener
	log      *slog.Logger
	listener *listener
	counts   counts

	mu      sync.Mutex // guards what follows
	closed  bool
	calls   map[int32]*call // by the id of their socket
	from    map[netip.Addr]int
	refused map[asked]refusal
	hold    allowance
	serving sync.WaitGroup // grows under mu while not closed
}

type counts struct {
	readers, slow, refused atomic.Int64
	lost                   atomic.Uint64
}

// New returns a server that asks open for every stream. It binds nothing.
func New(cfg Config, open hub.Opener, log *slog.Logger) *Server {
	return &Server{
		cfg: cfg.withDefaults(), open: open, log: log,
		calls: make(map[int32]*call), from: make(map[netip.Addr]int), refused: make(map[asked]refusal),
	}
}

// Listen binds the port. Viewers that call wait until Run is called; Run closes
// what Listen has bound.
func (s *Server) Listen() error {
	if err := s.cfg.Validate(); err != nil {
		return fmt.Errorf("cannot listen for SRT: %w", err)
	}
	l, err := bindListener(context.Background(), s.cfg.Listen, s.cfg.options())
	if err != nil {
		return fmt.Errorf("cannot listen for SRT: %w", err)
	}
	s.listener = l
	return nil
}

// Addr returns the address that Listen has bound.
func (s *Server) Addr() net.Addr { return net.UDPAddrFromAddrPort(s.listener.addr) }

// Stats returns the counters.
func (s *Server) Stats() Stats {
	return Stats{
		Readers: s.counts.readers.Load(), Lost: s.counts.lost.Load(),
		Slow: s.counts.slow.Load(), Refused: s.counts.refused.Load(),
	}
}

// Run serves until ctx is done, then says goodbye to every viewer and returns
// ctx.Err(). Listen must have succeeded.
func (s *Server) Run(ctx context.Context) error {
	s.listener.rest.begin()
	err := s.listener.listen(s.cfg.MaxConns, func(c caller) int { return s.called(ctx, c) })
	if err != nil {
		s.listener.close()
		return fmt.Errorf("cannot serve SRT: %w", err)
	}
	var accepting sync.WaitGroup
	accepting.Go(s.accept)
	<-ctx.Done()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.listener.close()
	accepting.Wait()
	s.serving.Wait()
	return ctx.Err()
}

// accept hands connections to their calls until the listener is closed.
func (s *Server) accept() {
	for {
		l, id, err := s.listener.accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		c := s.calls[id]
		if c != nil {
			c.link <- l // has room for the one
		}
		s.mu.Unlock()
		if c == nil { // given up
			l.close()
		}
	}
}

// called begins a call, and waits a moment for what becomes of it: only now can
// a caller be told why it is refused. It runs in libsrt's thread.
func (s *Server) called(ctx context.Context, who caller) (reason int) {
	req, err := s.parse(who.streamID)
	req.Remote = who.remote.String()
	var c *call
	var hold time.Duration
	remembered := false
	if err == nil {
		c, hold, err = s.enter(who)
		remembered = !errors.Is(err, errCrowded) // and told of then
	}
	if err != nil {
		s.refuse(who, err)
		if !remembered {
			s.cfg.Refused(req, err)
		}
		return reasonFor(err)
	}
	go s.serve(ctx, c, req)
	if s.guarded() {
		return 0
	}
	began := time.Now()
	reason = c.decision(hold)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold.spend(time.Since(began))
	return reason
}

// guarded tells that callers have to show a passphrase. They do so at the end of
// the handshake, and whoever has not done so starts no camera and no question to
// anybody.
func (s *Server) guarded() bool { return s.cfg.Passphrase != "" }

func (s *Server) parse(streamID string) (req hub.Request, err error) {
	defer media.Contain(&err)
	return parseStreamID(streamID)
}

// enter notes a call, which serve gives back. hold is how long it may hold up
// the thread.
func (s *Server) enter(who caller) (c *call, hold time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	addr, now := who.remote.Addr(), time.Now()
	if s.closed {
		return nil, 0, errShutdown
	}
	if r, ok := s.refused[who.asked()]; ok && now.Before(r.until) {
		return nil, 0, r.err
	}
	if len(s.calls) >= s.cfg.MaxConns || !addr.IsLoopback() && s.from[addr] >= s.cfg.MaxConnsFrom {
		return nil, 0, errCrowded
	}
	s.listener.rest.end()
	c = &call{caller: who, verdict: make(chan int, 1), link: make(chan *link, 1)}
	s.calls[who.id] = c
	s.from[addr]++
	s.serving.Add(1)
	return c, s.hold.take(now), nil
}

// leave forgets a call, and closes its connection if that has come too late.
func (s *Server) leave(c *call) {
	s.mu.Lock()
	delete(s.calls, c.id)
	if a := c.remote.Addr(); s.from[a] > 1 {
		s.from[a]--
	} else {
		delete(s.from, a)
	}
	if len(s.calls) == 0 && !s.closed {
		s.listener.rest.begin()
	}
	s.mu.Unlock()
	select {
	case l := <-c.link:
		l.close()
	default:
	}
}

func (s *Server) refuse(who caller, err error) {
	s.counts.refused.Add(1)
	s.log.Debug("viewer refused", "protocol", "srt", "remote", who.remote.String(), "err", err)
}

// remember keeps why a caller was refused that could not be told: it is told
// when it comes back.
func (s *Server) remember(who caller, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.refused) >= maxRefusals {
		maps.DeleteFunc(s.refused, func(_ asked, r refusal) bool { return now.After(r.until) })
	}
	if len(s.refused) < maxRefusals {
		s.refused[who.asked()] = refusal{err, now.Add(remembered)}
	}
}
