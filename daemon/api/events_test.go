package api

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"camrelay/daemon/auth"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/webhook"
)

// stream is a client that follows the events.
type stream struct {
	t    *testing.T
	res  *http.Response
	text *bufio.Scanner
}

func follow(t *testing.T, url, last string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return &stream{t, res, bufio.NewScanner(res.Body)}
}

// next returns the next event as its fields, without comments.
func (s *stream) next() map[string]string {
	s.t.Helper()
	fields := make(map[string]string)
	for s.text.Scan() {
		name, value, _ := strings.Cut(s.text.Text(), ": ")
		if name != "" {
			fields[name] = value
		}
		if s.text.Text() == "" && len(fields) > 0 {
			return fields
		}
	}
	s.t.Fatalf("the stream has ended: %v", s.text.Err())
	return nil
}

func eventServer(t *testing.T) (url string, events *webhook.Log) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	access := auth.New(log)
	if _, err := access.Set(auth.Rules{}); err != nil {
		t.Fatal(err)
	}
	events = webhook.NewLog()
	sessions := session.NewRegistry(nil)
	srv := httptest.NewServer(New(Config{
		Access: access, Events: events, Sessions: sessions,
		Relay: relay.New(relay.Config{Sessions: sessions, Access: access}, log),
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/v1/events", events
}

func TestEventsAreFollowedLiveAndFromAnID(t *testing.T) {
	url, events := eventServer(t)
	events.Append(webhook.Event{Type: "path.ready", Path: "gate"})
	live := follow(t, url, "")
	if got := live.res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	events.Append(webhook.Event{Type: "path.not_ready", Path: "gate", Reason: "a\nb"})
	e := live.next()
	if e["event"] != "path.not_ready" || !strings.Contains(e["data"], `"reason":"a\nb"`) || e["id"] == "" {
		t.Errorf("live: %v", e)
	}
	events.Append(webhook.Event{Type: "push.active", Path: "yard"})
	if again := follow(t, url, e["id"]).next(); again["event"] != "push.active" {
		t.Errorf("after %s: %v", e["id"], again)
	}
	if all := follow(t, url+"?since=0", ""); all.next()["event"] != "path.ready" {
		t.Error("since=0 does not begin with the oldest")
	}
	other := follow(t, url, "0123456789ab-7")
	if gap := other.next(); gap["event"] != "gap" || gap["data"] != `{"lost":null}` {
		t.Errorf("after an ID of before the daemon was started: %v", gap)
	}
	if other.next()["event"] != "path.ready" {
		t.Error("an ID of another boot does not begin with the oldest")
	}
}

func TestEventsAreChosenByTypeAndPath(t *testing.T) {
	url, events := eventServer(t)
	for _, e := range []webhook.Event{
		{Type: "path.ready", Path: "gate"},
		{Type: "push.active", Path: "gate"},
		{Type: "path.ready", Path: "yard"},
		{Type: "path.none_reader", Path: "yard"},
	} {
		events.Append(e)
	}
	s := follow(t, url+"?since=0&type=path.*&path=yard", "")
	if a, b := s.next(), s.next(); a["event"] != "path.ready" || b["event"] != "path.none_reader" {
		t.Errorf("got %v and %v", a, b)
	}
}

func TestASlowFollowerIsToldWhatItHasLost(t *testing.T) {
	url, events := eventServer(t)
	events.Append(webhook.Event{Type: "first"})
	first := follow(t, url+"?since=0", "").next()
	for range 1500 {
		events.Append(webhook.Event{Type: "more"})
	}
	s := follow(t, url, first["id"])
	if e := s.next(); e["event"] != "gap" || e["data"] != `{"lost":500}` {
		t.Errorf("got %v", e)
	}
	if e := s.next(); e["event"] != "more" {
		t.Errorf("got %v", e)
	}
}

func TestFollowersAreBounded(t *testing.T) {
	url, events := eventServer(t)
	events.Append(webhook.Event{Type: "first"})
	for range maxFollowers {
		follow(t, url+"?since=0", "").next()
	}
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d", res.StatusCode)
	}
}
