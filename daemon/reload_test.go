package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/media/testcam"
)

// quiet is a site without cameras that exist.
const quietSite = "version: 1\nrtsp: {listen: \"\"}\nhttp: {listen: \"\"}\napi: {listen: \"\"}\n" +
	"rtmp: {listen: \"\"}\nsrt: {listen: \"\"}\nhls: {mode: \"off\"}\n" +
	"cameras:\n  gate: {url: \"rtsp://127.0.0.1:1/\", keep: ondemand}\n"

// write replaces a file of the site.
func (s *site) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (s *site) dropIn(name string) string { return filepath.Join(s.opts.ConfigDirs[0], name) }

// config returns the status of the configuration, of which the state is empty
// while nobody answers.
func (s *site) config() (st api.ConfigStatus) {
	_ = json.Unmarshal([]byte(s.get("/v1/config/status")), &st) // else it stays empty
	return st
}

// await waits until the configuration is in the state.
func (s *site) await(t *testing.T, state string, generation int) (st api.ConfigStatus) {
	t.Helper()
	await(t, fmt.Sprintf("configuration %s, generation %d", state, generation), func() bool {
		st = s.config()
		return st.State == state && st.Generation == generation
	})
	return st
}

func newQuietSite(t *testing.T, more string) *site {
	t.Helper()
	s := newSite(t, "")
	s.opts.ConfigDirs = []string{filepath.Join(filepath.Dir(s.opts.ConfigFile), "conf.d")}
	s.write(t, s.opts.ConfigFile, quietSite+more)
	return s
}

