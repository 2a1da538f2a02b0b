package selftest

import (
	"bytes"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"
)

// print is the fingerprint of one picture.
type print uint64

// printOf returns that of a NAL unit, ok is false if it is no picture.
// Specification: ITU-T H.264 §7.4.1.
func printOf(nal []byte) (p print, key, ok bool) {
	if len(nal) < 2 {
		return 0, false, false
	}
	kind := nal[0] & 0x1f
	if kind != 1 && kind != 5 {
		return 0, false, false
	}
	h := fnv.New64a()
	_, _ = h.Write(nal) // it never fails
	return print(h.Sum64()), kind == 5, true
}

// ledger is what the camera has sent, and when, as one receives it who asks the
// camera itself. It may be used from any goroutine.
type ledger struct {
	mu   sync.Mutex // guards sent
	sent map[print]time.Time
}

func newLedger() *ledger { return &ledger{sent: make(map[print]time.Time)} }

func (l *ledger) add(nal []byte) {
	p, _, ok := printOf(nal)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[p] = time.Now()
}

func (l *ledger) find(p print) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.sent[p]
	return t, ok
}

// tally is what one way out has delivered. It may be used from any goroutine.
type tally struct {
	ledger *ledger

	mu      sync.Mutex // guards what follows
	seen    map[print]time.Time
	keys    int
	frames  int
	ended   error // why no more comes; nil while it does
	arrived chan struct{}
}

func newTally(l *ledger) *tally {
	return &tally{ledger: l, seen: make(map[print]time.Time), arrived: make(chan struct{}, 1)}
}

// nal takes one NAL unit.
func (t *tally) nal(b []byte) {
	p, key, ok := printOf(b)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, again := t.seen[p]; again {
		return
	}
	t.seen[p] = time.Now()
	t.frames++
	if key {
		t.keys++
	}
	select {
	case t.arrived <- struct{}{}:
	default:
	}
}

func (t *tally) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = err
	select {
	case t.arrived <- struct{}{}:
	default:
	}
}

// count is what a tally has come to.
type count struct {
	frames, keys, foreign int // foreign were never sent: they are damaged
	median, worst         time.Duration
	err                   error
}

// count judges what has come. Who asks the camera itself may be later by a moment
// than who asks the daemon; then the latency is 0.
func (t *tally) count() count {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := count{frames: t.frames, keys: t.keys, err: t.ended}
	var ages []time.Duration
	for p, at := range t.seen {
		sent, ok := t.ledger.find(p)
		if !ok {
			c.foreign++
			continue
		}
		ages = append(ages, max(0, at.Sub(sent)))
	}
	if len(ages) > 0 {
		slices.Sort(ages)
		c.median, c.worst = ages[len(ages)/2], ages[len(ages)-1]
	}
	return c
}

// settled removes what came so recently that the ledger may not have it yet.
func (t *tally) settle(grace time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	young := time.Now().Add(-grace)
	maps.DeleteFunc(t.seen, func(_ print, at time.Time) bool { return at.After(young) })
}

// splitAnnexB hands each NAL unit of a byte stream to got.
// Specification: ITU-T H.264 Annex B.
func splitAnnexB(b []byte, got func([]byte)) {
	start := []byte{0, 0, 1}
	_, b, found := bytes.Cut(b, start)
	for found {
		var nal []byte
		nal, b, found = bytes.Cut(b, start)
		got(bytes.TrimRight(nal, "\x00"))
	}
}

// splitLengths hands each NAL unit with its length before it in four bytes to got.
// It tells whether the lengths fit.
// Specification: ISO/IEC 14496-15 §5.3.
func splitLengths(b []byte, got func([]byte)) bool {
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if n > len(b)-4 {
			return false
		}
		got(b[4 : 4+n])
		b = b[4+n:]
	}
	return true
}
