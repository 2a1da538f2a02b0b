package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/daemon/supervise"
	"camrelay/media"
)

// fakePushes is pushes as the API sees them: one of a file, and what is added.
type fakePushes struct{ all []Push }

func (f *fakePushes) Start(string, string) error { return ErrRuns }
func (f *fakePushes) Retry(string) error         { return nil }

func (f *fakePushes) Stop(_, _ string, holdOff time.Duration) error {
	f.all[0].Comment = "rests for " + holdOff.String()
	return nil
}

func (f *fakePushes) Add(name string, text []byte) error {
	if name == "up" {
		return ErrPushExists
	}
	cfg := config.Config{Cameras: map[string]config.Camera{"gate": {}}}
	p, err := cfg.ParsePush(name, text)
	if err != nil {
		return err
	}
	f.all = append(f.all, Push{Name: name, Camera: p.Camera, URL: media.RedactURL(p.URL), Retry: p.Retry})
	return nil
}

func (f *fakePushes) Keep(name string, text []byte) (string, error) {
	return "api.yaml", f.Add(name, text)
}

func (f *fakePushes) Remove(name, _ string) error {
	switch name {
	case "up":
		return &OwnedError{"conf.d/site.yaml"}
	case "kept":
		return errors.New("cannot write api.yaml: no space left on device")
	}
	for i, p := range f.all {
		if p.Name == name {
			f.all = append(f.all[:i:i], f.all[i+1:]...)
			return nil
		}
	}
	return ErrNoPush
}

func pushRig(t *testing.T) http.Handler {
	t.Helper()
	now := time.Now()
	f := &fakePushes{all: []Push{{
		Name: "up", Camera: "gate", URL: "rtmp://h/live/***", Bitrate: 2e6, Limit: 3,
		State: supervise.State{
			Phase: supervise.Reconnecting, Attempt: 2, NextRetry: now, Lost: now,
			Errors: []supervise.Failure{{At: now, Message: "nobody listens", Class: media.ClassRefused}},
		},
	}}}
	_, r := rigAndRelay(t, auth.Rules{})
	access := auth.New(slog.New(slog.DiscardHandler))
	if _, err := access.Set(auth.Rules{}); err != nil {
		t.Fatal(err)
	}
	return New(Config{
		Relay: r, Access: access, PushControl: f, Pushes: func() []Push { return f.all },
		Terminate: func() config.Terminate { return config.Terminate{HoldOff: time.Minute} },
	})
}

// asked calls the API as somebody on the box does.
func asked(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.RemoteAddr, req.Host = "127.0.0.1:5000", "127.0.0.1:9997"
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestPushesAreAddedAndRemoved(t *testing.T) {
	h := pushRig(t)
	const good = `{"name": "extra", "camera": "gate", "url": "rtmp://h/live/hunter2", "retry": "5s"}`
	for _, row := range []struct {
		name, method, path, body string
		code                     int
		says                     string
	}{
		{"a push", "POST", "/v1/pushes", good, 201, `"retry_seconds":5`},
		{"it is listed", "GET", "/v1/pushes/extra", "", 200, `"url":"rtmp://h/live/***"`},
		{"a push without a name", "POST", "/v1/pushes", `{"camera": "gate"}`, 400, "name is missing"},
		{"a push that is no object", "POST", "/v1/pushes", `[]`, 400, "the body"},
		{
			"a push with two mistakes", "POST", "/v1/pushes", `{"name": "x", "camera": "yard", "url": "foo://hunter2"}`, 400,
			`camera: there is no camera \"yard\"; url: unknown scheme \"foo\"`,
		},
		{"a push that there is", "POST", "/v1/pushes", strings.Replace(good, "extra", "up", 1), 409, "of this name"},
		{"a file's is not removed", "DELETE", "/v1/pushes/up", "", 409, "conf.d/site.yaml"},
		{"it is removed", "DELETE", "/v1/pushes/extra", "", 204, ""},
		{"it cannot be removed", "DELETE", "/v1/pushes/kept", "", 503, "no space left"},
		{"it is gone", "DELETE", "/v1/pushes/extra", "", 404, "no such push"},
		{"what runs is not resumed", "POST", "/v1/pushes/up/resume", "", 409, "runs already"},
		{"it is paused", "POST", "/v1/pushes/up/pause", "", 200, `"comment":"rests for -1ns"`},
		{"for an hour", "POST", "/v1/pushes/up/pause", `{"hold_off": "1h"}`, 200, `"comment":"rests for 1h0m0s"`},
		{"it is stopped", "POST", "/v1/pushes/up/stop", "", 200, `"comment":"rests for 1m0s"`},
	} {
		got := asked(h, row.method, row.path, row.body)
		text := got.Body.String()
		if got.Code != row.code || !strings.Contains(text, row.says) || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %d %s", row.name, got.Code, text)
		}
	}
}

func TestPushStatusIsWhole(t *testing.T) {
	h := pushRig(t)
	var page struct{ Items []map[string]any }
	if err := json.Unmarshal(asked(h, "GET", "/v1/pushes", "").Body.Bytes(), &page); err != nil || len(page.Items) != 1 {
		t.Fatal(err, page)
	}
	p := page.Items[0]
	for _, key := range []string{
		"url", "status", "attempt", "errors", "next_retry_at", "last_disconnect", "reason", "bytes", "bitrate_kbits",
		"limit", "retry_seconds", "audio", "warnings", "target", "priority", "comment", "file",
	} {
		if p[key] == nil {
			t.Errorf("%s is missing in %v", key, p)
		}
	}
	if _, ok := p["connected_at"]; ok || p["status"] != "reconnecting" || p["bitrate_kbits"] != 2000.0 {
		t.Errorf("%v", p)
	}
	first := p["errors"].([]any)[0].(map[string]any)
	if first["message"] != "nobody listens" || first["class"] != "refused" || first["at"] == nil {
		t.Errorf("%v", first)
	}
	for name, want := range map[string]string{"gate": `"pushes":[{"name":"up"`, "yard": `"pushes":[]`} {
		if got := asked(h, "GET", "/v1/cameras/"+name, "").Body.String(); !strings.Contains(got, want) {
			t.Errorf("camera %s: %s", name, got)
		}
	}
}
