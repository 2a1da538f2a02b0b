package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
)

// runner is a server that has bound its address and serves until ctx is done.
type runner interface {
	Run(ctx context.Context) error
}

// slot holds the one running server of a kind. A changed specification binds
// the new address before it lets go of the old one; when that fails the old
// server goes on. But for ended, its fields belong to one goroutine.
type slot[S comparable] struct {
	name string
	open func(S) (runner, error) // binds
	addr func(S) string          // host:port that is bound; nil: none
	off  func(S) bool            // nothing is to run; nil: without an address nothing is
	log  *slog.Logger

	want  S    // what was applied last
	tried bool // something was
	err   error
	spec  S          // of what runs
	stop  func()     // ends the running server and waits for it; nil if none runs
	ended chan error // of the running server: it has ended by itself. Has room for one
}

// apply makes the slot run spec; problem tells why it does not.
func (s *slot[S]) apply(ctx context.Context, spec S) {
	s.look()
	if !s.tried || s.want != spec || s.err != nil {
		s.want, s.tried = spec, true
		s.settle(s.change(ctx, spec, true))
	}
}

// retry tries again what does not run.
func (s *slot[S]) retry(ctx context.Context) {
	if s.look(); s.err != nil {
		s.settle(s.change(ctx, s.want, false))
	}
}

// change lets spec run in the place of what does.
func (s *slot[S]) change(ctx context.Context, spec S, edited bool) error {
	if s.stop != nil && s.spec == spec {
		return nil // what was wanted in between did not work
	}
	if s.isOff(spec) {
		s.close()
		s.spec = spec
		return nil
	}
	next, err := s.open(spec)
	if errors.Is(err, syscall.EADDRINUSE) && edited && s.overlaps(spec) {
		next, err = s.exchange(ctx, spec)
	}
	switch {
	case err == nil:
		s.start(ctx, spec, next)
		return nil
	case errors.Is(err, syscall.EADDRINUSE) && s.addr != nil:
		err = takenError{s.addr(spec), err}
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// takenError is that an address is not free, in words for people.
type takenError struct {
	addr string
	error
}

func (t takenError) Error() string { return t.addr + " is taken by another program" }
func (t takenError) Unwrap() error { return t.error }

func (s *slot[S]) isOff(spec S) bool {
	if s.off != nil {
		return s.off(spec)
	}
	return s.addr(spec) == ""
}

// overlaps tells whether the running server is in the way: it has the port,
// perhaps at another address.
func (s *slot[S]) overlaps(spec S) bool {
	if s.stop == nil || s.addr == nil {
		return false
	}
	_, ours, err1 := net.SplitHostPort(s.addr(s.spec))
	_, theirs, err2 := net.SplitHostPort(s.addr(spec))
	return err1 == nil && err2 == nil && ours == theirs
}

// exchange lets go of the running server before it binds, and takes it back if
// that does not help.
func (s *slot[S]) exchange(ctx context.Context, spec S) (runner, error) {
	before := s.spec
	s.close()
	next, err := s.open(spec)
	if err == nil {
		return next, nil
	}
	if old, e := s.open(before); e == nil {
		s.start(ctx, before, old)
	}
	return nil, err
}

// start runs next, and ends what ran before.
func (s *slot[S]) start(ctx context.Context, spec S, next runner) {
	s.close()
	ended := make(chan error, 1)
	s.spec, s.ended = spec, ended
	s.stop = launch(ctx, next, func(err error) { ended <- err })
}

// errSilent is why a server has ended that does not say.
var errSilent = errors.New("it has ended by itself")

// look notices that the running server has ended by itself.
func (s *slot[S]) look() {
	select {
	case err := <-s.ended:
		if err == nil {
			err = errSilent
		}
		s.close()
		s.settle(fmt.Errorf("%s: %w", s.name, err))
	default:
	}
}

// settle notes whether what is wanted runs, and tells people what is news.
func (s *slot[S]) settle(err error) {
	was := s.err
	s.err = err
	switch {
	case err != nil && (was == nil || was.Error() != err.Error()):
		s.log.Error("a server does not run as configured, it is tried again", "server", s.name, "err", err)
	case err == nil && was != nil:
		s.log.Info("a server runs as configured again", "server", s.name)
	}
}

// problem returns why what is wanted does not run, nil if it does.
func (s *slot[S]) problem() error {
	s.look()
	return s.err
}

// listens tells whether what is wanted runs, or anything is wanted at all.
func (s *slot[S]) listens() (name string, wanted, does bool) {
	return s.name, s.tried && !s.isOff(s.want), s.stop != nil && s.err == nil
}

// close stops what runs.
func (s *slot[S]) close() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// launch runs r in a goroutine of its own. ended is called if r returns by
// itself, in that goroutine. stop ends it and waits.
func launch(ctx context.Context, r runner, ended func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); ctx.Err() == nil {
			ended(err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// start is launch for what never returns by itself.
func start(ctx context.Context, name string, r runner, log *slog.Logger) (stop func()) {
	return launch(ctx, r, func(err error) { log.Error("internal error: it has ended", "name", name, "err", err) })
}
