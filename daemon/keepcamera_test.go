package daemon

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"camrelay/daemon/api"
)

// ask sends a request, and returns the status of a refusal with its words.
func (k *keeper) ask(method, path string, body any) (code int, said string) {
	k.t.Helper()
	err := k.client.Do(k.t.Context(), method, path, body, nil)
	if refused, ok := errors.AsType[*api.AnswerError](err); ok {
		return refused.Code, refused.Detail
	} else if err != nil {
		k.t.Fatal(err)
	}
	return http.StatusOK, ""
}

// camera returns the name of a camera, or why there is none.
func (k *keeper) camera(name string) string {
	var c api.CameraStatus
	if err := k.client.Get(k.t.Context(), "/v1/cameras/"+name, &c); err != nil {
		return err.Error()
	}
	return c.Name
}

// refusesCameras adds and removes what cannot be.
func (k *keeper) refusesCameras(yard map[string]any) {
	k.t.Helper()
	for _, row := range []struct {
		name         string
		method, path string
		body         any
		code         int
		says         string
	}{
		{"one that is there", http.MethodPost, "/v1/cameras", yard, 409, k.file},
		{
			"one of a file", http.MethodPost, "/v1/cameras",
			map[string]any{"name": "gate", "url": "rtsp://h/"},
			409, k.opts.ConfigFile,
		},
		{
			"the path of a sub stream", http.MethodPost, "/v1/cameras",
			map[string]any{"name": "yard_sub", "url": "rtsp://h/"},
			409, "name",
		},
		{
			"no camera's URL", http.MethodPost, "/v1/cameras",
			map[string]any{"name": "x", "url": "file:///etc/passwd"},
			400, "url",
		},
		{
			"a mask", http.MethodPost, "/v1/cameras",
			map[string]any{"name": "x", "url": "rtsp://h/", "password": "***"},
			400, "password",
		},
		{
			"a file on the box", http.MethodPost, "/v1/cameras",
			map[string]any{"name": "x", "url": "rtsp://h/", "password_file": "/etc/shadow"},
			400, "is for files only",
		},
		{
			"a name that leads away", http.MethodPost, "/v1/cameras",
			map[string]any{"name": "../x", "url": "rtsp://h/"},
			400, "bad name",
		},
		{
			"a key that there is not", http.MethodPost, "/v1/cameras",
			map[string]any{"name": "x", "ulr": "rtsp://h/"},
			400, `"url"`,
		},
		{"removing one of a file", http.MethodDelete, "/v1/cameras/gate", nil, 409, k.opts.ConfigFile},
		{"removing one that there is not", http.MethodDelete, "/v1/cameras/x", nil, 404, "no such camera"},
	} {
		code, said := k.ask(row.method, row.path, row.body)
		if code != row.code || !strings.Contains(said, row.says) || strings.Contains(said, "hunter2") {
			k.t.Errorf("%s: status %d, want %d: %s", row.name, code, row.code, said)
		}
	}
}

// TestCamerasThatTheAPIKeeps: a camera that is added goes to the machine's file and
// outlives a restart; what people's files name is not touched.
func TestCamerasThatTheAPIKeeps(t *testing.T) {
	k := newKeeper(t)
	stop := k.start(t)
	k.await(t, stateApplied, 1)
	yard := map[string]any{
		"name": "yard", "url": "rtsp://127.0.0.1:1/x", "password": "hunter2", "username": "u", "keep": "ondemand",
		"sub": map[string]any{"url": "rtsp://127.0.0.1:1/y"},
	}
	if code, said := k.ask(http.MethodPost, "/v1/cameras", yard); code != http.StatusOK {
		t.Fatalf("status %d, %s", code, said)
	}
	k.await(t, stateApplied, 2)
	k.refusesCameras(yard)
	stop()
	k.start(t)
	await(t, "it is there after a restart", func() bool {
		return k.camera("yard") == "yard" && k.camera("yard_sub") == "yard_sub"
	})
	push := map[string]any{"name": "up", "camera": "yard", "url": "rtmp://127.0.0.1:1/live/x", "persist": true}
	if code, said := k.ask(http.MethodPost, "/v1/pushes", push); code != http.StatusOK {
		t.Fatalf("status %d, %s", code, said)
	}
	k.await(t, stateApplied, 3)
	if code, said := k.ask(http.MethodDelete, "/v1/cameras/yard", nil); code != 409 || !strings.Contains(said, "push up") {
		t.Errorf("a camera with a push: status %d, %s", code, said)
	}
	if err := k.remove("up"); err != nil {
		t.Error(err)
	}
	k.await(t, stateApplied, 4)
	if code, said := k.ask(http.MethodDelete, "/v1/cameras/yard", nil); code != http.StatusOK {
		t.Errorf("removing it: status %d, %s", code, said)
	}
	k.await(t, stateApplied, 5)
	if k.camera("yard") == "yard" || k.camera("gate") != "gate" {
		t.Errorf("yard: %s, gate: %s", k.camera("yard"), k.camera("gate"))
	}
}
