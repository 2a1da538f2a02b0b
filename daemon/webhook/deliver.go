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

// Deliverer posts the events of a queue to one hook, one request an event, in
// order.
type Deliverer struct {
	client *Client
	queue  *Queue
	log    *slog.Logger
	pause  time.Duration // before the last try; 0: the one before went well
}

// NewDeliverer returns a Deliverer of the queue, which is read by no other at
// the same time.
func NewDeliverer(c *Client, q *Queue, log *slog.Logger) *Deliverer {
	return &Deliverer{client: c, queue: q, log: log}
}

// Run delivers until ctx is done. What was not delivered is still in the queue.
func (d *Deliverer) Run(ctx context.Context) error {
	for {
		e, err := d.queue.next(ctx)
		if err != nil {
			return err
		}
		if err := d.deliver(ctx, e); err != nil {
			return err
		}
		d.queue.done(e)
	}
}

// tellLosses says that the hook is too slow.
func (d *Deliverer) tellLosses() {
	if n := d.queue.losses(); n > 0 {
		d.log.Warn("a hook is too slow, events are lost to it", "hook", d.client.Status().URL, "events", n)
	}
}

// Matches tells whether an event's type is among types, of which each may end
// in ".*". No types at all match everything.
func Matches(types []string, typ string) bool {
	return len(types) == 0 || slices.ContainsFunc(types, func(t string) bool {
		all, isAll := strings.CutSuffix(t, "*")
		return t == typ || isAll && strings.HasPrefix(typ, all)
	})
}

// deliver posts e until the hook takes it, has refused it maxTries times, the
// queue has lost it, or ctx is done.
func (d *Deliverer) deliver(ctx context.Context, e Event) error {
	for try := 1; ; try++ {
		err := d.post(ctx, e)
		if ctx.Err() != nil && err != nil {
			return ctx.Err()
		}
		d.tellLosses()
		if d.client.note(err) {
			d.turned(err)
		}
		if err == nil {
			d.pause = 0
			return nil
		}
		if !d.queue.holds(e) {
			return nil
		}
		if isRefusal(err) && try == maxTries {
			d.client.drop(1)
			d.log.Warn("a hook refuses an event, it is lost to it", "hook", d.client.Status().URL, "event", e.ID, "err", err)
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

// Flush posts what is left, once each, for a moment: the daemon stops. Run has
// ended before.
func (d *Deliverer) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	for e, ok := d.queue.oldest(); ok; e, ok = d.queue.oldest() {
		err := d.post(ctx, e)
		d.client.note(err)
		if err != nil {
			d.drop(d.queue.left())
			return
		}
		d.queue.done(e)
	}
}

// drop counts n events that nobody will be told of.
func (d *Deliverer) drop(n int) {
	d.client.drop(uint64(n))
	d.log.Warn("a hook has not taken its last events", "hook", d.client.Status().URL, "events", n)
}
