package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/webhook"
	"camrelay/media/hub"
)

// Bounds of a client that follows the events.
const (
	maxFollowers = 32               // at once
	maxWatching  = 24               // at once of those who may only read
	heartbeat    = 15 * time.Second // so that proxies and clients see that it stands
	sendTimeout  = 10 * time.Second // of one write; a slower client is let go
	sendAtOnce   = 64               // events
)

// all is the ?since= of a client that wants all events that are held.
const all = "0"

// events streams what happens as server-sent events: what came after the ID in
// Last-Event-ID or ?since=, else from now on; ?since=0 sends all that is held.
// ?type= and ?path= choose, the former with * at the end. What a slow client
// has lost is told by an event of type gap; how many are lost is null if the
// daemon was started anew since the client's last event.
// Specification: HTML Living Standard, 9.2 Server-sent events.
func (s server) events(w http.ResponseWriter, r *http.Request) {
	who := auth.FromContext(r.Context())
	leave, ok := s.admitFollower(who)
	if !ok {
		w.Header().Set("Retry-After", "10")
		problem(w, http.StatusServiceUnavailable, "too many clients follow the events")
		return
	}
	defer leave()
	query := r.URL.Query()
	f := follower{w: w, out: http.NewResponseController(w), path: query.Get("path")}
	f.enter = func() (auth.Principal, error) { return s.enter(r) }
	f.who = who
	if types := query.Get("type"); types != "" {
		f.types = strings.Split(types, ",")
	}
	cursor := s.Events.Live()
	id := cmp.Or(r.Header.Get("Last-Event-ID"), query.Get("since"))
	if id != "" {
		cursor = s.Events.After(id)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	// Whatever ends it, the client is gone or is let go.
	_ = f.follow(r.Context(), cursor, id != "" && id != all && !s.Events.Knows(id))
}

// admitFollower takes a place until leave is called, if there is one. Viewers, who may
// be many, leave some to those who run the box.
func (s server) admitFollower(who auth.Principal) (leave func(), ok bool) {
	places := []chan struct{}{s.followers}
	if !who.May(auth.Operate) {
		places = append(places, s.watching)
	}
	for i, place := range places {
		select {
		case place <- struct{}{}:
		default:
			for _, taken := range places[:i] {
				<-taken
			}
			return nil, false
		}
	}
	return func() {
		for _, taken := range places {
			<-taken
		}
	}, true
}

// follower is one client.
type follower struct {
	w     http.ResponseWriter
	out   *http.ResponseController
	enter func() (auth.Principal, error) // asks anew who it is
	who   auth.Principal
	types []string
	path  string
	beat  time.Time // of the next heartbeat, unless something is sent before
}

// follow sends what happens. restarted says that the client has followed a log
// of before: nobody knows what it has missed.
func (f *follower) follow(ctx context.Context, cursor *webhook.Cursor, restarted bool) error {
	hello := ": camrelay\n\n"
	if restarted {
		hello += "event: gap\ndata: {\"lost\":null}\n\n"
	}
	if err := f.send(hello); err != nil {
		return err
	}
	for {
		limited, cancel := context.WithDeadline(ctx, f.beat)
		events, lost, _ := cursor.Next(limited, sendAtOnce) // none at the heartbeat
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := f.check(); err != nil {
			return err
		}
		if err := f.tell(events, lost); err != nil {
			return err
		}
		if !time.Now().Before(f.beat) {
			if err := f.send(": still here\n\n"); err != nil {
				return err
			}
		}
	}
}

// check ends a client whose user has gone or has other credentials now: it may
// stay for months. Who is only made to wait by others' failed logins stays.
func (f *follower) check() error {
	who, err := f.enter()
	if _, waits := errors.AsType[auth.ThrottledError](err); waits {
		return nil
	}
	f.who = who
	if err == nil && !who.May(auth.Read) {
		err = hub.ErrForbidden
	}
	return err
}

// tell sends the events that the client wants and may see.
func (f *follower) tell(events []webhook.Event, lost uint64) error {
	var b strings.Builder
	if lost > 0 {
		fmt.Fprintf(&b, "event: gap\ndata: {\"lost\":%d}\n\n", lost)
	}
	for _, e := range events {
		if f.path != "" && e.Path != f.path || !webhook.Matches(f.types, e.Type) || !f.may(e) {
			continue
		}
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Type, data)
	}
	if b.Len() == 0 {
		return nil
	}
	return f.send(b.String())
}

// may tells whether the client may know of the event. What happens to the files is
// told with what is wrong in them, of any camera.
func (f *follower) may(e webhook.Event) bool {
	switch {
	case e.Path != "":
		return f.who.MayView(e.Path)
	case webhook.Matches([]string{"config.*"}, e.Type):
		return f.who.May(auth.Operate) && f.who.MayViewAll()
	default:
		return f.who.May(auth.Operate)
	}
}

func (f *follower) send(text string) error {
	now := time.Now()
	f.beat = now.Add(heartbeat)
	// Instead of the server's, which is for answers that end.
	if err := f.out.SetWriteDeadline(now.Add(sendTimeout)); err != nil {
		return err
	}
	if _, err := f.w.Write([]byte(text)); err != nil {
		return err
	}
	return f.out.Flush()
}
