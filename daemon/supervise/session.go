package supervise

import (
	"context"
	"sync/atomic"
	"time"
)

// quiet is how often is looked whether media still moves.
const quiet = 5 * time.Second

// activity is what a run tells of its media.
type activity struct {
	seen  atomic.Bool
	moved chan struct{} // has room for one
}

// mark notes that media has moved. One load is all that a moving stream costs.
func (a *activity) mark() {
	if a.seen.Load() || !a.seen.CompareAndSwap(false, true) {
		return
	}
	select {
	case a.moved <- struct{}{}:
	default: // it has been told
	}
}

// session runs once and returns why it ended. release gives back what the start
// needed; it may be called more than once.
func (k *keeper) session(ctx context.Context, release func()) error {
	defer release()
	a := &activity{moved: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- k.guarded(ctx, a.mark) }()

	hold := time.NewTimer(maxHold)
	defer hold.Stop()
	forget := time.NewTimer(stable)
	forget.Stop()
	defer forget.Stop()
	look := time.NewTicker(quiet)
	defer look.Stop()
	if k.Silent == nil {
		look.Stop()
	}
	for {
		select {
		case <-a.moved:
			release()
			if k.state.Phase != Active {
				forget.Reset(stable)
				k.flows()
			}
		case <-look.C:
			if !a.seen.Swap(false) && k.state.Phase == Active {
				forget.Stop()
				k.state.Waiting = k.Silent()
				k.to(Starting, k.state.Waiting)
			}
		case <-hold.C:
			release()
		case <-forget.C:
			k.forgive()
			k.report(k.state)
		case <-k.Retry:
		case err := <-ended:
			if k.state.Connected.IsZero() && a.seen.Load() {
				k.flows()
			}
			if !k.state.Connected.IsZero() {
				k.state.Lost = time.Now()
			}
			return err
		}
	}
}

// flows notes that the run has moved media.
func (k *keeper) flows() {
	k.state.Waiting = ""
	if k.state.Connected.IsZero() {
		k.state.Connected = time.Now()
		k.heard()
		if k.state.outOfReach() {
			k.Pace.Returned()
		}
	}
	k.to(Active, "media arrives")
}
