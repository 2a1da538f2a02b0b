package hub

import (
	"context"
	"io"
	"sync"
	"time"
)

// Limits bounds a log. Entries and Bytes are hard. Between the bounds a log
// keeps everything from its newest start on, and older entries for as long as
// Keep, so that a reader may fall behind by that much without loss.
type Limits struct {
	Entries int // > 0
	Bytes   int // > 0
	Keep    time.Duration
	Lead    time.Duration // a newest start that is younger keeps the one before it; at most Keep
}

// Position is where a new reader starts.
type Position uint8

// The positions.
const (
	LastStart Position = iota // the newest start if there is one, else as Live
	Live                      // the next start to be appended
	Settled                   // the newest start that is at least Lead old, else the oldest held, else as Live
)

// Log is a bounded ring of immutable entries with rising sequence numbers,
// some of them marked as starts.
type Log[T any] struct {
	size  func(T) int
	start func(T) bool
	minor func(T) bool // entries that wake nobody by themselves; nil: there are none
	lim   Limits

	mu        sync.Mutex // guards what follows
	ring      []entry[T] // length is a power of two; seq lives at ring[seq&(len-1)]
	first     uint64     // oldest sequence number held
	next      uint64     // sequence number of the next entry
	bytes     int
	lastStart uint64 // valid if hasStart
	hasStart  bool
	prevStart uint64 // the one before lastStart; valid if hasPrev
	hasPrev   bool
	floor     uint64 // what is older is not for new readers
	closed    bool
	end       error     // what readers get once they have read all of a closed log
	quiet     time.Time // when a minor entry came that woke nobody, zero if there is none
	waiting   waiter    // list head: readers that sleep until the next Append
	epoch     uint64    // counts how often the list was detached
	readers   int
	urgent    int
	watched   []*Reader[T]
	wanted    chan struct{} // closed by the next Reader; nil unless somebody waits for it
}

type entry[T any] struct {
	v     T
	at    time.Time
	size  int
	start bool
}

// NewLog returns an empty log. size tells the bytes that an entry holds on to,
// start whether a reader may begin with it; both are called once per entry.
func NewLog[T any](lim Limits, size func(T) int, start func(T) bool) *Log[T] {
	l := &Log[T]{size: size, start: start, lim: lim, ring: make([]entry[T], 64)}
	l.waiting.init()
	return l
}

// Append adds entries in order, with one wake-up for all of them. It never
// blocks on readers. Appending to a closed log does nothing.
func (l *Log[T]) Append(vs ...T) {
	if len(vs) == 0 {
		return
	}
	l.add(vs, time.Now()).wake()
}

// add puts entries in and returns whom to wake.
func (l *Log[T]) add(vs []T, now time.Time) *waiter {
	l.mu.Lock()
	defer l.mu.Unlock() // what readers need is free even if size or start panics
	if l.closed {
		return nil
	}
	wake := l.minor == nil
	for _, v := range vs {
		l.push(entry[T]{v: v, at: now, size: l.size(v), start: l.start(v)})
		wake = wake || !l.minor(v)
	}
	l.evict(now)
	if wake || l.patient(now) {
		l.quiet = time.Time{}
		return l.detach()
	}
	return nil
}

// maxQuiet is how long a minor entry may lie before the next one wakes the
// readers for both.
const maxQuiet = 60 * time.Millisecond

// patient notes that minor entries came, and tells whether they have lain long
// enough. mu is held.
func (l *Log[T]) patient(now time.Time) bool {
	if l.quiet.IsZero() {
		l.quiet = now
	}
	return now.Sub(l.quiet) >= maxQuiet
}

func (l *Log[T]) push(e entry[T]) {
	if l.next-l.first == uint64(len(l.ring)) {
		l.grow()
	}
	if e.start {
		l.prevStart, l.hasPrev = l.lastStart, l.hasStart
		l.lastStart, l.hasStart = l.next, true
	}
	*l.slot(l.next) = e
	l.next++
	l.bytes += e.size
}

func (l *Log[T]) slot(seq uint64) *entry[T] { return &l.ring[seq&uint64(len(l.ring)-1)] }

