package webhook

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Live is a session that runs, in the words of Flashphoner's
// StreamKeepAliveEvent, and some of ours.
type Live struct {
	Event     string `json:"event"` // StreamKeepAliveEvent
	ID        string `json:"mediaSessionId"`
	Name      string `json:"name"` // of the stream
	Published bool   `json:"published"`
	Status    string `json:"status"`
	Kind      string `json:"kind"` // pull, push, viewer, keepalive
	Protocol  string `json:"mediaProvider"`
	Remote    string `json:"remote_addr"`
	User      string `json:"user"`
	Uptime    int64  `json:"uptime_seconds"`
}

// eventName is the method of Flashphoner's that Rounds calls: it is added to
// the hook's path.
const eventName = "StreamKeepAliveEvent"

// Bounds of Rounds.
const (
	lookEvery = time.Second // for sessions that have come or gone
	inFlight  = 64          // calls at once
	jitter    = 0.2         // of the interval, to both sides
)

// Rounds asks a hook again and again, for each session that runs, whether it
// may go on. Only a 403 ends a session, and every failure where FailClosed is
// set.
type Rounds struct {
	Client     *Client
	Interval   time.Duration // of each session
	FailClosed bool
	Sessions   func() []Live               // that run now
	End        func(id string, why string) // ends one
	Log        *slog.Logger
}

// visit is one session's place in the rounds.
type visit struct {
	live Live
	due  time.Time
	busy bool // a call is under way
}

// visits are what one Run knows. They belong to its goroutine.
type visits struct {
	*Rounds
	all    map[string]*visit
	looked time.Time // for sessions that have come or gone
	busy   int       // calls under way, those for sessions that have gone among them
	ended  chan string
	calls  sync.WaitGroup
}

// Run goes round until ctx is done, and returns when no call is under way.
func (r *Rounds) Run(ctx context.Context) error {
	v := visits{Rounds: r, all: make(map[string]*visit), ended: make(chan string, inFlight)}
	defer v.calls.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(time.Until(v.begin(ctx, time.Now())))
		case id := <-v.ended:
			v.busy--
			if one := v.all[id]; one != nil {
				one.busy = false
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin calls for the sessions that are due, and returns when the next one is.
func (v *visits) begin(ctx context.Context, now time.Time) (next time.Time) {
	if now.Sub(v.looked) >= lookEvery {
		v.look(now)
	}
	next = v.looked.Add(lookEvery)
	for _, one := range v.all {
		if !one.due.After(now) {
			one.due = now.Add(v.pause())
			v.start(ctx, one)
		}
		if one.due.Before(next) {
			next = one.due
		}
	}
	return next
}

// look brings the visits up to date with the sessions.
func (v *visits) look(now time.Time) {
	v.looked = now
	running := make(map[string]bool, len(v.all))
	for _, live := range v.Sessions() {
		running[live.ID] = true
		live.Event = eventName
		if one := v.all[live.ID]; one != nil {
			one.live = live
			continue
		}
		v.all[live.ID] = &visit{live: live, due: now.Add(v.pause())}
	}
	for id := range v.all {
		if !running[id] {
			delete(v.all, id)
		}
	}
}

// start makes one call, unless the one before it still waits or too many do.
func (v *visits) start(ctx context.Context, one *visit) {
	if one.busy || v.busy == inFlight {
		v.Client.drop(1)
		return
	}
	one.busy = true
	v.busy++
	live := one.live
	v.calls.Go(func() {
		v.call(ctx, live)
		v.ended <- live.ID // there is room for all
	})
}

// pause returns the interval with jitter.
func (r *Rounds) pause() time.Duration {
	spread := float64(r.Interval) * jitter
	return r.Interval + time.Duration((2*rand.Float64()-1)*spread)
}

// call asks for one session.
func (r *Rounds) call(ctx context.Context, live Live) {
	reply, err := r.Client.Post(ctx, eventName, live)
	if ctx.Err() != nil {
		return
	}
	if reply.Code == forbidden {
		r.Client.note(nil)
		r.End(live.ID, "the hook on_keepalive says 403")
		return
	}
	if err == nil && reply.Code/100 != 2 {
		err = statusError(reply.Code)
	}
	if r.Client.note(err) {
		if err != nil {
			r.Log.Warn("a hook fails, sessions go on", "hook", r.Client.Status().URL, "err", err)
		} else {
			r.Log.Info("a hook works again", "hook", r.Client.Status().URL)
		}
	}
	if err != nil && r.FailClosed {
		r.End(live.ID, "the hook on_keepalive fails: "+err.Error())
	}
}
