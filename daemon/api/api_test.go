package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
)

// rig is an API over three paths and one push, without users.
func rig(t *testing.T) http.Handler { return rigFor(t, auth.Rules{}) }

func rigFor(t *testing.T, rules auth.Rules) http.Handler {
	t.Helper()
	h, _ := rigAndRelay(t, rules)
	return h
}

func rigAndRelay(t *testing.T, rules auth.Rules) (http.Handler, *relay.Relay) {
	t.Helper()
	cfg := rigConfig(t, rules)
	return New(cfg), cfg.Relay
}

// rigConfig is what the rig's API reads from.
func rigConfig(t testing.TB, rules auth.Rules) Config {
	t.Helper()
	sessions, access := session.NewRegistry(nil), auth.New(slog.New(slog.DiscardHandler))
	if _, err := access.Set(rules); err != nil {
		t.Fatal(err)
	}
	r := relay.New(relay.Config{Sessions: sessions, Access: access}, slog.New(slog.DiscardHandler))
	for _, name := range []string{"yard", "gate", "door"} {
		r.Put(name, relay.Policy{Warm: name == "gate"})
	}
	gate := r.Path("gate").Stream()
	gate.SetTracks([]*media.Track{
		{Kind: media.KindVideo, Codec: media.CodecH264, Width: 640, Height: 360},
		{ID: 1, Kind: media.KindAudio, Codec: media.CodecAAC, SampleRate: 48000, Channels: 1},
	})
	gate.Meter.Arrived(time.Now(), 3, 3000, 1)
	t.Cleanup(func() {
		for _, p := range r.Paths() {
			r.Drop(p.Name())
		}
	})
	return Config{
		Version: "1.2", Started: time.Now(), Access: access, Relay: r, Sessions: sessions,
		Keepalive: leases(t, r),
		Pushes: func() []Push {
			return []Push{{
				Name: "up", Camera: "gate", URL: "rtmp://h/live/***", State: supervise.State{Phase: supervise.Active}, Bytes: 7,
			}}
		},
		End:       func(one *session.Session, by, reason string, _ time.Duration) bool { return one.Kick(by, reason) },
		Terminate: func() config.Terminate { return config.Terminate{HoldOff: time.Minute} },
		Config:    func() ConfigStatus { return ConfigStatus{State: "applied", Generation: 4} },
		Listeners: func() map[string]string { return map[string]string{"rtsp": "127.0.0.1:1"} },
	}
}

// ask decodes the answer to a GET and returns its status code.
func ask(t *testing.T, h http.Handler, path string, v any) int {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1:9997"
	h.ServeHTTP(w, r)
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: Cache-Control %q", path, got)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		t.Fatalf("%s: %v in %q", path, err, w.Body)
	}
	return w.Code
}

func TestPathsListIsPaged(t *testing.T) {
	h := rig(t)
	var all, second page[v3Path]
	if code := ask(t, h, "/v3/paths/list", &all); code != http.StatusOK || all.ItemCount != 3 || all.PageCount != 1 {
		t.Errorf("status %d, %d items, %d pages", code, all.ItemCount, all.PageCount)
	}
	var names []string
	for _, p := range all.Items {
		names = append(names, p.Name)
	}
	if want := []string{"door", "gate", "yard"}; !slices.Equal(names, want) {
		t.Errorf("order %v, want %v", names, want)
	}
	ask(t, h, "/v3/paths/list?itemsPerPage=2&page=1", &second)
	if second.PageCount != 2 || len(second.Items) != 1 || second.Items[0].Name != "yard" {
		t.Errorf("second page: %+v", second)
	}
	for _, query := range []string{"itemsPerPage=0", "itemsPerPage=-1", "page=-1", "page=x"} {
		var e map[string]string
		if code := ask(t, h, "/v3/paths/list?"+query, &e); code != http.StatusBadRequest || e["status"] != "error" {
			t.Errorf("%s: status %d, %v", query, code, e)
		}
	}
}

func TestPathHasMediaMTXsShape(t *testing.T) {
	h := rig(t)
	var got map[string]any
	if code := ask(t, h, "/v3/paths/get/gate", &got); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	if tracks, ok := got["tracks"].([]any); !ok || !slices.Equal(tracks, []any{"H264", "MPEG-4 Audio"}) {
		t.Errorf("tracks %v", got["tracks"])
	}
	if got["bytesReceived"] != 3000.0 || got["ready"] != false || got["readers"] == nil {
		t.Errorf("path %v", got)
	}
	var e map[string]string
	if code := ask(t, h, "/v3/paths/get/nope", &e); code != http.StatusNotFound || e["error"] != "path not found" {
		t.Errorf("unknown path: status %d, %v", code, e)
	}
}

func TestStatusTellsEverything(t *testing.T) {
	var st Status
	if code := ask(t, rig(t), "/v1/status", &st); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	if len(st.Cameras) != 3 || st.Cameras[1].Name != "gate" || st.Cameras[1].Lost != 1 || len(st.Cameras[1].Demand) != 1 {
		t.Errorf("cameras %+v", st.Cameras)
	}
	if len(st.Pushes) != 1 || st.Pushes[0].State != "active" || st.Pushes[0].Bytes != 7 {
		t.Errorf("pushes %+v", st.Pushes)
	}
	if st.Viewers == nil || st.Config.Generation != 4 || st.Listeners["rtsp"] == "" {
		t.Errorf("status %+v", st)
	}
}
