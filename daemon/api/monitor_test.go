package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"camrelay/daemon/auth"
)

// TestMonitor asks the port of metrics as those who may and those who may not.
func TestMonitor(t *testing.T) {
	alive, problems := true, []string(nil)
	build := func(rules auth.Rules) http.Handler {
		access := auth.New(slog.New(slog.DiscardHandler))
		if _, err := access.Set(rules); err != nil {
			t.Fatal(err)
		}
		return Monitor(Config{
			Access: access, Alive: func() bool { return alive }, Ready: func() []string { return problems },
		}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("figures 1\n")) }))
	}
	nobody, users := build(auth.Rules{}), build(staff())
	for _, row := range []struct {
		name, method, path string
		h                  http.Handler
		edit               func(*http.Request)
		want               int
		text               string
	}{
		{"metrics on the box, no users", "GET", "/metrics", nobody, plainly, 200, "figures 1"},
		{"metrics from elsewhere, no users", "GET", "/metrics", nobody, remote, 401, ""},
		{"metrics without credentials", "GET", "/metrics", users, plainly, 401, ""},
		{"readiness without credentials", "GET", "/readyz", users, plainly, 401, ""},
		{"metrics for a user of one camera", "GET", "/metrics", users, bearer("viewer"), 403, "all cameras"},
		{"readiness for a user of one camera", "GET", "/readyz", users, bearer("viewer"), 200, "ready"},
		{"metrics for a user of all cameras", "GET", "/metrics", users, bearer("operator"), 200, "figures 1"},
		{"health without credentials", "GET", "/healthz", users, remote, 200, "ok"},
		{"the API at this port", "GET", "/v1/status", nobody, plainly, 404, ""},
		{"writing", "POST", "/metrics", nobody, plainly, 405, ""},
		{"readiness", "GET", "/readyz", nobody, plainly, 200, `"reasons":[]`},
	} {
		t.Run(row.name, func(t *testing.T) { check(t, row.h, row.method, row.path, row.edit, row.want, row.text) })
	}
	alive, problems = false, []string{"rtsp does not listen as configured"}
	check(t, nobody, "GET", "/healthz", plainly, 503, "stuck")
	check(t, nobody, "GET", "/readyz", plainly, 503, "rtsp does not listen")
	check(t, users, "GET", "/readyz", bearer("operator"), 503, "rtsp does not listen")
	check(t, users, "GET", "/readyz", bearer("viewer"), 503, `"reasons":[]`)
}

func remote(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" }

// check asks and compares the status code and a part of the body.
func check(t *testing.T, h http.Handler, method, path string, edit func(*http.Request), want int, text string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1:9998"
	edit(r)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != want || !strings.Contains(rec.Body.String(), text) {
		t.Errorf("%s %s: status %d, want %d with %q: %s", method, path, rec.Code, want, text, rec.Body)
	}
}
