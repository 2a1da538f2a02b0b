package hls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// packaging is a Muxer that runs, or the right to a directory without one
// while old segments are removed.
type packaging struct {
	demand
	auto   bool // only while it has viewers
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended

	muxer *Muxer // nil while old segments are removed
	began time.Time
	last  time.Time // when it was last known to have viewers; guarded by Server.mu
}

// demand is what is to be packaged.
type demand struct {
	stream *hub.Stream
	form   form
}

// of returns what it makes.
func (d demand) of() product { return product{d.stream.Name(), d.form} }

// again is how long Package waits after a panic.
const again = 5 * time.Second

// Package packages stream as CMAF until ctx is done, when it returns nil, or until the
// stream has ended, when it returns hub.ErrEnded. It takes over from whoever
// packages the stream already, and from a stream of the same name as soon as
// that has been closed; the playlist goes on. After a panic, which is logged,
// it begins anew.
func (s *Server) Package(ctx context.Context, stream *hub.Stream) error {
	for {
		err := s.pack(ctx, demand{stream, fragmented}, false)
		if !s.panicked(stream, err) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		}
	}
}

// panicked tells whether packaging has ended by a panic, and logs it.
func (s *Server) panicked(stream *hub.Stream, err error) bool {
	p, ok := errors.AsType[*media.PanicError](err)
	if ok {
		s.log.Error("cannot package stream", "cam", stream.Name(), "err", err, "stack", string(p.Stack))
	}
	return ok
}

func (s *Server) pack(ctx context.Context, d demand, auto bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &packaging{demand: d, auto: auto, cancel: cancel, done: make(chan struct{})}
	if registered, err := s.register(ctx, p); !registered {
		return err
	}
	defer s.unregister(p)
	return p.muxer.Run(ctx)
}

// register makes p the packaging of its name once the one before has ended. It
// tells false if ctx is done before, if p is not needed any more, or, with an
// error, if its stream has been closed.
func (s *Server) register(ctx context.Context, p *packaging) (bool, error) {
	for {
		_, mine := p.stream.Tracks() // before the look at Closed, so that its end is not missed
		if p.stream.Closed() {
			return false, hub.ErrEnded
		}
		old := s.claim(p.of(), p)
		if old == nil {
			return true, nil
		}
		var theirs <-chan struct{}
		switch {
		case old.stream == nil: // being cleaned, which does not take long
		case old.stream != p.stream: // one of the two streams is about to be closed
			if _, theirs = old.stream.Tracks(); old.stream.Closed() {
				old.cancel()
			}
		case p.auto:
			return false, nil
		default:
			old.cancel()
		}
		select {
		case <-old.done:
		case <-theirs:
		case <-mine:
		case <-ctx.Done():
			return false, nil
		}
	}
}

// claim makes p the packaging of that product unless there is one, which it
// returns. It gives p a Muxer if there is a stream for it.
func (s *Server) claim(of product, p *packaging) (old *packaging) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old = s.running[of]; old != nil {
		return old
	}
	if p.stream != nil {
		p.muxer = NewMuxer(s.cfg, s.root, s.budget, p.stream, s.log)
		p.muxer.form, p.muxer.store.form = of.form, of.form
		p.muxer.numbers, p.muxer.epoch, p.muxer.view, p.muxer.outlive = s.ended[of], s.epoch, s.view, s.outlive
		for _, f := range forms() {
			if o := s.running[product{of.name, f}]; o != nil && o.stream == p.stream {
				p.muxer.share = o.muxer.share
			}
		}
		p.began = time.Now()
		p.last = p.began
	}
	s.running[of] = p
	s.notify()
	s.wake()
	return nil
}

// unregister lets others have the directory.
func (s *Server) unregister(p *packaging) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, p.of())
	s.ended[p.of()] = p.muxer.handOver()
	s.notify()
	s.wake()
	close(p.done)
}

// notify tells those who wait for a packager. mu is held.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// vacant runs f while nobody packages that product, and tells false if somebody
// does.
func (s *Server) vacant(of product, f func() error) (bool, error) {
	p := &packaging{cancel: func() {}, done: make(chan struct{})}
	if s.claim(of, p) != nil {
		return false, nil
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, of)
		s.notify()
		close(p.done)
	}()
	return true, f()
}

// packaging returns what packages the stream, begun on demand if nothing does.
func (s *Server) packaging(ctx context.Context, stream *hub.Stream, f form) (*packaging, error) {
	want := demand{stream, f}
	for asked := false; ; {
		s.mu.Lock()
		p, changed := s.running[want.of()], s.changed
		s.mu.Unlock()
		if p != nil && p.stream == stream {
			return p, nil
		}
		_, ended := stream.Tracks()
		if stream.Closed() {
			return nil, hub.ErrEnded
		}
		begin := s.demand
		if asked {
			begin = nil
		}
		select {
		case begin <- want:
			asked = true
		case <-changed:
			asked = false
		case <-ended:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: nobody packages it", hub.ErrUnavailable)
		}
	}
}

// wait returns when the first segment is complete, or soon, or with an error when
// there will be none for this viewer.
func (p *packaging) wait(ctx context.Context, gone, soon <-chan struct{}) error {
	select {
	case <-p.muxer.ready:
		return nil
	default:
	}
	select {
	case <-p.muxer.ready:
		return nil
	case <-soon:
		return nil
	case <-p.done:
		return fmt.Errorf("%w: the packaging has ended", hub.ErrUnavailable)
	case <-gone:
		return fmt.Errorf("%w: the session has ended", hub.ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("%w: no segment is complete yet", hub.ErrUnavailable)
	}
}

// Stop sends the viewers of the stream of that name away, also those who are
// just coming in, and returns when what packages it for them has ended. It is
// for streams that live on without HLS: the Opener refuses new viewers of such
// a one before Stop is called, and Package has been ended.
func (s *Server) Stop(name string, reason error) {
	s.endIf(func(key sessionKey, _ *session) error {
		if key.name != name {
			return nil
		}
		return reason
	})
	for _, f := range forms() {
		s.mu.Lock()
		p := s.running[product{name, f}]
		s.mu.Unlock()
		if p != nil && p.auto {
			p.cancel()
			<-p.done
		}
	}
}

// Remove ends the packaging of a stream of that name that has been closed, and
// removes its files. A stream that goes by that name now keeps them.
func (s *Server) Remove(name string) (err error) {
	for _, f := range forms() {
		err = errors.Join(err, s.remove(product{name, f}))
	}
	return err
}

func (s *Server) remove(of product) error {
	for {
		removed, err := s.vacant(of, func() error {
			s.mu.Lock()
			delete(s.ended, of)
			s.mu.Unlock()
			files := store{root: s.root, dir: dirOf(of.name), form: of.form}
			return files.close(true)
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot remove HLS segments: %w", err)
		}
		if removed {
			return nil
		}
		s.mu.Lock()
		p := s.running[of]
		s.mu.Unlock()
		switch {
		case p == nil:
			continue
		case p.stream != nil && !p.stream.Closed():
			return nil
		}
		p.cancel()
		<-p.done
	}
}