// TestLastGoodAtTheStart breaks the files between two starts in turn: each
// time what ran last runs, and the status says why it is not the files.
func TestLastGoodAtTheStart(t *testing.T) {
	s := newQuietSite(t, "")
	stop := s.start(t)
	first := s.await(t, stateApplied, 1)
	stop()
	for name, breakIt := range map[string]func(){
		"the file is gone":   func() { os.Remove(s.opts.ConfigFile) },
		"the file is empty":  func() { s.write(t, s.opts.ConfigFile, "") },
		"the file is broken": func() { s.write(t, s.opts.ConfigFile, quietSite+"camras: {}\n") },
		"a drop-in is broken": func() {
			s.write(t, s.opts.ConfigFile, quietSite)
			s.write(t, s.dropIn("10.yaml"), "cameras: [\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			breakIt()
			stop := s.start(t)
			st := s.await(t, stateLastGood, 1)
			if len(st.Errors) == 0 || st.AppliedHash != first.Hash || st.Hash == first.Hash ||
				!st.AppliedAt.Equal(*first.AppliedAt) {
				t.Errorf("%+v, first %+v", st, first)
			}
			if got := s.get("/v3/paths/get/gate"); !strings.Contains(got, `"name":"gate"`) {
				t.Errorf("the camera of the last good configuration: %s", got)
			}
			stop()
		})
	}
	s.write(t, s.dropIn("10.yaml"), "")
	s.write(t, s.opts.ConfigFile, quietSite)
	stop = s.start(t)
	s.await(t, stateApplied, 2) // the drop-in, though empty, makes it another set
	stop()
	info, err := os.Stat(filepath.Join(s.opts.StateDir, lastGoodFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestFirstStartWithoutAFile says that nothing runs, and begins when the file is there.
func TestFirstStartWithoutAFile(t *testing.T) {
	s := newQuietSite(t, "")
	if err := os.Remove(s.opts.ConfigFile); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	if st := s.await(t, stateRejected, 0); len(st.Errors) != 1 || st.AppliedAt != nil {
		t.Errorf("%+v", st)
	}
	s.write(t, s.opts.ConfigFile, quietSite)
	s.await(t, stateApplied, 1)
}

// TestLastGoodWithoutItsSecrets takes the secrets away as well: what needs
// them is switched off, and nothing is sent or served in the clear.
func TestLastGoodWithoutItsSecrets(t *testing.T) {
	s := newQuietSite(t, "pushes:\n  up: {camera: gate, url: \"srt://127.0.0.1:1\", passphrase_file: pass}\n"+
		"  also: {camera: gate, url: \"srt://127.0.0.1:1\", enabled: false}\n"+
		"hooks:\n  events: {url: \"http://127.0.0.1:1/\", secret_file: hmac}\n")
	dir := filepath.Dir(s.opts.ConfigFile)
	s.write(t, filepath.Join(dir, "pass"), "a passphrase")
	s.write(t, filepath.Join(dir, "hmac"), "a secret of hooks")
	stop := s.start(t)
	s.await(t, stateApplied, 1)
	stop()
	kept, err := os.ReadFile(filepath.Join(s.opts.StateDir, lastGoodFile))
	if err != nil || strings.Contains(string(kept), "a passphrase") || strings.Contains(string(kept), "a secret of") {
		t.Errorf("%v: %s", err, kept)
	}
	os.Remove(filepath.Join(dir, "pass"))
	os.Remove(filepath.Join(dir, "hmac"))
	stop = s.start(t)
	st := s.await(t, stateLastGood, 1)
	if len(st.Errors) != 2 || len(st.Warnings) < 2 {
		t.Errorf("errors %v, warnings %v", st.Errors, st.Warnings)
	}
	var push api.PushStatus
	if err := json.Unmarshal([]byte(s.get("/v1/pushes/up")), &push); err != nil || push.Enabled {
		t.Errorf("a push without its passphrase: %+v, %v", push, err)
	}
	s.write(t, filepath.Join(dir, "hmac"), "a secret of hooks")
	s.write(t, filepath.Join(dir, "pass"), "a passphrase")
	s.await(t, stateApplied, 2)
	stop()
}

// TestSkipFile leaves out the drop-in that has a mistake, and the one that
// needs it, and nothing else; also at the start.
func TestSkipFile(t *testing.T) {
	s := newQuietSite(t, "on_invalid: skip_file\n")
	s.write(t, s.dropIn("10-good.yaml"), "cameras:\n  good: {url: \"rtsp://127.0.0.1:1/\", keep: ondemand}\n")
	s.write(t, s.dropIn("20-bad.yaml"), "cameras:\n  bad: {ulr: \"rtsp://127.0.0.1:1/\"}\n")
	s.write(t, s.dropIn("30-needs.yaml"), "pushes:\n  up: {camera: bad, url: \"srt://127.0.0.1:1\"}\n")
	s.start(t)
	st := s.await(t, statePartial, 1)
	var results []string
	for _, f := range st.Files {
		results = append(results, filepath.Base(f.Path)+" "+f.Result)
	}
	want := "camrelay.yaml ok, 10-good.yaml ok, 20-bad.yaml skipped, 30-needs.yaml skipped"
	if got := strings.Join(results, ", "); got != want {
		t.Errorf("files: %s\n%v", got, st.Errors)
	}
	if got := s.get("/v3/paths/list"); !strings.Contains(got, `"name":"good"`) || strings.Contains(got, `"name":"bad"`) {
		t.Error(got)
	}
	s.write(t, s.opts.ConfigFile, quietSite+"on_invalid: skip_file\ncamras: {}\n")
	s.await(t, stateRejected, 1)
	s.write(t, s.opts.ConfigFile, quietSite)
	s.await(t, stateRejected, 1)
	s.write(t, s.dropIn("20-bad.yaml"), "cameras:\n  bad: {url: \"rtsp://127.0.0.1:1/\", keep: ondemand}\n")
	s.await(t, stateApplied, 2)
}

// startCams runs two synthetic cameras, a and b.
func startCams(t *testing.T) *testcam.Server {
	t.Helper()
	cams := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: []testcam.Camera{
		{Path: "a", Height: 180, GOP: 25}, {Path: "b", Height: 180, GOP: 25},
	}}, slog.New(slog.DiscardHandler))
	if err := cams.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- cams.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return cams
}

// TestAnEditThatMakesCamerasColdIsReverted: one that does not is confirmed, a
// camera that was cold before does not count, and what was reverted is not tried
// again, not even by another start.
func TestAnEditThatMakesCamerasColdIsReverted(t *testing.T) {
	cams := startCams(t)
	text := func(a, b string) string {
		return strings.Split(quietSite, "cameras:")[0] + fmt.Sprintf("confirm: {timeout: 4s}\ncameras:\n"+
			"  a: {url: %q, transport: tcp}\n  b: {url: %q, transport: tcp}\n", a, b)
	}
	s := newQuietSite(t, "")
	s.write(t, s.opts.ConfigFile, text(cams.URL("a"), "rtsp://127.0.0.1:1/cold"))
	stop := s.start(t)
	s.await(t, stateApplied, 1)
	warm := func(name string) bool { return strings.Contains(s.get("/v1/cameras/"+name), `"state":"warm"`) }
	await(t, "camera a is warm", func() bool { return warm("a") })

	s.write(t, s.opts.ConfigFile, text(cams.URL("b"), "rtsp://127.0.0.1:1/colder"))
	if st := s.await(t, stateApplying, 2); st.ConfirmBy == nil {
		t.Errorf("%+v", st)
	}
	good := s.await(t, stateApplied, 2)

	s.write(t, s.opts.ConfigFile, text("rtsp://127.0.0.1:1/a", "rtsp://127.0.0.1:1/colder"))
	s.await(t, stateApplying, 3)
	st := s.await(t, stateRolledBack, 4)
	if st.AppliedHash != good.Hash || st.Hash == good.Hash || !strings.Contains(st.Reason, "camera a") &&
		!strings.HasSuffix(st.Reason, ": a") || len(st.Errors) > 0 {
		t.Errorf("%+v", st)
	}
	await(t, "camera a is warm again", func() bool { return warm("a") })
	s.write(t, s.opts.ConfigFile, text("rtsp://127.0.0.1:1/a", "rtsp://127.0.0.1:1/colder"))
	stop()

	stop = s.start(t)
	if st := s.await(t, stateRolledBack, 4); st.AppliedHash != good.Hash || st.Reason == "" {
		t.Errorf("after another start: %+v", st)
	}
	await(t, "camera a is warm after another start", func() bool { return warm("a") })
	s.write(t, s.opts.ConfigFile, text(cams.URL("a"), "rtsp://127.0.0.1:1/colder"))
	s.await(t, stateApplied, 5)
	stop()
}

// TestLastGoodIsWrittenOnce starts again on the same files: flash wears.
func TestLastGoodIsWrittenOnce(t *testing.T) {
	s := newQuietSite(t, "")
	stop := s.start(t)
	s.await(t, stateApplied, 1)
	stop()
	path := filepath.Join(s.opts.StateDir, lastGoodFile)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stop = s.start(t)
	s.await(t, stateApplied, 1)
	stop()
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was written again, %v", err)
	}
}

