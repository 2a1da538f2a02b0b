package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"camrelay/daemon/auth"
)

// statuses is a status of the configuration that changes.
type statuses struct {
	mu      sync.Mutex // guards st, changed
	st      ConfigStatus
	changed chan struct{}
	asked   chan struct{} // receives for each question
}

func (s *statuses) set(state, hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.st.State, s.st.Hash = state, hash
	s.st.Generation++
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *statuses) news() (ConfigStatus, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked <- struct{}{}
	return s.st, s.changed
}

// askStatus asks handler for the status, as somebody on this box.
func askStatus(ctx context.Context, handler http.Handler, query, known string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/config/status"+query, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1000", "localhost"
	if known != "" {
		r.Header.Set("If-None-Match", known)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestConfigSchema(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/config/schema", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1000", "localhost"
	New(Config{Access: auth.New(nil)}).ServeHTTP(w, r)
	var schema struct{ Properties map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &schema); err != nil || schema.Properties["cameras"] == nil {
		t.Errorf("%v: %d %s", err, w.Code, w.Body)
	}
}

func TestConfigStatusWaits(t *testing.T) {
	s := &statuses{changed: make(chan struct{}), asked: make(chan struct{}, 100)}
	s.set("applied", "one")
	handler := New(Config{Access: auth.New(nil), ConfigNews: s.news})
	first := askStatus(t.Context(), handler, "", "")
	tag := first.Header().Get("ETag")
	if first.Code != http.StatusOK || len(tag) < 10 {
		t.Fatalf("%d, tag %s", first.Code, tag)
	}
	if w := askStatus(t.Context(), handler, "", tag); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("with its tag: %d %s", w.Code, w.Body)
	}
	for _, query := range []string{"?timeout=x", "?timeout=11m", "?timeout=-1s", "?timeout=10"} {
		if w := askStatus(t.Context(), handler, query, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
	if w := askStatus(t.Context(), handler, "?wait_hash=two&timeout=20ms", ""); w.Code != http.StatusOK {
		t.Errorf("after the timeout: %d", w.Code)
	}
	if w := askStatus(t.Context(), handler, "?timeout=20ms", tag); w.Code != http.StatusNotModified {
		t.Errorf("nothing new within the timeout: %d", w.Code)
	}
	for query, known := range map[string]string{"?wait_hash=two&timeout=1m": "", "?timeout=1m": tag} {
		s.set("applied", "one")
		if known != "" {
			known = askStatus(t.Context(), handler, "", "").Header().Get("ETag")
		}
		for len(s.asked) > 0 {
			<-s.asked
		}
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() { answer <- askStatus(t.Context(), handler, query, known) }()
		<-s.asked
		if known == "" {
			s.set("rejected", "three")
			<-s.asked
			s.set("applying", "two")
			<-s.asked
		}
		s.set("rolled_back", "two")
		select {
		case w := <-answer:
			var st ConfigStatus
			if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil || st.State != "rolled_back" {
				t.Errorf("%s: %v, %+v", query, err, st)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s is not answered", query)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if w := askStatus(gone, handler, "?wait_hash=x&timeout=10m", ""); w.Body.Len() > 0 {
		t.Errorf("a client that has gone is answered %s", w.Body)
	}
}
