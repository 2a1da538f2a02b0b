package hub

import (
	"context"
	"io"
	"sync"

	"camrelay/media"
)

// Recipe says how a log of T is made from the units of a stream.
type Recipe[T any] struct {
	Name   string // one derivation of this name runs per stream
	Limits Limits
	Size   func(T) int
	Start  func(T) bool
	// New returns a fresh muxer: a function that turns one unit into zero or
	// more entries, appended to out. It is called from one goroutine. If it
	// panics, the log ends with a *media.PanicError for those who read it.
	New func() func(u *media.Unit, out []T) []T
	// Close frees what New and its function hold: it is called once, after the
	// last unit or a panic, from the same goroutine. nil if there is nothing.
	Close func()
}

type derivation[T any] struct {
	log *Log[T]
	use
}

// use is what of a stream's runs from its first user to its last.
type use struct {
	cancel context.CancelFunc
	done   chan struct{} // closed once it has ended
	users  int           // guarded by the stream's mu
}

func newUse() (ctx context.Context, u use) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, use{cancel: cancel, done: make(chan struct{})}
}

// enter adds a user to what s has under a name; s.mu is held. leave takes the user
// away, and waits for the end if it was the last.
func (u *use) enter(s *Stream, name string, of deriving) (leave func()) {
	u.users++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		u.users--
		last := u.users == 0
		if last {
			s.unlist(name, of)
		}
		s.mu.Unlock()
		if last {
			u.cancel()
			<-u.done
		}
	})
}

// Derive returns the derived log of that name, which exists and is filled from
// the first user to the last. release must be called once the caller is done.
func Derive[T any](s *Stream, r Recipe[T]) (log *Log[T], release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, _ := s.derived[r.Name].(*derivation[T])
	if d == nil {
		ctx, u := newUse()
		d = &derivation[T]{NewLog(r.Limits, r.Size, r.Start), u}
		s.derived[r.Name] = d
		units := s.Units.Reader(r.Name, LastStart)
		units.Relax()
		units.Watch()
		s.loops.Go(func() {
			defer close(d.done)
			defer units.Close()
			err := mux(ctx, units, d.log, &r)
			s.mu.Lock()
			s.unlist(r.Name, d) // whoever comes now gets a log that is fresh
			s.mu.Unlock()
			d.log.fail(err)
		})
	}
	return d.log, d.enter(s, r.Name, d)
}

// mux feeds out until the stream ends, ctx is done or the muxer panics, and
// returns how out is to end.
func mux[T any](ctx context.Context, units *Reader[*media.Unit], out *Log[T], r *Recipe[T]) (err error) {
	defer media.Contain(&err)
	if r.Close != nil {
		defer r.Close()
	}
	step := r.New()
	var in [64]*media.Unit
	var made []T
	for {
		n, lost, err := units.Read(ctx, in[:])
		if err != nil {
			return io.EOF
		}
		made = made[:0]
		for i, u := range in[:n] {
			if i == 0 && lost > 0 && !u.Gap {
				g := *u
				g.Gap = true
				u = &g
			}
			made = step(u, made)
		}
		out.Append(made...)
		clear(in[:n])
		clear(made)
	}
}

// unlist makes the next user of that derivation begin anew. mu is held.
func (s *Stream) unlist(name string, derivation deriving) {
	if s.derived[name] == derivation {
		delete(s.derived, name)
	}
}
