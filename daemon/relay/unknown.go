package relay

import (
	"context"
	"errors"
	"maps"
	"time"

	"camrelay/media/hub"
)

// Bounds of what is asked of the hook.
const (
	maxQueries      = 64               // names at once
	maxName         = 255              // bytes
	refusalStands   = time.Second      // who comes so soon after a refusal gets the same
	notFoundTimeout = 10 * time.Second // default of Config.NotFoundTimeout
)

// query is one unknown name that is asked for, with all who wait for it.
type query struct {
	cancel context.CancelFunc
	done   chan struct{} // closed by Relay.answer
	err    error         // then: why there is no such path; nil: there is
	until  time.Time     // then: so long a refusal stands
}

func (q *query) answered() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// find returns the path that the request names: of the configuration, or as the
// hook says. All who ask for one name share one question and its answer.
func (r *Relay) find(ctx context.Context, req hub.Request) (*Path, error) {
	p, q, err := r.query(ctx, req)
	if p != nil || err != nil {
		return p, err
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if q.err != nil {
		return nil, q.err
	}
	if p := r.Path(req.Path); p != nil {
		return p, nil
	}
	return nil, hub.ErrNotFound
}

// query returns the path of that name, or the question about it, which it asks
// if nobody has.
func (r *Relay) query(ctx context.Context, req hub.Request) (*Path, *query, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.paths[req.Path]; p != nil {
		return p, nil, nil
	}
	if r.Hooks == nil || r.closed || req.Path == "" || len(req.Path) > maxName {
		return nil, nil, hub.ErrNotFound
	}
	now := time.Now()
	maps.DeleteFunc(r.queries, func(_ string, q *query) bool { return q.answered() && !now.Before(q.until) })
	if q := r.queries[req.Path]; q != nil {
		return nil, q, nil
	}
	if len(r.queries) >= maxQueries {
		return nil, nil, hub.Refuse(hub.ErrUnavailable, "too many unknown streams are asked for, try again later")
	}
	limit := r.NotFoundTimeout
	if limit == 0 {
		limit = notFoundTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit) // whoever asked first may go
	q := &query{cancel: cancel, done: make(chan struct{})}
	r.queries[req.Path] = q
	r.asking.Go(func() {
		defer cancel()
		err := r.ask(ctx, q, req)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.answer(q, err)
	})
	return nil, q, nil
}

// answer ends a question for all who wait. mu is held.
func (r *Relay) answer(q *query, err error) {
	if q.answered() {
		return
	}
	q.err = err
	if err != nil {
		q.until = time.Now().Add(refusalStands)
	}
	close(q.done)
}

// ask asks the hook about a name, does as it says, and returns why there is no
// such path, or nil once there is.
func (r *Relay) ask(ctx context.Context, q *query, req hub.Request) error {
	req.User, req.Password, req.Token = "", "", ""
	req.Query = maps.Clone(req.Query)
	req.Query.Del("token")
	r.Observe(Event{
		Type: NotFound, At: time.Now(), Path: req.Path, Protocol: req.Protocol, Remote: req.Remote,
		Reason: hub.ErrNotFound.Error(),
	})
	d, err := r.Hooks.NotFound(ctx, req)
	switch {
	case errors.Is(err, ErrNoHook):
		return hub.ErrNotFound
	case err != nil:
		r.log.Warn("the hook on_not_found has not decided", "cam", req.Path, "err", err)
		return hub.ErrNotFound
	case d.Close && d.Reason != "":
		return hub.Refuse(hub.ErrNotFound, "no such stream: "+d.Reason)
	case d.Close:
		return hub.ErrNotFound
	case d.Source.URL != "":
		if err := r.Sources.Add(ctx, req.Path, d.Source); err != nil && r.Path(req.Path) == nil {
			r.log.Warn("cannot add the source that the hook has named", "cam", req.Path, "err", err)
			return hub.Refuse(hub.ErrUnavailable, "its source cannot be used")
		}
		return nil
	}
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return hub.Refuse(hub.ErrNotFound, "no such stream: nobody has added it in time")
	}
}
