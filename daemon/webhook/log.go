package webhook

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// held is how many events a Log holds, and each of its queues.
const held = 1000

// Event is something that has happened. It is immutable once appended.
type Event struct {
	ID      string         `json:"id"` // BOOT-N; N rises by one
	Time    time.Time      `json:"time"`
	Type    string         `json:"type"` // path.ready, session.closed, …
	Path    string         `json:"path,omitempty"`
	Session string         `json:"session_id,omitempty"`
	Reason  string         `json:"reason,omitempty"` // for people
	Data    map[string]any `json:"data,omitempty"`   // what belongs to the type

	seq uint64
}

// Log holds the last events.
type Log struct {
	boot string

	mu      sync.Mutex    // guards what follows
	ring    []Event       // the event N at (N-1) % held
	next    uint64        // of the next event; the first is 1
	changed chan struct{} // closed and replaced by Append
	queues  map[*Queue]struct{}
}

// NewLog returns an empty log, whose events have a part in their ID that no
// other log has.
func NewLog() *Log {
	var b [6]byte
	rand.Read(b[:]) // it never fails
	return &Log{
		boot: hex.EncodeToString(b[:]), next: 1, changed: make(chan struct{}), queues: make(map[*Queue]struct{}),
	}
}

// Append enters an event; ID is set, and Time where it is zero. It never blocks.
func (l *Log) Append(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.seq = l.next
	e.ID = l.id(e.seq)
	l.next++
	if len(l.ring) < held {
		l.ring = append(l.ring, e)
	} else {
		*l.at(e.seq) = e
	}
	for q := range l.queues {
		q.add(e)
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Log) id(seq uint64) string { return fmt.Sprintf("%s-%d", l.boot, seq) }

// Cursor reads a Log in order. It belongs to one goroutine.
type Cursor struct {
	log  *Log
	next uint64
}

// Live returns a cursor that begins with the next event.
func (l *Log) Live() *Cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Cursor{l, l.next}
}

// After returns a cursor that begins after the event of that ID; with the
// oldest event held if id is of another log, or of none.
func (l *Log) After(id string) *Cursor {
	seq, ok := l.seq(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ok || seq >= l.next {
		return &Cursor{l, l.next - uint64(len(l.ring))}
	}
	return &Cursor{l, seq + 1}
}

// Knows tells whether id is of an event of this log, which it need not hold any more.
func (l *Log) Knows(id string) bool {
	seq, ok := l.seq(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	return ok && 0 < seq && seq < l.next
}

// seq reads an ID.
func (l *Log) seq(id string) (n uint64, ok bool) {
	boot, number, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	return n, err == nil && boot == l.boot
}

// at returns the place of an event. mu is held.
func (l *Log) at(seq uint64) *Event { return &l.ring[(seq-1)%held] }

// Next returns the next events, at most n, and how many before them are lost
// because the cursor was too slow. It blocks until there is one, or ctx is
// done, whose error it returns.
func (c *Cursor) Next(ctx context.Context, n int) (events []Event, lost uint64, err error) {
	for {
		events, lost, changed := c.take(n)
		if len(events) > 0 {
			return events, lost, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// take returns what there is now.
func (c *Cursor) take(n int) (events []Event, lost uint64, changed <-chan struct{}) {
	l := c.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if oldest := l.next - uint64(len(l.ring)); c.next < oldest {
		lost = oldest - c.next
		c.next = oldest
	}
	for ; c.next < l.next && len(events) < n; c.next++ {
		events = append(events, *l.at(c.next))
	}
	return events, lost, l.changed
}
