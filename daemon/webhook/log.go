package webhook

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// held is how many events a Log holds.
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

	mu      sync.Mutex // guards what follows
	ring    []Event
	next    uint64        // of the next event; the first is 1
	changed chan struct{} // closed and replaced by Append
}

// NewLog returns an empty log, whose events have a part in their ID that no
// other log has.
func NewLog() *Log {
	var b [6]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	return &Log{boot: hex.EncodeToString(b[:]), next: 1, changed: make(chan struct{})}
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
	if len(l.ring) == held {
		l.ring = append(l.ring[:0], l.ring[1:]...)
	}
	l.ring = append(l.ring, e)
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
	boot, number, _ := strings.Cut(id, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || boot != l.boot || seq >= l.next {
		return &Cursor{l, l.next - uint64(len(l.ring))}
	}
	return &Cursor{l, seq + 1}
}

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
	from := len(l.ring) - int(l.next-c.next)
	events = slices.Clone(l.ring[from:min(len(l.ring), from+n)])
	c.next += uint64(len(events))
	return events, lost, l.changed
}

// behind returns how many events the cursor has still to read or has lost.
func (c *Cursor) behind() uint64 {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.log.next - c.next
}
