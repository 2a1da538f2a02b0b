package daemon

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/health"
	"camrelay/daemon/metrics"
	"camrelay/daemon/webhook"
	"camrelay/hal"
	hardware "camrelay/hal/box"
	"camrelay/hal/clock"
	mem "camrelay/hal/memory"
)

// boxPeriod is how often the hardware is looked at.
const boxPeriod = 10 * time.Second

// box watches the hardware, in a goroutine of its own: a sensor that hangs holds
// nobody up. What it finds may be read from any goroutine.
type box struct {
	root, dir string // of the board; of the segments
	floor     time.Time
	use       func() (budget, used int64) // of segments, in bytes
	events    *webhook.Log
	log       *slog.Logger

	ledger health.Box // these belong to the goroutine of Run
	shed   shedding
	steps  clock.Steps
	count  int // of steps

	level   atomic.Int32  // mem.Level of what is done without
	changed chan struct{} // holds one while level is news
	state   atomic.Pointer[boxState]
}

// boxState is what was found last.
type boxState struct {
	report     hardware.Report
	conditions []health.BoxCondition
	level      mem.Level
	steps      int
}

// floor is a time that has passed.
func floor() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// Run watches until ctx is done.
func (b *box) Run(ctx context.Context) error {
	board, err := hal.Open(b.root)
	if err != nil {
		return err
	}
	defer board.Close()
	tick := time.NewTicker(boxPeriod)
	defer tick.Stop()
	for {
		report := hardware.Read(board, b.dir)
		now, err := clock.Now()
		if err != nil {
			return err
		}
		b.look(report, now)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look takes a report.
func (b *box) look(r hardware.Report, at clock.Moment) {
	now := at.Wall
	if step := b.steps.Look(at); step != 0 {
		b.count++
		b.log.Warn("the clock was set", "by", step.Round(time.Millisecond))
		b.events.Append(webhook.Event{
			Type: "box.clock_stepped", Reason: "the clock was set", Data: map[string]any{"seconds": step.Seconds()},
		})
	}
	budget, used := b.use()
	var faults []health.Fault
	for _, f := range r.Judge(hardware.Use{Now: now, Floor: b.floor, Budget: budget, Used: used}) {
		faults = append(faults, health.Fault{Name: health.Name(f.Name), Severity: string(f.Severity), Text: f.Text})
	}
	raised, cleared := b.ledger.Look(now, faults)
	for _, c := range raised {
		b.log.Warn("the box is not well", "condition", string(c.Name), "severity", c.Severity, "why", c.Text)
		b.tell("box.condition_raised", c)
	}
	for _, c := range cleared {
		b.log.Info("the box is well again", "condition", string(c.Name))
		b.tell("box.condition_cleared", c)
	}
	level := b.shed.next(r.Memory.Level(), now)
	b.state.Store(&boxState{r, b.ledger.Conditions(), level, b.count})
	if before := mem.Level(b.level.Swap(int32(level))); before != level {
		b.log.Warn("there is more or less memory", "level", levelName(level), "done_without", shedWords(level))
		if level > before {
			debug.FreeOSMemory()
		}
		signal(b.changed)
	}
}

func (b *box) tell(kind string, c health.BoxCondition) {
	b.events.Append(webhook.Event{
		Type: kind, Reason: c.Text, Data: map[string]any{"condition": c.Name, "severity": c.Severity},
	})
}

// short returns what is done without.
func (b *box) short() mem.Level { return mem.Level(b.level.Load()) }

// hottest returns the highest temperature, nil if there is none.
func (s *boxState) hottest() (celsius *float64) {
	for _, z := range s.report.Thermal.Zones {
		if z.Celsius != nil && (celsius == nil || *z.Celsius > *celsius) {
			celsius = z.Celsius
		}
	}
	return celsius
}

// conditions returns what is wrong.
func (b *box) conditions() []health.BoxCondition {
	if s := b.state.Load(); s != nil {
		return s.conditions
	}
	return nil
}

// status is what the API tells.
func (b *box) status() *api.BoxStatus {
	s := b.state.Load()
	if s == nil {
		return nil
	}
	st := &api.BoxStatus{
		Model: s.report.Board.Model, Conditions: []api.BoxCondition{}, Celsius: s.hottest(),
		ClockSynced: s.report.Clock.Synced, ClockSteps: s.steps,
		MemoryLevel: levelName(s.level), Shed: shedWords(s.level),
	}
	for _, c := range s.conditions {
		st.Conditions = append(st.Conditions, api.BoxCondition{
			ConditionStatus: api.ConditionStatus{Name: string(c.Name), Text: c.Text, Since: c.Since}, Severity: c.Severity,
		})
	}
	return st
}

// figures is what the metrics show.
func (b *box) figures() metrics.Box {
	s := b.state.Load()
	if s == nil {
		return metrics.Box{}
	}
	f := metrics.Box{MemoryLevel: int(s.level), Synced: s.report.Clock.Synced, ClockSteps: uint64(s.steps)}
	for _, c := range s.conditions {
		f.Conditions = append(f.Conditions, string(c.Name))
	}
	if c := s.hottest(); c != nil {
		f.Celsius = *c
	}
	if p := s.report.Memory.Pressure; p != nil {
		f.Pressure = p.Some10 / 100
	}
	for _, l := range s.report.Links {
		if l.Up() {
			f.LinksUp++
		}
	}
	return f
}
