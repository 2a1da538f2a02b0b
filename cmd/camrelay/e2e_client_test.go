package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What clients of MediaMTX are made of: its description of its API, in the module
// and with the sum that are named here.
const (
	mediaMTX    = "github.com/bluenviron/mediamtx@v1.13.1"
	mediaMTXSum = "h1:Sdqz8bSxnEC4TPuXw+cNAZBbqhae3utqCLWpnfMhyus="
)

// descriptionOfMediaMTX fetches that module and returns the path of the description.
func descriptionOfMediaMTX(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", mediaMTX)
	cmd.Dir = t.TempDir() // it is no dependency of this module
	cmd.Env = append(os.Environ(), "GONOSUMDB="+strings.Split(mediaMTX, "@")[0])
	out, err := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if jerr := json.Unmarshal(out, &module); err != nil || jerr != nil || module.Sum != mediaMTXSum {
		t.Fatalf("cannot fetch %s: %v, %v, %+v", mediaMTX, err, jerr, module)
	}
	return filepath.Join(module.Dir, "apidocs", "openapi.yaml")
}

// TestClientsOfMediaMTX lets a client library that reads MediaMTX's own description
// call its operations: it lists paths and sessions, and kicks one. Each answer is what
// is described there. A validator that is not ours reads our description.
func TestClientsOfMediaMTX(t *testing.T) {
	t.Parallel()
	theirs := descriptionOfMediaMTX(t)
	_, script := npmScript(t, "client.mjs", "openapi-client-axios@7.9.1", "axios@1.21.1",
		"@seriousme/openapi-schema-validator@2.11.0", "ajv@8.17.1", "js-yaml@4.1.0")
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
	out, errs, err := tool(t, 2*time.Minute, "node", script, "http://"+b.addr("api"), ownToken, theirs)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errs)
	}
	var saw struct {
		Valid struct {
			Valid  bool
			Errors any
		}
		Wrong         []any
		Checked       []string
		Paths         []string
		Path          struct{ Name, ConfName string }
		Session       struct{ ID, Path, State string }
		Status        int
		Left, Refused int
	}
	if err := json.Unmarshal([]byte(out), &saw); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(out)
	switch {
	case !saw.Valid.Valid:
		t.Errorf("openapi.json is not valid: %v", saw.Valid.Errors)
	case len(saw.Wrong) > 0 || len(saw.Checked) != 7:
		t.Errorf("of %v not as MediaMTX describes them: %v", saw.Checked, saw.Wrong)
	case len(saw.Paths) != 1 || saw.Path.Name != "gate":
		t.Errorf("the client saw %+v", saw)
	case saw.Session.Path != "gate" || saw.Session.State != "read" || saw.Status != 200 || saw.Left != 0:
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
