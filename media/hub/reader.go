package hub

import (
	"context"
	"sync/atomic"
	"time"
)

// Reader is a cursor on a log. It belongs to one goroutine, except for Lost.
type Reader[T any] struct {
	log       *Log[T]
	name      string
	pos       uint64
	needStart bool // skip to the next start
	overtaken bool // what is skipped counts as lost
	relaxed   bool
	closed    bool
	w         waiter
	epoch     uint64 // log epoch in which w was listed
	lost      atomic.Uint64
	one       [1]T
}

// Reader returns a new cursor. The caller closes it. name is for people.
func (l *Log[T]) Reader(name string, at Position) *Reader[T] {
	r := &Reader[T]{log: l, name: name, w: waiter{ch: make(chan struct{}, 1)}}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case at == Live || !l.hasStart:
		r.pos, r.needStart = l.next, true
	case at == Settled:
		r.pos = l.settled(time.Now())
	default:
		r.pos = l.lastStart
	}
	l.readers++
	l.urgent++
	l.rouse()
	return r
}

// Relax tells the writer that this reader is content with entries that arrive
// in small batches, some 40 ms apart.
func (r *Reader[T]) Relax() {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if !r.relaxed && !r.closed {
		r.relaxed = true
		r.log.urgent--
	}
}

// Close gives the cursor up. It may be called more than once.
func (r *Reader[T]) Close() {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.unwatch()
	r.log.readers--
	if !r.relaxed {
		r.log.urgent--
	}
}

// Lost returns how many entries this reader has lost so far by being slow.
func (r *Reader[T]) Lost() uint64 { return r.lost.Load() }

// Name returns the name given to Log.Reader.
func (r *Reader[T]) Name() string { return r.name }

// Next returns the next entry and the number of entries lost just before it.
// It blocks until there is one, ctx is done (its error) or the log has been
// closed and read to its end: io.EOF, or why a derived log could not go on.
func (r *Reader[T]) Next(ctx context.Context) (v T, lost uint64, err error) {
	_, lost, err = r.Read(ctx, r.one[:])
	v = r.one[0]
	var zero T
	r.one[0] = zero
	return v, lost, err
}

// Read is Next for up to len(dst) entries at once: it blocks for the first and
// takes what else is there. Entries are lost only before the first of them.
func (r *Reader[T]) Read(ctx context.Context, dst []T) (n int, lost uint64, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, lost, err
		}
		r.log.mu.Lock()
		n, l := r.take(dst)
		lost += l
		if n > 0 || r.log.closed {
			end := r.log.end
			r.log.mu.Unlock()
			r.lost.Add(lost)
			if n == 0 {
				return 0, lost, end
			}
			return n, lost, nil
		}
		r.log.waiting.add(&r.w)
		r.epoch = r.log.epoch
		r.log.mu.Unlock()
		if err := r.sleep(ctx); err != nil {
			r.lost.Add(lost)
			return 0, lost, err
		}
	}
}

// TryRead is Read without waiting: n is 0 if there is nothing to read now.
func (r *Reader[T]) TryRead(dst []T) (n int, lost uint64) {
	r.log.mu.Lock()
	n, lost = r.take(dst)
	r.log.mu.Unlock()
	r.lost.Add(lost)
	return n, lost
}

// sleep waits for the next Append, Close, or the end of ctx.
func (r *Reader[T]) sleep(ctx context.Context) error {
	select {
	case <-r.w.ch:
		r.w.passOn()
		return nil
	case <-ctx.Done():
	}
	r.log.mu.Lock()
	listed := r.log.epoch == r.epoch
	if listed {
		r.w.unlink()
	}
	r.log.mu.Unlock()
	if !listed { // in a detached chain: the wake-up is on its way, and others wait behind
		<-r.w.ch
		r.w.passOn()
	}
	return ctx.Err()
}

// take copies entries to dst and moves the cursor. The log's mu is held.
func (r *Reader[T]) take(dst []T) (n int, lost uint64) {
	l := r.log
	if r.pos < l.first { // overtaken
		to := l.first
		if l.hasStart {
			to = l.lastStart
		}
		lost = to - r.pos
		r.pos, r.needStart, r.overtaken = to, !l.hasStart, true
	}
	if r.needStart {
		if !l.hasStart || l.lastStart < r.pos {
			if r.overtaken {
				lost += l.next - r.pos
			}
			r.pos = l.next
			return 0, lost
		}
		for !l.slot(r.pos).start {
			r.pos++
			if r.overtaken {
				lost++
			}
		}
		r.needStart, r.overtaken = false, false
	}
	for n < len(dst) && r.pos < l.next {
		dst[n] = l.slot(r.pos).v
		n++
		r.pos++
	}
	return n, lost
}
