package httplive

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// door is an Opener of one stream, "gate", that counts.
type door struct {
	stream *hub.Stream
	err    error // what everybody gets instead

	mu     sync.Mutex // guards what follows
	opened []hub.Request
	subs   []*hub.Subscription
	kick   []context.CancelCauseFunc
	closed []error
	notes  []string
}

func (d *door) open(_ context.Context, req hub.Request) (*hub.Subscription, error) {
	switch {
	case req.Path != "gate":
		return nil, hub.ErrNotFound
	case d.err != nil:
		return nil, d.err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx, cancel := context.WithCancelCause(context.Background())
	sub := &hub.Subscription{ID: "id", Stream: d.stream, Context: ctx, Close: func(reason error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.closed = append(d.closed, reason)
		cancel(reason)
	}, Note: func(text string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.notes = append(d.notes, text)
	}}
	d.opened, d.subs, d.kick = append(d.opened, req), append(d.subs, sub), append(d.kick, cancel)
	return sub, nil
}

// reasons returns why sessions were closed so far.
func (d *door) reasons() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.closed)
}

// begun returns how many viewers have got something.
func (d *door) begun() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, sub := range d.subs {
		if sub.Sent.Load() > 0 {
			n++
		}
	}
	return n
}

// site is a Handler behind a real server.
type site struct {
	*door
	t       testing.TB
	handler *Handler
	server  *httptest.Server
	clip    *mediatest.Clip // of clipSite
	url     string
}

// newSite is a site that ends with the test, and the stream with it.
func newSite(t testing.TB, cfg Config, s *hub.Stream) *site {
	t.Helper()
	x := newOpenSite(t, cfg, s)
	t.Cleanup(func() { s.Close(); x.server.Close() })
	return x
}

// newOpenSite is a site that the caller closes.
func newOpenSite(t testing.TB, cfg Config, s *hub.Stream) *site {
	t.Helper()
	d := &door{stream: s}
	h := New(cfg, d.open, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(h)
	return &site{door: d, t: t, handler: h, server: server, url: server.URL}
}

// clipSite is a site whose camera has described itself and sent nothing yet.
func clipSite(t testing.TB, cfg Config, kind mediatest.Kind) (*site, *mediatest.Clip) {
	t.Helper()
	clip := mediatest.MakeClip(t, kind)
	s := hub.NewStream("gate")
	s.SetTracks(slices.Clone(clip.Tracks))
	x := newSite(t, cfg, s)
	x.clip = clip
	return x, clip
}

// until waits for a condition.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatalf("never: %s", what)
		}
	}
}

// sessions waits until n sessions were closed and returns why.
func (s *site) sessions(n int) []error {
	s.t.Helper()
	s.until("all sessions are closed", func() bool { return len(s.reasons()) == n })
	return s.reasons()
}

// starts returns the first d of a clip, with units of audio alone marked as
// package depay does.
func starts(c *mediatest.Clip, d time.Duration) []*media.Unit {
	units := c.Until(d)
	for _, u := range units {
		u.Key = u.Key || c.Video() == nil
		u.Wall = time.Now()
	}
	return units
}

// count returns the units of a kind from the first start on.
func count(units []*media.Unit, kind media.Kind) (n int) {
	start := slices.IndexFunc(units, func(u *media.Unit) bool { return u.Key })
	for _, u := range units[start:] {
		if u.Track.Kind == kind {
			n++
		}
	}
	return n
}
