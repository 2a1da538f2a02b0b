package supervise

import (
	"context"
	"slices"
	"sync"
	"time"
)

// settle is how long a turn is held back, so that of those who come at the same
// moment the one of the highest priority is first.
const settle = 50 * time.Millisecond

// Pace spreads the starts of runs that share an uplink: one at a time, those of
// higher priority first. It also lets them know from one another when the
// uplink is back. A nil Pace holds nobody up.
type Pace struct {
	interval time.Duration

	mu    sync.Mutex // guards what follows
	queue []*turn    // in order of arrival
	next  time.Time  // no turn before
	armed bool       // a timer will give the next turn
	back  chan struct{}
}

// turn is one who waits.
type turn struct {
	priority int
	come     chan struct{} // closed when it is its turn
}

// NewPace returns a Pace of one start per interval.
func NewPace(interval time.Duration) *Pace {
	return &Pace{interval: interval, back: make(chan struct{})}
}

// Await waits for a turn. Its only error is that of ctx.
func (p *Pace) Await(ctx context.Context, priority int) error {
	if p == nil {
		return ctx.Err()
	}
	mine := &turn{priority, make(chan struct{})}
	p.mu.Lock()
	p.queue = append(p.queue, mine)
	p.arm()
	p.mu.Unlock()
	select {
	case <-mine.come:
		return ctx.Err()
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.DeleteFunc(p.queue, func(t *turn) bool { return t == mine })
	return ctx.Err()
}

// arm sets the timer of the next turn. mu is held.
func (p *Pace) arm() {
	if p.armed || len(p.queue) == 0 {
		return
	}
	p.armed = true
	time.AfterFunc(max(settle, time.Until(p.next)), p.give)
}

// give gives the next turn.
func (p *Pace) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	if len(p.queue) == 0 {
		return
	}
	first := 0
	for i, t := range p.queue {
		if t.priority > p.queue[first].priority {
			first = i
		}
	}
	close(p.queue[first].come)
	p.queue = slices.Delete(p.queue, first, first+1)
	p.next = time.Now().Add(p.interval)
	p.arm()
}

// Returned tells all who wait because nothing came back that the uplink is there.
func (p *Pace) Returned() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.back)
	p.back = make(chan struct{})
}

// returned is closed when the uplink is back.
func (p *Pace) returned() <-chan struct{} {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.back
}
