package daemon

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/health"
	"camrelay/daemon/supervise"
	"camrelay/hal"
	"camrelay/hal/led"
)

// patternOf is what an LED shows of how everything is.
func patternOf(
	cameras []cameraReport, pushes []api.Push, conf api.ConfigStatus, box []health.BoxCondition,
) led.Pattern {
	grave := func(c health.BoxCondition) bool { return c.Severity == string(hal.Grave) }
	out := func(c cameraReport) bool {
		return !c.state.Warm && c.phase != supervise.Idle && c.phase != supervise.Stopped &&
			c.phase != supervise.Starting
	}
	down := func(p api.Push) bool {
		return p.State.Phase == supervise.Reconnecting || p.State.Phase == supervise.Failed
	}
	switch {
	case conf.State == stateRejected, conf.State == stateLastGood, conf.State == statePartial:
		return led.Rejected
	case slices.ContainsFunc(box, grave):
		return led.Hardware
	case len(cameras) == 0:
		return led.Setup
	case slices.ContainsFunc(cameras, out):
		return led.Camera
	case slices.ContainsFunc(pushes, down):
		return led.Upstream
	}
	return led.Well
}

// identifyFor is how long the box shows which one it is.
const identifyFor = 15 * time.Second

// beacon drives the LED. Its methods may be called from any goroutine.
type beacon struct {
	root string // of the board
	log  *slog.Logger

	name    atomic.Pointer[string] // of the configuration; nil: none yet
	lit     atomic.Bool            // there is one
	news    chan struct{}          // name or pattern is another
	asked   chan struct{}          // it is to show which box it is
	pattern atomic.Pointer[led.Pattern]
}

func newBeacon(root string, log *slog.Logger) *beacon {
	b := &beacon{root: root, log: log, news: make(chan struct{}, 1), asked: make(chan struct{}, 1)}
	b.pattern.Store(new(led.Booting))
	return b
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is waiting already
	}
}

// use takes the LED of that name, as in config.Box.
func (b *beacon) use(name string) {
	if old := b.name.Swap(&name); old == nil || *old != name {
		signal(b.news)
	}
}

// show shows a pattern, if it is another.
func (b *beacon) show(p led.Pattern) {
	if *b.pattern.Swap(&p) != p {
		signal(b.news)
	}
}

// identify shows for a while which box it is, and tells whether there is an LED.
func (b *beacon) identify() bool {
	if !b.lit.Load() {
		return false
	}
	signal(b.asked)
	return true
}

// Run drives the LED until ctx is done, and gives it back.
func (b *beacon) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		name := b.name.Load()
		if name == nil || *name == "" || !b.drive(ctx, *name) {
			select { // for another name
			case <-b.news:
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}

// drive shows patterns by the LED of that name until another is to do so. It tells
// false if it cannot.
func (b *beacon) drive(ctx context.Context, name string) bool {
	board, err := hal.Open(b.root)
	if err != nil {
		b.log.Error("the LEDs cannot be read", "err", err)
		return false
	}
	defer board.Close()
	chosen, ok := led.Choose(led.Read(board), name)
	if !ok {
		if name != "auto" {
			b.log.Warn("there is no LED of this name", "led", name)
		}
		return false
	}
	lamp, err := led.Take(board, chosen)
	if err != nil {
		b.log.Info("the LED may not be used", "led", chosen.Name, "err", err)
		return false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failure atomic.Pointer[error]
	next := make(chan led.Pattern)
	var showing sync.WaitGroup
	showing.Go(func() {
		led.Show(ctx, lamp, next, func(err error) {
			failure.Store(&err)
			cancel()
		})
	})
	b.log.Info("an LED shows how the box is", "led", chosen.Name)
	b.lit.Store(true)
	b.feed(ctx, name, next)
	b.lit.Store(false)
	cancel()
	showing.Wait()
	if err := failure.Load(); err != nil {
		b.log.Info("the LED may not be used", "led", chosen.Name, "err", *err)
		return false
	}
	if err := lamp.Return(); err != nil {
		b.log.Warn("the LED stays as it is", "led", chosen.Name, "err", err)
	}
	return true
}

// feed passes on what is to be shown, until ctx is done or the name is another.
func (b *beacon) feed(ctx context.Context, name string, next chan<- led.Pattern) {
	identified := time.NewTimer(0)
	defer identified.Stop()
	<-identified.C
	busy := false
	for {
		p := *b.pattern.Load()
		if busy {
			p = led.Identify
		}
		select {
		case next <- p:
		case <-ctx.Done():
			return
		}
		select {
		case <-b.news:
			if *b.name.Load() != name {
				return
			}
		case <-b.asked:
			busy = true
			identified.Reset(identifyFor)
		case <-identified.C:
			busy = false
		case <-ctx.Done():
			return
		}
	}
}
