package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// TestClientsOfMediaMTX lets a public client library call MediaMTX's operations
// by their names: it lists paths and sessions, and kicks one. A validator that is
// not ours reads the description of the API before.
func TestClientsOfMediaMTX(t *testing.T) {
	t.Parallel()
	_, script := npmScript(t, "client.mjs", "openapi-client-axios@7.9.1", "axios@1.21.1",
		"@seriousme/openapi-schema-validator@2.11.0")
	cam := startFakeCam(t)
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  gate: {url: %q}\nusers:\n"+
		"  - {name: root, role: admin, token_hash: %s}\n", cam.url("cam1"), tokenHash(ownToken)))
	b.awaitActive("gate")
	_, ended := startFFmpeg(t, "-rtsp_transport", "tcp", "-i", b.rtsp("gate"))
	eventually(t, 30*time.Second, "somebody watches", func() error {
		if r := b.call("GET", "/v3/rtspsessions/list", ""); r.at("itemCount") != 1.0 {
			return fmt.Errorf("sessions %s", r.text)
		}
		return nil
	})
	out, errs, err := tool(t, 2*time.Minute, "node", script, "http://"+b.addr("api"), ownToken)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errs)
	}
	var saw struct {
		Valid struct {
			Valid  bool
			Errors any
		}
		Info          struct{ Version, Started string }
		Paths         []string
		Path          struct{ Name, ConfName string }
		Session       struct{ ID, Path, State string }
		Kicked        struct{ Status string }
		Left, Refused int
	}
	if err := json.Unmarshal([]byte(out), &saw); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(out)
	switch {
	case !saw.Valid.Valid:
		t.Errorf("openapi.json is not valid: %v", saw.Valid.Errors)
	case saw.Info.Version == "" || saw.Info.Started == "" || len(saw.Paths) != 1 || saw.Path.Name != "gate":
		t.Errorf("the client saw %+v", saw)
	case saw.Session.Path != "gate" || saw.Session.State != "read" || saw.Kicked.Status != "ok" || saw.Left != 0:
		t.Errorf("the session and its end: %+v", saw)
	case saw.Refused != 404:
		t.Errorf("kicking it again: status %d", saw.Refused)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the viewer who was kicked goes on")
	}
}
