package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
)

// runner is a server that has bound its address and serves until ctx is done.
type runner interface {
	Run(ctx context.Context) error
}

// slot holds the one running server of a kind. A changed specification binds
// the new address before it lets go of the old one; when that fails the old
// server goes on.
type slot[S comparable] struct {
	name  string
	open  func(S) (runner, error) // binds
	off   func(S) bool            // nothing is to run
	log   *slog.Logger
	spec  S
	stop  func() // ends the running server and waits for it; nil if none runs
	tried bool
	err   error // why what was wanted last does not run
}

// apply makes the slot run spec. It is called from one goroutine.
func (s *slot[S]) apply(ctx context.Context, spec S) error {
	if s.tried && s.spec == spec && (s.stop != nil || s.off(spec)) {
		s.err = nil
		return nil
	}
	s.tried, s.err = true, nil
	if s.off(spec) {
		s.close()
		s.spec = spec
		return nil
	}
	next, err := s.open(spec)
	if errors.Is(err, syscall.EADDRINUSE) && s.stop != nil {
		next, err = s.exchange(ctx, spec) // it may be ourselves, on the same port
	}
	if err != nil {
		s.err = fmt.Errorf("%s: %w", s.name, err)
		return s.err
	}
	s.close()
	s.spec = spec
	s.stop = start(ctx, s.name, next, s.log)
	return nil
}

// exchange lets go of the running server before it binds, and takes it back if
// that does not help.
func (s *slot[S]) exchange(ctx context.Context, spec S) (runner, error) {
	s.close()
	next, err := s.open(spec)
	if err == nil {
		return next, nil
	}
	if old, e := s.open(s.spec); e == nil {
		s.stop = start(ctx, s.name, old, s.log)
	}
	return nil, err
}

// start runs r in a goroutine of its own; stop ends it and waits.
func start(ctx context.Context, name string, r runner, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); err != nil && ctx.Err() == nil {
			log.Error("server ended", "server", name, "err", err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// close stops what runs.
func (s *slot[S]) close() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}
