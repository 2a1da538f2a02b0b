package hls

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"camrelay/media/hub"
)

// Server knows the packagers by name and the sessions of their viewers, and
// serves both as an http.Handler. Package may be called, and requests may come,
// before Run and after it: without it nobody is admitted.
type Server struct {
	root   *os.Root
	budget *Budget
	opener hub.Opener
	log    *slog.Logger

	demand chan *hub.Stream // to Run: package it while it has viewers
	busy   chan struct{}    // to Run, capacity 1: there is something to sweep
	zip    sync.Pool        // of *gzip.Writer
	cfg    Config

	mu       sync.Mutex // guards what follows
	running  map[string]*packaging
	changed  chan struct{}      // closed and replaced when running changes
	ended    map[string]numbers // of streams that are not packaged now
	sessions map[sessionKey]*session
	serving  bool // Run runs
}

// packaging is a Muxer that runs.
type packaging struct {
	stream *hub.Stream
	auto   bool // only while it has viewers
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended

	muxer *Muxer    // nil while old segments are removed
	last  time.Time // when it was last known to have viewers; guarded by Server.mu
}

// NewServer returns a Server of files below root. open is asked once for each
// viewer, with the protocol "hls".
func NewServer(cfg Config, root *os.Root, budget *Budget, open hub.Opener, log *slog.Logger) *Server {
	return &Server{
		root: root, budget: budget, opener: open, log: log, cfg: cfg,
		demand:   make(chan *hub.Stream),
		busy:     make(chan struct{}, 1),
		zip:      sync.Pool{New: func() any { return gzip.NewWriter(io.Discard) }},
		running:  make(map[string]*packaging),
		changed:  make(chan struct{}),
		ended:    make(map[string]numbers),
		sessions: make(map[sessionKey]*session),
	}
}

// Run admits viewers, packages on demand what they watch and nobody packages,
// and ends sessions that have gone quiet, until ctx is done; then it returns
// nil when all of that has ended.
func (s *Server) Run(ctx context.Context) error {
	s.cleanAll()
	s.setServing(true)
	var packagers sync.WaitGroup
	var tick <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			s.setServing(false)
			s.endAll(context.Cause(ctx))
			packagers.Wait()
			return nil
		case stream := <-s.demand:
			packagers.Go(func() { s.pack(ctx, stream, true) }) //nolint:errcheck // the stream's end is no failure here
		case <-s.busy:
			if tick == nil {
				tick = time.After(sweepInterval)
			}
		case now := <-tick:
			tick = nil
			if s.sweep(now) {
				tick = time.After(sweepInterval)
			}
		}
	}
}

// sweepInterval is how often quiet sessions are looked for while there are any.
const sweepInterval = time.Second

func (s *Server) setServing(v bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = v
}

// Package packages stream until ctx is done, when it returns nil, or until the
// stream has ended, when it returns hub.ErrEnded. It takes over from whoever
// packages a stream of that name; the playlist goes on.
func (s *Server) Package(ctx context.Context, stream *hub.Stream) error {
	return s.pack(ctx, stream, false)
}

func (s *Server) pack(ctx context.Context, stream *hub.Stream, auto bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &packaging{stream: stream, auto: auto, cancel: cancel, done: make(chan struct{})}
	if !s.register(ctx, p) {
		return nil
	}
	defer s.unregister(p)
	return p.muxer.Run(ctx)
}

// register makes p the packaging of its name once the one before has ended. It
// tells false if ctx is done before, or if p is not needed any more.
func (s *Server) register(ctx context.Context, p *packaging) bool {
	name := p.stream.Name()
	for {
		s.mu.Lock()
		old := s.running[name]
		if old == nil {
			p.muxer = NewMuxer(s.cfg, s.root, s.budget, p.stream, s.log)
			p.muxer.numbers = s.ended[name]
			p.last = time.Now()
			s.running[name] = p
			s.notify()
			s.mu.Unlock()
			s.wake()
			return true
		}
		s.mu.Unlock()
		if p.auto && old.stream == p.stream {
			return false
		}
		old.cancel()
		select {
		case <-old.done:
		case <-ctx.Done():
			return false
		}
	}
}

func (s *Server) unregister(p *packaging) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, p.stream.Name())
	s.ended[p.stream.Name()] = p.muxer.handOver()
	s.notify()
	close(p.done)
}

// cleanAll removes the segments that a crash has left in the directories of
// streams that are not packaged now.
func (s *Server) cleanAll() {
	d, err := s.root.Open(".")
	if err != nil {
		s.log.Warn("cannot list HLS segments", "err", err)
		return
	}
	defer d.Close() //nolint:errcheck // it was only read
	entries, err := d.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() && isStream(e.Name()) {
			err = errors.Join(err, s.clean(e.Name()))
		}
	}
	if err != nil {
		s.log.Warn("cannot remove old HLS segments", "err", err)
	}
}

// clean removes the segments of a stream unless it is packaged, and keeps it
// from being packaged meanwhile.
func (s *Server) clean(name string) error {
	p := &packaging{cancel: func() {}, done: make(chan struct{})}
	s.mu.Lock()
	busy := s.running[name] != nil
	if !busy {
		s.running[name] = p
	}
	s.mu.Unlock()
	if busy {
		return nil
	}
	files := store{root: s.root, dir: name}
	err := files.clean()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, name)
	close(p.done)
	return err
}

// notify tells those who wait for a packager. mu is held.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wake makes Run sweep.
func (s *Server) wake() {
	select {
	case s.busy <- struct{}{}:
	default:
	}
}

// muxer returns the Muxer of the stream, begun on demand if there is none.
func (s *Server) muxer(ctx context.Context, stream *hub.Stream) (*Muxer, error) {
	for asked := false; ; {
		s.mu.Lock()
		p, changed := s.running[stream.Name()], s.changed
		s.mu.Unlock()
		if p != nil && p.stream == stream {
			return p.muxer, nil
		}
		demand := s.demand
		if asked {
			demand = nil
		}
		select {
		case demand <- stream:
			asked = true
		case <-changed:
			asked = false
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: nobody packages it", hub.ErrUnavailable)
		}
	}
}

// Remove ends the packaging of the stream of that name and removes its files.
// It is for streams that are gone for good.
func (s *Server) Remove(name string) error {
	s.mu.Lock()
	p := s.running[name]
	s.mu.Unlock()
	if p != nil {
		p.cancel()
		<-p.done
	}
	s.mu.Lock()
	delete(s.ended, name)
	s.mu.Unlock()
	files := store{root: s.root, dir: name}
	if err := files.close(true); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove HLS segments: %w", err)
	}
	return nil
}

// Status returns the figures of all Muxers that run, in the order of their
// names.
func (s *Server) Status() []Status {
	s.mu.Lock()
	muxers := make([]*Muxer, 0, len(s.running))
	viewers := make(map[string]int)
	for _, p := range s.running {
		if p.muxer != nil {
			muxers = append(muxers, p.muxer)
		}
	}
	for k := range s.sessions {
		viewers[k.name]++
	}
	s.mu.Unlock()
	out := make([]Status, len(muxers))
	for i, m := range muxers {
		out[i] = m.Status()
		out[i].Viewers = viewers[out[i].Name]
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return out
}
