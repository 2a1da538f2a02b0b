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

// Withhold refuses a request for a stream that is not served this way, for a
// reason in words. Who may not see it is told what he is told of any name, and who
// is known by no name what he is told of one that does not exist.
func (r *Relay) Withhold(ctx context.Context, req hub.Request, reason string) error {
	who, err := r.Access.View(req)
	if err != nil {
		r.refuse(ctx, req, err)
		return err
	}
	why := hub.Refuse(hub.ErrNotFound, reason)
	r.refuse(ctx, req, why)
	if who.Anonymous() {
		return hub.ErrNotFound
	}
	return why
}

// Refused is told by a server of somebody whom it has not let ask.
func (r *Relay) Refused(req hub.Request, err error) { r.refuse(context.Background(), req, err) }

// refuse counts who gets no stream, and logs why. Who is asked for credentials is
// not refused yet, and who has gone by himself is not at all.
func (r *Relay) refuse(ctx context.Context, req hub.Request, err error) {
	if ctx.Err() != nil || errors.Is(err, hub.ErrDenied) && asksAgain(req) {
		return
	}
	r.Config.Refused(req.Protocol, err)
	path := req.Path[:min(len(req.Path), maxName)]
	reason := err.Error()
	switch {
	case !errors.Is(err, hub.ErrDenied):
	case given(req):
		reason = "wrong user, password or token"
	default:
		reason = "no user, password or token"
	}
	if more, tell := r.refusals.note(path+" "+reason, time.Now()); tell {
		r.log.Info("viewer refused", "cam", path, "protocol", req.Protocol, "remote", req.Remote,
			"reason", reason, "more", more)
	}
}

// given tells whether a request shows credentials.
func given(req hub.Request) bool {
	return req.User != "" || req.Password != "" || req.Token != "" || req.Digest != nil || req.Query.Get("token") != ""
}

// asksAgain tells whether who has shown no credentials does so once it is asked
// for them: RTMP and SRT ask for none.
func asksAgain(req hub.Request) bool {
	return !given(req) && req.Protocol != "rtmp" && req.Protocol != "srt"
}
