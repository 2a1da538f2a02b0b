package relay

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"camrelay/media/hub"
)

// Bounds of what is logged of viewers who are refused.
const (
	refusedEvery = time.Minute // for one path and reason
	maxRefused   = 64          // paths and reasons in that time
)

// refusals remember what was logged of late, so that those who try again and
// again fill no log. The zero value is ready.
type refusals struct {
	mu  sync.Mutex // guards what follows
	all map[string]refused
}

type refused struct {
	logged time.Time
	more   int // since then
}

// note tells whether another refusal is to be logged, and how many like it were
// not since the last one.
func (r *refusals) note(key string, now time.Time) (more int, tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, known := r.all[key]
	switch {
	case known && now.Sub(was.logged) < refusedEvery:
		was.more++
		r.all[key] = was
		return 0, false
	case r.all == nil:
		r.all = make(map[string]refused)
	case !known && len(r.all) >= maxRefused:
		maps.DeleteFunc(r.all, func(_ string, v refused) bool { return now.Sub(v.logged) >= refusedEvery })
		if len(r.all) >= maxRefused {
			return 0, false
		}
	}
	r.all[key] = refused{logged: now}
	return was.more, true
}

// refuse logs why somebody gets no stream. Who is asked for credentials is not
// refused yet, and who has gone by himself is not at all.
func (r *Relay) refuse(ctx context.Context, req hub.Request, err error) {
	if ctx.Err() != nil || errors.Is(err, hub.ErrDenied) {
		return
	}
	path := req.Path[:min(len(req.Path), maxName)]
	if more, tell := r.refusals.note(path+" "+err.Error(), time.Now()); tell {
		r.log.Info("viewer refused", "cam", path, "protocol", req.Protocol, "remote", req.Remote, "reason", err, "more", more)
	}
}
