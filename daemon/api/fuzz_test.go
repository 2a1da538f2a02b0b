package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"camrelay/daemon/relay"
)

// FuzzBodies sends a body, and a query, to every route that takes one: it is
// answered with JSON, never with a fault of the server's, and with one only
// that says what is wrong.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `[]`, `null`, `{"all":true}`, `{"name":"gate"}{`, `{"hold_off":"1h"}`, `{"hold_off":1e300}`,
		`{"hold_off":-0.5}`, `{"ttl":"10m","label":"x","priority":5}`, `{"ttl":{"a":[1]}}`,
		`{"name":"p","camera":"gate","url":"rtmp://h/live/k"}`, `{"name":"p","camera":"gate","url":"srt://h:9?latency=x"}`,
		`{"name":"p","url":1,"url":2}`, `{"source":"rtsp://a:b@h/"}`, `{"source":"***","sourceOnDemand":true}`,
		`{"file":"a.yaml","text":"version: 1"}`, `{"mediaSessionIds":["x"],"dryRun":true}`,
		strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "{\"label\":\"\xff\u202e\x00\"}",
	} {
		f.Add(body, "page=1&items_per_page=2")
		f.Add(body, "wiat=0")
	}
	cfg := rigConfig(f, staff())
	cfg.PushControl, cfg.Sources = &fakePushes{all: cfg.Pushes()}, noSources{}
	cfg.Plan = func(PlanRequest) PlanResult { return PlanResult{} }
	h := New(cfg)
	var targets [][2]string
	for _, r := range (server{}).routes() {
		if method, path, _ := strings.Cut(r.pattern, " "); method != http.MethodGet {
			path = strings.NewReplacer("{name...}", "gate", "{name}", "gate", "{id}", "x").Replace(path)
			targets = append(targets, [2]string{method, path})
		}
	}
	f.Fuzz(func(t *testing.T, body, query string) {
		if q, err := url.ParseQuery(query); err != nil || q.Has("wait") {
			return // waiting finds nothing
		}
		for _, target := range targets {
			res := request(t, h, target[0], target[1], func(r *http.Request) {
				r.URL.RawQuery = query
				r.Body = io.NopCloser(strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				bearer("admin")(r)
			})
			text, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode >= http.StatusInternalServerError && res.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s: status %d: %s", target, res.StatusCode, text)
			}
			if res.StatusCode != http.StatusNoContent && !json.Valid(text) {
				t.Errorf("%s: status %d, no JSON: %q", target, res.StatusCode, text)
			}
		}
	})
}

// noSources refuses every source.
type noSources struct{}

func (noSources) Add(context.Context, string, relay.Source) error { return errors.New("no more paths") }
func (noSources) Remove(string) bool                              { return false }
