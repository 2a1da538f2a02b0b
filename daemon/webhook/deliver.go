package webhook

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Bounds of a delivery.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
	maxTries   = 5                      // of an event that the hook refuses
	flushTime  = 500 * time.Millisecond // for what is left when the daemon stops
)

// Deliverer posts events to one hook, one request an event, in order. The Log
// is its queue: a hook that falls too far behind loses the oldest events.
type Deliverer struct {
	client *Client
	cursor *Cursor
	types  []string
	log    *slog.Logger
	pause  time.Duration // before the last try; 0: the one before went well
}

// NewDeliverer returns a Deliverer of what is appended to events from now on.
// types are separated by spaces, a last element of * stands for any; empty:
// everything.
func NewDeliverer(c *Client, events *Log, types string, log *slog.Logger) *Deliverer {
	return &Deliverer{client: c, cursor: events.Live(), types: strings.Fields(types), log: log}
}

// Run delivers until ctx is done, then for a moment what is left.
func (d *Deliverer) Run(ctx context.Context) error {
	for {
		events, lost, err := d.cursor.Next(ctx, 1)
		if err != nil {
			d.flush(ctx)
			return err
		}
		d.lost(lost)
		if !d.wants(events[0]) {
			continue
		}
		if err := d.deliver(ctx, events[0]); err != nil {
			d.flush(ctx, events[0])
			return err
		}
	}
}

func (d *Deliverer) lost(n uint64) {
	if n > 0 {
		d.client.drop(n)
		d.log.Warn("a hook is too slow, events are lost to it", "hook", d.client.Status().URL, "events", n)
	}
}

// wants tells whether the hook is told of events like e.
func (d *Deliverer) wants(e Event) bool { return Matches(d.types, e.Type) }

// Matches tells whether an event's type is among types, of which each may end
// in ".*". No types at all match everything.
func Matches(types []string, typ string) bool {
	return len(types) == 0 || slices.ContainsFunc(types, func(t string) bool {
		all, isAll := strings.CutSuffix(t, "*")
		return t == typ || isAll && strings.HasPrefix(typ, all)
	})
}

// deliver posts e until the hook takes it, has refused it maxTries times, the
// log has lost it, or ctx is done.
func (d *Deliverer) deliver(ctx context.Context, e Event) error {
	for try := 1; ; try++ {
		err := d.post(ctx, e)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d.client.note(err) {
			d.turned(err)
		}
		if err == nil {
			d.pause = 0
			return nil
		}
		if isRefusal(err) && try == maxTries {
			d.client.drop(1)
			d.log.Warn("a hook refuses an event, it is lost to it", "hook", d.client.Status().URL, "event", e.ID, "err", err)
			return nil
		}
		if d.cursor.behind() >= held {
			d.client.drop(1)
			return nil
		}
		d.pause = max(firstRetry, min(2*d.pause, lastRetry))
		timer := time.NewTimer(d.pause/2 + rand.N(d.pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// isRefusal tells an answer that speaks of the event from one that speaks of
// the hook, to which events can still be delivered when it has been mended.
func isRefusal(err error) bool {
	status, ok := errors.AsType[statusError](err)
	return ok && (status == 400 || status == 413 || status == 422)
}

func (d *Deliverer) turned(err error) {
	if err != nil {
		d.log.Warn("a hook fails, its events wait", "hook", d.client.Status().URL, "err", err)
		return
	}
	d.log.Info("a hook works again", "hook", d.client.Status().URL)
}

func (d *Deliverer) post(ctx context.Context, e Event) error {
	reply, err := d.client.Post(ctx, "", e)
	switch {
	case errors.Is(err, errTooLong) && reply.Code/100 == 2:
		return nil // nobody needs what it says
	case err != nil:
		return err
	case reply.Code/100 != 2:
		return statusError(reply.Code)
	}
	return nil
}

// flush posts what is left, once each, for a moment.
func (d *Deliverer) flush(ctx context.Context, first ...Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	rest, lost, _ := d.cursor.take(held)
	d.lost(lost)
	left := slices.DeleteFunc(append(first, rest...), func(e Event) bool { return !d.wants(e) })
	for i, e := range left {
		err := d.post(ctx, e)
		d.client.note(err)
		if err != nil {
			d.lost(uint64(len(left) - i))
			return
		}
	}
}
