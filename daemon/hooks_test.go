package daemon

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/daemon/config"
	"camrelay/daemon/session"
	"camrelay/daemon/webhook"
)

// toldServer is a server that notes the events it is told of.
type toldServer struct {
	*httptest.Server

	mu    sync.Mutex // guards types
	types []string
}

// startTold runs a server, which takes no event before free is closed.
func startTold(t *testing.T, free <-chan struct{}) *toldServer {
	t.Helper()
	s := &toldServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e webhook.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.types = append(s.types, e.Type)
		s.mu.Unlock()
		select {
		case <-free:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *toldServer) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.types, " ")
}

func (h *hooks) of(t *testing.T, want map[string]config.Hook) {
	t.Helper()
	if h.apply(t.Context(), want); len(h.problems()) > 0 {
		t.Fatal(h.problems())
	}
}

// TestAnEditedHookIsToldWhatTheOneBeforeWasNot: the queue, the event that is
// under way and the counters go to the new address, the old one hears no more.
func TestAnEditedHookIsToldWhatTheOneBeforeWasNot(t *testing.T) {
	free := make(chan struct{})
	close(free)
	before, after := startTold(t, nil), startTold(t, free)
	events := webhook.NewLog()
	h := newHooks(events, session.NewRegistry(nil), "test", slog.New(slog.DiscardHandler))
	hook := func(url, types string) map[string]config.Hook {
		return map[string]config.Hook{config.HookEvents: {URL: url, Events: types, Timeout: 5 * time.Second}}
	}
	h.of(t, hook(before.URL, ""))
	for _, e := range []string{"path.ready", "session.opened", "path.not_ready"} {
		events.Append(webhook.Event{Type: e})
	}
	await(t, "the first event is under way", func() bool { return before.told() == "path.ready" })
	h.of(t, hook(after.URL, "path.*"))
	await(t, "the rest arrives", func() bool { return after.told() == "path.ready path.not_ready" })
	await(t, "it is counted", func() bool { return h.status()[config.HookEvents].Delivered == 2 })
	h.of(t, hook(after.URL+"/other", "path.*"))
	if st := h.status()[config.HookEvents]; st.Delivered != 2 || st.URL != after.URL+"/other" {
		t.Errorf("status %+v", st)
	}
	h.of(t, nil)
	events.Append(webhook.Event{Type: "path.ready"})
	h.of(t, hook(after.URL, ""))
	h.Close()
	if got := after.told(); before.told() != "path.ready" || got != "path.ready path.not_ready" {
		t.Errorf("told %q and %q", before.told(), got)
	}
}

// TestLastEventsAreDelivered: what is left when the daemon stops goes out.
func TestLastEventsAreDelivered(t *testing.T) {
	free := make(chan struct{})
	s, events := startTold(t, free), webhook.NewLog()
	h := newHooks(events, session.NewRegistry(nil), "test", slog.New(slog.DiscardHandler))
	h.of(t, map[string]config.Hook{config.HookEvents: {URL: s.URL}})
	events.Append(webhook.Event{Type: "a"})
	events.Append(webhook.Event{Type: "b"})
	await(t, "the first event is under way", func() bool { return s.told() == "a" })
	close(free)
	h.Close()
	want := []string{"a b", "a a b"} // the one that was under way may come again
	if got := s.told(); !slices.Contains(want, got) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// TestAHookThatCannotBeUsedLeavesTheOneBefore: only the problem is new.
func TestAHookThatCannotBeUsedLeavesTheOneBefore(t *testing.T) {
	h := newHooks(webhook.NewLog(), session.NewRegistry(nil), "test", slog.New(slog.DiscardHandler))
	good := config.Hook{URL: "http://127.0.0.1:1/good"}
	h.of(t, map[string]config.Hook{config.HookNotFound: good})
	bad := config.Hook{URL: "https://127.0.0.1:1/bad", TLS: config.TLS{Fingerprint: "nonsense"}}
	h.apply(t.Context(), map[string]config.Hook{config.HookNotFound: bad})
	if problems := h.problems(); len(problems) != 1 || !strings.HasPrefix(problems[0], "hooks.on_not_found: ") {
		t.Errorf("problems %q", problems)
	}
	if got := h.status()[config.HookNotFound].URL; got != good.URL {
		t.Errorf("the hook is %s", got)
	}
	h.Close()
}
