package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/relay"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/testcam"
)

// watched is a site whose cameras run on demand only.
type watched struct {
	*site
	t   *testing.T
	cam *testcam.Server
}

// runCamera runs a camera until stop is called.
func runCamera(t *testing.T, listen string) (cam *testcam.Server, stop func()) {
	t.Helper()
	cam = testcam.New(testcam.Config{Listen: listen, Cameras: []testcam.Camera{
		{Path: "gate", Height: 180, GOP: 10}, {Path: "yard", Height: 180, GOP: 10},
	}}, slog.New(slog.DiscardHandler))
	if err := cam.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- cam.Run(ctx) }()
	return cam, func() { cancel(); <-ended }
}

// configure writes the files: path is the camera's stream, none if it is empty.
func (w *watched) configure(path string) {
	w.t.Helper()
	text := "version: 1\naccess: {view: open}\nrtsp: {listen: \"\"}\nhttp: {listen: \"\"}\napi: {listen: \"\"}\n" +
		"defaults: {keep: ondemand, idle_after: 1s}\n"
	if path != "" {
		text += fmt.Sprintf("cameras:\n  gate: {url: %q}\nkeepalives:\n  wall: {camera: gate}\n", w.cam.URL(path))
	}
	if err := os.WriteFile(w.opts.ConfigFile, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs the daemon until stop is called.
func (w *watched) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, w.opts, slog.New(slog.DiscardHandler)) }()
	await(w.t, "the API answers", func() bool { return strings.Contains(w.get("/healthz"), "ok") })
	return func() {
		w.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

// do asks the API for a change and decodes the answer.
func (w *watched) do(method, path string) (int, map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://camrelay"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	v := make(map[string]any)
	if err := json.Unmarshal(body, &v); err != nil {
		w.t.Fatalf("%s: %v in %s", path, err, body)
	}
	return res.StatusCode, v
}

// state waits until a keepalive is in a state.
func (w *watched) state(id, want string) {
	w.t.Helper()
	await(w.t, "keepalive "+id+" is "+want, func() bool {
		return strings.Contains(w.get("/v3/paths/keepalive/get/"+id), `"state":"`+want+`"`)
	})
}

// TestAStalledCameraIsNoDegradedOne: a keepalive of a camera without media waits.
func TestAStalledCameraIsNoDegradedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &daemon{relay: relay.New(relay.Config{}, slog.New(slog.DiscardHandler))}
		path := d.relay.Put("gate", relay.Policy{Warm: true, StalledAfter: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- path.Pull(ctx, supervise.Policy{}, func(ctx context.Context, active func()) error {
				path.Stream().SetTracks([]*media.Track{{Kind: media.KindVideo, Codec: media.CodecMJPEG}})
				active()
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		time.Sleep(2 * time.Second)
		if h, _ := path.Health(); h.State != relay.StateStalled {
			t.Fatalf("the camera is %s: %s", h.State, h.Reason)
		}
		if h, _, ok := (leasePaths{d}).Health("gate"); !ok || h.Warm || h.Media || h.Reason == "" {
			t.Errorf("the keepalive sees %+v", h)
		}
		cancel()
		<-ended
	})
}

// TestM1_M2_M11_M12_M15_M16_KeepalivesOfADaemon takes a keepalive through the
// life of a box.
func TestM1_M2_M11_M12_M15_M16_KeepalivesOfADaemon(t *testing.T) {
	cam, stopCamera := runCamera(t, "127.0.0.1:0")
	w := &watched{site: newSite(t, ""), t: t, cam: cam}
	w.configure("gate")
	stop := w.run()
	var ids []string
	for range 2 {
		code, v := w.do("POST", "/v3/paths/keepalive/add/gate?wait=20s")
		id, _ := v["id"].(string)
		if code != http.StatusOK || v["state"] != "holding" {
			t.Fatalf("M1: status %d, %v", code, v)
		}
		ids = append(ids, id)
	}
	if got := cam.Stats(); got.Requests["PLAY"] != 1 {
		t.Errorf("M1, M11: the camera saw %v", got.Requests)
	}
	if code, v := w.do("DELETE", "/v3/paths/keepalive/remove/"+ids[1]); code != http.StatusOK {
		t.Errorf("status %d, %v", code, v)
	}
	if path := w.get("/v3/paths/get/gate"); !strings.Contains(path, `{"type":"keepalive","id":"`+ids[0]+`"}`) {
		t.Errorf("M8: %s", path)
	}

	stopCamera()
	w.state(ids[0], "waiting")
	cam, stopCamera = runCamera(t, cam.Addr())
	w.cam = cam
	w.state(ids[0], "holding")

	w.configure("yard")
	await(t, "M12: the edited camera is pulled", func() bool {
		st := cam.Stats()
		return st.Requests["TEARDOWN"] == 1 && st.Requests["PLAY"] == 2
	})
	w.state(ids[0], "holding")

	declared := w.get("/v3/paths/keepalive/list")
	stop()
	await(t, "the camera is left", func() bool { return cam.Stats().Open == 0 })
	stop = w.run()
	w.state(ids[0], "holding")
	for _, id := range []string{ids[0], idOf(t, declared, "wall")} {
		if list := w.get("/v3/paths/keepalive/list"); !strings.Contains(list, id) {
			t.Errorf("M16: %s is not in %s", id, list)
		}
	}

	w.configure("")
	await(t, "M12: the keepalive goes with its camera", func() bool {
		return strings.Contains(w.get("/v3/paths/keepalive/get/"+ids[0]), "keepalive not found") && cam.Stats().Open == 0
	})
	stop()
	stopCamera()
}

// idOf returns the id of the declared keepalive of that name in a list.
func idOf(t *testing.T, list, name string) string {
	t.Helper()
	var v struct {
		Items []struct{ ID, Name string }
	}
	if err := json.Unmarshal([]byte(list), &v); err != nil {
		t.Fatal(err)
	}
	for _, item := range v.Items {
		if item.Name == name {
			return item.ID
		}
	}
	t.Fatalf("%s is not in %s", name, list)
	return ""
}
