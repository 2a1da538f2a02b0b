package webhook

import (
	"context"
	"fmt"
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

// Run goes round until ctx is done, and returns when no call is under way.
func (r *Rounds) Run(ctx context.Context) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	visits := make(map[string]*visit)
	ended := make(chan string, inFlight)
	var looked time.Time
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case id := <-ended:
			if v := visits[id]; v != nil {
				v.busy = false
			}
			continue
		case <-ctx.Done():
			return ctx.Err()
		}
		now := time.Now()
		if now.Sub(looked) >= lookEvery {
			looked = now
			r.look(visits, now)
		}
		next := looked.Add(lookEvery)
		busy := countBusy(visits)
		for id, v := range visits {
			if !v.due.After(now) {
				v.due = now.Add(r.pause())
				if v.busy || busy == inFlight {
					r.Client.drop(1)
				} else {
					v.busy = true
					busy++
					live := v.live
					calls.Go(func() {
						r.call(ctx, live)
						select {
						case ended <- id:
						case <-ctx.Done():
						}
					})
				}
			}
			if v.due.Before(next) {
				next = v.due
			}
		}
		timer.Reset(time.Until(next))
	}
}

func countBusy(visits map[string]*visit) (n int) {
	for _, v := range visits {
		if v.busy {
			n++
		}
	}
	return n
}

// look brings the visits up to date with the sessions.
func (r *Rounds) look(visits map[string]*visit, now time.Time) {
	running := make(map[string]bool, len(visits))
	for _, live := range r.Sessions() {
		running[live.ID] = true
		live.Event = eventName
		if v := visits[live.ID]; v != nil {
			v.live = live
			continue
		}
		visits[live.ID] = &visit{live: live, due: now.Add(r.pause())}
	}
	for id := range visits {
		if !running[id] {
			delete(visits, id)
		}
	}
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
	if err == nil && reply.Code == forbidden {
		r.Client.note(nil)
		r.End(live.ID, "the hook on_keepalive says 403")
		return
	}
	if err == nil && reply.Code/100 != 2 {
		err = fmt.Errorf("the hook answers %d", reply.Code)
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
