package supervise

import (
	"context"
	"sync"
	"time"
)

// Times of the pace.
const (
	// settle is how long a turn is held back, so that of those who come at the
	// same moment the one of the highest priority is first.
	settle = 50 * time.Millisecond
	// unanswered is how long one who looks whether the uplink is back keeps the
	// others from it: more than most pushes wait for an answer.
	unanswered = 12 * time.Second
)

// fair is how many who look for the uplink go by priority before one goes that
// has waited longest: what the most important ones look for may never return.
const fair = 2

// Pace spreads the starts of runs that share an uplink: one at a time, those of
// higher priority first. Where nothing comes back, one of them looks for the
// uplink at a time, and all others follow when it has found it. A nil Pace holds
// nobody up.
//
// # Why
//
// Sixteen callers whose line is cut call again at any time. When it returns,
// the network lets all their unanswered calls through at once.
type Pace struct {
	interval time.Duration

	mu      sync.Mutex // guards what follows
	queue   []*turn    // in order of arrival
	next    time.Time  // no turn before
	armed   bool       // a timer will give the next turn
	looking bool       // somebody looks for the uplink
	looks   int        // how many have
	seen    time.Time  // when the uplink was seen last
	back    chan struct{}
}

// turn is one who waits.
type turn struct {
	priority int
	unheard  time.Time     // when nothing came back; zero: something did
	come     chan struct{} // closed when it is its turn
	looks    bool          // it is to look for the uplink
}

// NewPace returns a Pace of one start per interval.
func NewPace(interval time.Duration) *Pace {
	return &Pace{interval: interval, back: make(chan struct{})}
}

// Await waits for a turn. unheard is when nothing came back from the peer, zero
// if something did last time. answered is to be called when something has come
// back, or the run has ended; it may be called more than once. The only error
// is that of ctx.
func (p *Pace) Await(ctx context.Context, priority int, unheard time.Time) (answered func(), err error) {
	if p == nil {
		return func() {}, ctx.Err()
	}
	mine := &turn{priority: priority, unheard: unheard, come: make(chan struct{})}
	p.mu.Lock()
	p.queue = append(p.queue, mine)
	p.arm()
	p.mu.Unlock()
	select {
	case <-mine.come:
		answered = sync.OnceFunc(func() { p.answered(mine) })
		if mine.looks {
			time.AfterFunc(unanswered, answered)
		}
		if ctx.Err() != nil {
			answered()
		}
		return answered, ctx.Err()
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.remove(mine) && mine.looks { // it came meanwhile
		p.looking = false
		p.arm()
	}
	return func() {}, ctx.Err()
}

// answered lets the next look for the uplink.
func (p *Pace) answered(t *turn) {
	if !t.looks {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looking = false
	p.arm()
}

// remove takes a turn out of the queue, if it is there. mu is held.
func (p *Pace) remove(t *turn) bool {
	for i, other := range p.queue {
		if other == t {
			p.queue = append(p.queue[:i:i], p.queue[i+1:]...)
			return true
		}
	}
	return false
}

// arm sets the timer of the next turn, if there is one. mu is held.
func (p *Pace) arm() {
	if p.armed || p.first() == nil {
		return
	}
	p.armed = true
	time.AfterFunc(max(settle, time.Until(p.next)), p.give)
}

// first returns whose turn it is, nil if it is nobody's. mu is held.
func (p *Pace) first() *turn {
	var best, longest *turn
	for _, t := range p.queue {
		looks := p.looksOut(t)
		if looks && p.looking {
			continue
		}
		if looks && longest == nil {
			longest = t
		}
		if best == nil || t.priority > best.priority {
			best = t
		}
	}
	if best != nil && p.looksOut(best) && p.looks%(fair+1) == fair {
		return longest
	}
	return best
}

// looksOut tells whether nobody has seen the uplink since t was not heard. mu is held.
func (p *Pace) looksOut(t *turn) bool { return !t.unheard.IsZero() && !p.seen.After(t.unheard) }

// give gives the next turn.
func (p *Pace) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	t := p.first()
	if t == nil {
		return
	}
	if p.looksOut(t) {
		t.looks, p.looking = true, true
		p.looks++
	}
	p.remove(t)
	close(t.come)
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
	p.seen = time.Now()
	close(p.back)
	p.back = make(chan struct{})
	p.arm()
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