// grow doubles the ring; the hard limit on entries keeps it bounded.
func (l *Log[T]) grow() {
	old := l.ring
	l.ring = make([]entry[T], 2*len(old))
	for s := l.first; s < l.next; s++ {
		*l.slot(s) = old[s&uint64(len(old)-1)]
	}
}

// evict drops what the limits no longer allow, oldest first.
func (l *Log[T]) evict(now time.Time) {
	wanted := l.lastStart
	if l.hasPrev && now.Sub(l.slot(l.lastStart).at) < l.lim.Lead {
		wanted = l.prevStart
	}
	for l.first < l.next {
		e := l.slot(l.first)
		over := l.next-l.first > uint64(l.lim.Entries) || l.bytes > l.lim.Bytes
		old := l.hasStart && l.first < wanted && now.Sub(e.at) > l.lim.Keep
		if !over && !old {
			return
		}
		if l.hasPrev && l.first == l.prevStart {
			l.hasPrev = false
		}
		if l.hasStart && l.first == l.lastStart {
			l.hasStart = false // one group alone is over the limit: readers wait for the next
		}
		l.bytes -= e.size
		*e = entry[T]{}
		l.first++
	}
}

// Close ends the log: readers get what is left and then io.EOF.
func (l *Log[T]) Close() { l.fail(io.EOF) }

// fail ends the log with an error of its own, unless it has ended.
func (l *Log[T]) fail(err error) {
	l.mu.Lock()
	if !l.closed {
		l.closed, l.end = true, err
		l.rouse()
	}
	head := l.detach()
	l.mu.Unlock()
	head.wake()
}

// detach takes the list of sleeping readers, to be woken once mu is free.
func (l *Log[T]) detach() *waiter {
	l.epoch++
	return l.waiting.detach()
}

// LastStart returns the newest start, if the log holds one.
func (l *Log[T]) LastStart() (v T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hasStart {
		return v, false
	}
	return l.slot(l.lastStart).v, true
}

// Forget makes new readers wait for the next start instead of beginning with
// what is held. Readers that are open go on.
func (l *Log[T]) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
}

// forget is Forget with mu held.
func (l *Log[T]) forget() { l.hasStart, l.hasPrev, l.floor = false, false, l.next }

// rouse tells those who wait for a reader that there is one, or that there
// will be none. mu is held.
func (l *Log[T]) rouse() {
	if l.wanted != nil {
		close(l.wanted)
		l.wanted = nil
	}
}

// settled returns the start of Settled. There is one; mu is held.
func (l *Log[T]) settled(now time.Time) uint64 {
	at := l.lastStart
	for seq := l.lastStart; ; seq-- {
		e := l.slot(seq)
		if e.start {
			at = seq
			if now.Sub(e.at) >= l.lim.Lead {
				return at
			}
		}
		if seq == max(l.first, l.floor) {
			return at
		}
	}
}

// Err returns what readers get at the end of a log that has ended, nil before:
// io.EOF, or why a derived log could not go on.
func (l *Log[T]) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

// AwaitReader returns nil once the log has a reader, io.EOF when it has ended,
// and the error of ctx when that is done.
func (l *Log[T]) AwaitReader(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.mu.Lock()
		if l.readers > 0 || l.closed {
			closed := l.closed
			l.mu.Unlock()
			if closed {
				return io.EOF
			}
			return nil
		}
		if l.wanted == nil {
			l.wanted = make(chan struct{})
		}
		wanted := l.wanted
		l.mu.Unlock()
		select {
		case <-wanted:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Retire forgets, as Forget does, what a log without readers holds, and tells
// whether it had none: its writer may stop then, and begin with what it likes
// when there is a reader again.
func (l *Log[T]) Retire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers > 0 {
		return false
	}
	l.forget()
	return true
}

// Readers returns the number of open readers.
func (l *Log[T]) Readers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.readers
}

// Urgent tells whether a reader that has not called Relax is open. The writer
// may gather entries for some 40 ms before it appends them while there is none.
func (l *Log[T]) Urgent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.urgent > 0
}

// Held returns what the log holds now.
func (l *Log[T]) Held() (entries, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.next - l.first), l.bytes
}
