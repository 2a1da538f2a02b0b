package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
)

// choice is which of its two targets a push uses.
type choice struct {
	backup   bool
	failures [2]int    // attempts in a row without a minute of media: of the primary, of the backup
	dry      time.Time // no media since; zero while it flows
}

// steady is how long media has flowed when failures before do not count any more.
const steady = time.Minute

// ended notes that a session with the target in use has failed at now, after
// media had flowed for so long, and tells whether the other one is next.
func (c *choice) ended(t pushTerms, flowed time.Duration, now time.Time) (switched bool) {
	i := 0
	if c.backup {
		i = 1
	}
	if flowed > 0 || c.dry.IsZero() {
		c.dry = now
	}
	if flowed >= steady {
		c.failures[i] = 0
	}
	c.failures[i]++
	switch {
	case t.backup.scheme == "":
		return false
	case c.failures[i]%max(1, t.failures) == 0, !c.backup && now.Sub(c.dry) >= t.after:
		c.backup, c.dry = !c.backup, now
		return true
	}
	return false
}

// next returns the failures of the target in use.
func (c *choice) next() int {
	if c.backup {
		return c.failures[1]
	}
	return c.failures[0]
}

// inUse returns the target that is used now or next. pushes.mu is held.
func (m *push) inUse() targetSpec {
	if m.backup && m.terms.backup.scheme != "" {
		return m.terms.backup
	}
	return m.spec.target
}

// Why a session of a push ends whose push goes on.
var (
	errEdited   = errors.New("the target was edited")
	errReturned = errors.New("the primary target works again")
	errTrial    = errors.New("the backup target has to be seen to first")
)

// attempt runs a session with the target in use, and chooses the next one.
func (p *pushes) attempt(ctx context.Context, m *push, s *hub.Stream, active func(), log *slog.Logger) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	p.mu.Lock()
	m.end = end
	m.backup = m.backup && m.terms.backup.scheme != ""
	onBackup, to := m.backup, m.inUse()
	p.mu.Unlock()
	begun := time.Now()
	var flowing atomic.Int64 // how long after begun media has flowed first, 0: not yet
	mark := func() {
		if flowing.Load() == 0 {
			flowing.CompareAndSwap(0, max(1, int64(time.Since(begun))))
		}
		active()
	}
	run := p.session
	if onBackup {
		run = p.besidePrimary
	}
	err := run(ctx, m, to, s, mark, log)
	if errors.Is(context.Cause(ctx), errEdited) {
		return &supervise.HaltError{Err: errEdited}
	}
	if _, halted := errors.AsType[*supervise.HaltError](err); halted || ctx.Err() != nil {
		return err
	}
	flowed := time.Duration(0)
	if first := flowing.Load(); first != 0 {
		flowed = max(1, time.Since(begun)-time.Duration(first))
	}
	return p.choose(m, flowed, err)
}

// choose chooses the target after a session that has failed.
func (p *pushes) choose(m *push, flowed time.Duration, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !m.ended(m.terms, flowed, time.Now()) {
		return err
	}
	p.tell(m, "switched", err.Error())
	return &supervise.ElsewhereError{Err: err, Failures: m.next()}
}

// besidePrimary runs a session with the backup, and from time to time another
// with the primary: when media flows there, the one with the backup ends.
func (p *pushes) besidePrimary(ctx context.Context, m *push, to targetSpec, s *hub.Stream, active func(),
	log *slog.Logger,
) error {
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := p.begun(inner, m, to, s, active, log)
	for {
		var due <-chan time.Time
		if back := p.detailsOf(m).back; back > 0 {
			due = time.After(back)
		}
		select {
		case err := <-done:
			return err
		case <-due:
		}
		if _, err := p.pace.Await(ctx, p.detailsOf(m).priority, time.Time{}); err != nil {
			return <-done
		}
		trying, giveUp := context.WithCancelCause(ctx)
		works := make(chan struct{})
		var once atomic.Bool
		trial := p.begun(trying, m, m.spec.target, s, func() {
			if !once.Load() && once.CompareAndSwap(false, true) {
				close(works)
			}
			active()
		}, log)
		select {
		case err := <-trial:
			giveUp(nil)
			log.Info("the primary target does not work yet", "err", err)
		case err := <-done: // a trial may last for ever: that of a primary which waits to be called
			giveUp(errTrial)
			log.Info("the primary target is not tried any longer", "err", <-trial)
			return err
		case <-works:
			defer giveUp(nil)
			p.back(m)
			stop(errReturned)
			if err := <-done; !errors.Is(err, context.Canceled) {
				log.Info("the backup target is not used any more", "err", err)
			}
			return <-trial
		}
	}
}

// begun runs a session in a goroutine of its own and returns where it says why
// it has ended.
func (p *pushes) begun(ctx context.Context, m *push, to targetSpec, s *hub.Stream, active func(), log *slog.Logger,
) <-chan error {
	ended := make(chan error, 1)
	go func() {
		var err error
		defer func() { ended <- err }()
		defer media.Contain(&err)
		err = p.session(ctx, m, to, s, active, log)
	}()
	return ended
}

// back notes that the primary target is used again.
func (p *pushes) back(m *push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.choice = choice{}
	p.tell(m, "switched", errReturned.Error())
}