// TestPlanTouchesNothing asks what an edit would do.
func TestPlanTouchesNothing(t *testing.T) {
	s := newQuietSite(t, "")
	s.start(t)
	before := s.await(t, stateApplied, 1)
	var p api.PlanResult
	ask := func(file, text string) {
		t.Helper()
		body, err := json.Marshal(api.PlanRequest{File: file, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		p = api.PlanResult{}
		if err := json.Unmarshal([]byte(s.post("/v1/config/plan", string(body))), &p); err != nil {
			t.Fatal(err)
		}
	}
	ask("", "")
	if !p.Valid || len(p.Changes) != 0 || p.Hash != before.Hash {
		t.Errorf("as they are: %+v", p)
	}
	ask("20-b.yaml", "cameras:\n  b: {url: \"rtsp://127.0.0.1:1/\"}\n")
	if !p.Valid || len(p.Changes) == 0 || p.Changes[0].String() != "camera b: is added" {
		t.Errorf("a drop-in: %+v", p)
	}
	ask("20-b.yaml", "cameras:\n  gate: {url: \"rtsp://127.0.0.1:1/\"}\n")
	if p.Valid || len(p.Errors) != 1 || p.Errors[0].File != "20-b.yaml" || p.Errors[0].Line != 2 {
		t.Errorf("a drop-in with a mistake: %+v, %v", p, p.Errors)
	}
	ask("camrelay.yaml", strings.Replace(quietSite, "ondemand", "warm", 1))
	if !p.Valid || len(p.Changes) != 1 {
		t.Errorf("the main file: %+v", p)
	}
	ask("../x.yaml", "")
	if p.Valid || len(p.Errors) != 1 {
		t.Errorf("a file elsewhere: %+v", p)
	}
	if after := s.config(); after.Hash != before.Hash || after.Generation != 1 || after.State != stateApplied {
		t.Errorf("it has changed: %+v", after)
	}
}

// TestDamagedLastGood: whatever stands in its place is refused, and told.
func TestDamagedLastGood(t *testing.T) {
	g := &lastGood{Generation: 3, Hash: "h", Files: []config.File{{Path: "a", Text: "version: 1\n"}}}
	dir := t.TempDir()
	if err := g.write(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, lastGoodFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readLastGood(dir); err != nil || got.Generation != 3 || got.Files[0].Text != "version: 1\n" {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range text {
		if _, err := parseLastGood(text[:n]); err == nil {
			t.Fatalf("the first %d bytes are taken", n)
		}
		for _, b := range []byte{0, 'x', text[n] ^ 1} {
			spoilt := append([]byte{}, text...)
			if spoilt[n] = b; b == text[n] {
				continue
			}
			if got, err := parseLastGood(spoilt); err == nil && (got.Generation != 3 || got.Hash != "h") {
				t.Fatalf("byte %d spoilt: %+v", n, got)
			}
		}
	}
}
