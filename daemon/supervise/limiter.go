package supervise

import (
	"context"
	"sync"
	"time"
)

// Times of the limiter.
const (
	maxHold   = 2 * time.Second        // a slow dial gives its slot back and goes on
	maxJitter = 100 * time.Millisecond // between dials that had to wait
)

// Limiter bounds how many runs are between their start and their first media.
// After a power cut all cameras of a site come back at the same moment, and
// answer before they can stream. A nil Limiter does not limit.
type Limiter struct {
	slots chan struct{}
}

// NewLimiter returns a Limiter for n runs at once, n ≥ 1.
func NewLimiter(n int) *Limiter { return &Limiter{make(chan struct{}, n)} }

// acquire waits for a slot, first come, first served. release may be called
// more than once. The only error is that of ctx.
func (l *Limiter) acquire(ctx context.Context) (release func(), err error) {
	if l == nil {
		return func() {}, ctx.Err()
	}
	release = sync.OnceFunc(func() { <-l.slots })
	select {
	case l.slots <- struct{}{}:
		return release, nil
	default:
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// Those who waited together must not dial together.
	if err := sleep(ctx, time.Duration(random(int64(maxJitter))), nil, nil, nil); err != nil {
		release()
		return nil, err
	}
	return release, nil
}
