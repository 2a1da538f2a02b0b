package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

// planted are secrets, by the place where each was hidden.
type planted map[string]string

// plant makes a secret for a place and returns it.
func (p planted) plant(where string) string {
	p[where] = fmt.Sprintf("hush%02dxQ7z%08x", len(p), len(where)*7919)
	return p[where]
}

// in tells which of them text shows, in any of the usual codings.
func (p planted) in(text string) (found []string) {
	lower := strings.ToLower(text)
	for where, secret := range p {
		for _, form := range []string{
			secret, base64.StdEncoding.EncodeToString([]byte(secret))[:20], url.QueryEscape(secret), fmt.Sprintf("%x", secret),
		} {
			if strings.Contains(lower, strings.ToLower(form)) {
				found = append(found, where)
				break
			}
		}
	}
	slices.Sort(found)
	return found
}

// without leaves out the places that begin with prefix.
func (p planted) without(prefix string) planted {
	rest := make(planted)
	for where, secret := range p {
		if !strings.HasPrefix(where, prefix) {
			rest[where] = secret
		}
	}
	return rest
}

// garbage is a server that answers anything with what is no answer, and hangs up.
func garbage(t *testing.T) (port string) {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			_, _ = c.Read(buf)
			_, _ = c.Write([]byte("\x03not a protocol at all\r\n\r\n"))
			c.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port
}

// TestNoSecretIsShown hides more than 20 secrets wherever there is a place for one,
// lets what they are for fail and succeed, and looks for them wherever the daemon
// writes: log at debug, every route of the API, metrics, events, hooks, errors, its
// own command line. What is shown in their place is not taken for them.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	secrets := make(planted)
	plant := secrets.plant
	cam, sink := startFakeCam(t), startRTMPSink(t)
	hook := startHook(t, func(hookCall) (int, string) { return http.StatusOK, `{"code": 0}` })
	bad := garbage(t)
	files := t.TempDir()
	inFile := func(where string) string {
		name := filepath.Join(files, strings.ReplaceAll(where, " ", "_"))
		if err := os.WriteFile(name, []byte(plant("file: "+where)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if err := os.WriteFile(filepath.Join(files, "gate"), []byte(plant("credential")), 0o600); err != nil {
		t.Fatal(err)
	}
	token := plant("token of a user")
	text := strings.Join([]string{
		"version: 1\naccess: {view: closed}\ncameras:\n",
		fmt.Sprintf("  gate: {url: %q, username: admin, password: \"${cred:gate}\"}\n", cam.url("cam1")),
		fmt.Sprintf("  literal: {url: %q, username: a, password: %s}\n", cam.url("cam2"), plant("conf: password")),
		fmt.Sprintf("  inurl: {url: \"rtsp://a:%s@127.0.0.1:%s/x\"}\n", plant("conf: user info"), bad),
		fmt.Sprintf("  inquery: {url: \"rtsp://127.0.0.1:%s/x?token=%s\"}\n", bad, plant("conf: query")),
		fmt.Sprintf("  inpath: {url: \"rtsp://%s/user=a_password=%s_channel=1\"}\n", cam.addr, plant("conf: path")),
		fmt.Sprintf("  infile: {url: \"rtsp://127.0.0.1:1/\", username: a, password_file: %s}\n", inFile("password")),
		"pushes:\n",
		fmt.Sprintf("  ok: {camera: gate, url: \"rtmp://127.0.0.1:%s/live/%s\"}\n", sink.port, plant("conf: key in URL")),
		fmt.Sprintf("  key: {camera: gate, url: \"rtmp://127.0.0.1:%s/live\", key: %s}\n", bad, plant("conf: key")),
		fmt.Sprintf("  keyfile: {camera: gate, url: \"rtmp://127.0.0.1:1/live\", key_file: %s}\n", inFile("key")),
		fmt.Sprintf("  user: {camera: gate, url: \"rtmp://u:%s@127.0.0.1:%s/live/x\"}\n", plant("conf: RTMP user"), bad),
		fmt.Sprintf("  tls: {camera: gate, url: \"rtmps://127.0.0.1:%s/a/%s\"}\n", bad, plant("conf: RTMPS key")),
		fmt.Sprintf("  srt: {camera: gate, url: \"srt://127.0.0.1:1?streamid=%s&passphrase=%s\"}\n",
			plant("conf: streamid in URL"), plant("conf: passphrase in URL")),
		fmt.Sprintf("  srtfile: {camera: gate, url: \"srt://127.0.0.1:1\", streamid: %s, passphrase_file: %s}\n",
			plant("conf: streamid"), inFile("passphrase")),
		fmt.Sprintf("  rtsp: {camera: gate, url: \"rtsp://127.0.0.1:%s/x\", username: u, password: %s,\n"+
			"    backup: {url: \"rtmp://127.0.0.1:1/live/%s\"}}\n",
			bad, plant("conf: RTSP password"), plant("conf: backup key")),
		"hooks:\n",
		fmt.Sprintf("  events: {url: \"%s/all?key=%s\", secret: %s}\n",
			hook.URL, plant("conf: query of a hook"), plant("conf: secret of a hook")),
		fmt.Sprintf("  on_not_found: {url: \"http://127.0.0.1:%s/x?key=%s\", secret_file: %s}\n",
			bad, plant("conf: query of another"), inFile("secret of another")),
		fmt.Sprintf("users:\n  - {name: root, role: admin, token_hash: %s}\n  - {name: tv, token_hash: %s}\n",
			tokenHash(ownToken), tokenHash(token)),
	}, "")
	runtime, err := os.MkdirTemp("/dev/shm", "camrelay-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	b := &box{t: t, dir: t.TempDir(), runtime: runtime, log: &mediatest.Log{}}
	b.flags, b.env = []string{"-debug"}, []string{"CREDENTIALS_DIRECTORY=" + files}
	b.start(text)
	b.awaitActive("gate", "literal")
	b.awaitPush("ok", "active")
	b.provoke(secrets, token)
	for _, name := range []string{"key", "keyfile", "user", "tls", "srt", "srtfile", "rtsp"} {
		eventually(t, 30*time.Second, name+" has failed", func() error {
			if p, err := b.push(name); err != nil || len(p.Errors) == 0 {
				return fmt.Errorf("no error yet, %w", err)
			}
			return nil
		})
	}
	if len(secrets) < 20 {
		t.Fatalf("%d secrets", len(secrets))
	}
	seen := b.everywhere()
	for _, call := range hook.calls(func(hookCall) bool { return true }) {
		seen["hook"] += string(call.raw) + fmt.Sprint(call.header)
	}
	for where, text := range seen {
		if found := secrets.in(text); len(found) > 0 {
			t.Errorf("%s (%d bytes) shows %q", where, len(text), found)
		}
		if len(text) == 0 {
			t.Errorf("%s is empty", where)
		}
	}
	b.checkStateFiles(secrets)
	t.Logf("%d secrets in %d places", len(secrets), len(seen))
}

// provoke makes mistakes that hold secrets, and sends back what is shown in their
// place.
func (b *box) provoke(secrets planted, token string) {
	b.t.Helper()
	plant := secrets.plant
	const push = `{"name": "x", "camera": "gate", `
	for _, row := range []struct{ method, path, body string }{
		{"POST", "/v1/pushes", push + `"url": "rtmp://h/live/` + plant("API: key") + `", "limit": "x"}`},
		{"POST", "/v1/pushes", push + `"mode": 7, "url": "srt://h:1?streamid=` + plant("API: streamid") + `"}`},
		{"POST", "/v1/pushes", push + `"pasword": "` + plant("API: misspelt") + `"}`},
		{"POST", "/v3/config/paths/add/x", `{"source": "http://a:` + plant("API: source") + `@h/"}`},
		{"POST", "/v3/config/paths/add/x", `{"source": "rtsp://a:%zz` + plant("API: bad source") + `@h/"}`},
		{"POST", "/v1/config/plan", `{"file": "z.yaml", "text": "cameras: {x: {url: \"rtsp://h/\", pasword: ` +
			plant("API: plan") + `}}"}`},
		{"POST", "/v3/config/paths/add/back", `{"source": "` +
			b.call("GET", "/v3/config/paths/get/inpath", "").str("source") + `"}`},
		{"POST", "/v1/pushes", `{"name": "back", "camera": "gate", "url": "` +
			b.call("GET", "/v1/pushes/ok", "").str("url") + `"}`},
	} {
		if r := b.call(row.method, row.path, row.body); r.code/100 != 4 && !strings.HasSuffix(row.path, "plan") {
			b.t.Errorf("%s %s: status %d: %s", row.method, row.path, r.code, r.text)
		} else if found := secrets.in(r.text); len(found) > 0 {
			b.t.Errorf("%s shows %q: %s", row.path, found, r.text)
		}
	}
	if r := b.call("POST", "/v1/pushes", `{"name": "added", "camera": "gate", "url": "rtmp://127.0.0.1:1/live/`+
		plant("API: added")+`"}`); r.code != http.StatusCreated {
		b.t.Errorf("a push: status %d: %s", r.code, r.text)
	}
	if r := b.call("POST", "/v3/config/paths/add/late", `{"source": "rtsp://a:`+plant("API: path")+
		`@127.0.0.1:1/"}`); r.code != http.StatusOK {
		b.t.Errorf("a path: status %d: %s", r.code, r.text)
	}
	// Logins that fail, and viewers who name their token.
	for _, login := range []func(*http.Request){
		func(r *http.Request) { r.SetBasicAuth("root", plant("API: wrong password")) },
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+plant("API: wrong token")) },
		func(r *http.Request) { r.URL.RawQuery = "token=" + plant("API: token in a query") },
	} {
		if r := b.call("GET", "/v1/status", "", login); r.code != http.StatusUnauthorized {
			b.t.Errorf("status %d", r.code)
		}
	}
	for _, u := range []string{
		b.http("gate/index.m3u8?token=" + token), b.http("nobody/index.m3u8?token=" + token),
		b.http("gate/index.m3u8?token=" + plant("viewer: wrong token")),
	} {
		if res, err := http.Get(u); err == nil {
			res.Body.Close()
		}
	}
	_, _, _ = tool(b.t, 5*time.Second, "ffprobe", "-v", "quiet", "-rtsp_transport", "tcp",
		"rtsp://tv:"+plant("viewer: wrong password")+"@"+b.addr("rtsp")+"/gate")
	// A drop-in that is broken, with a secret in the line that is shown.
	dropIn := filepath.Join(b.dir, "conf.d", "50-x.yaml")
	if err := os.MkdirAll(filepath.Dir(dropIn), 0o700); err != nil {
		b.t.Fatal(err)
	}
	broken := "cameras:\n  x: {url: \"rtsp://u:" + plant("drop-in: broken") + "@h/\", passwrod: " +
		plant("drop-in: misspelt") + "}\n"
	if err := os.WriteFile(dropIn, []byte(broken), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if st := b.decided(); st.State != "rejected" {
		b.t.Errorf("state %s", st.State)
	}
}

// everywhere returns what the daemon shows, by where.
func (b *box) everywhere() map[string]string {
	b.t.Helper()
	seen := map[string]string{"log": b.log.String()}
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := b.get("/openapi.json", &doc); err != nil {
		b.t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		if methods["get"] == nil || path == "/v1/events" || path == "/openapi.json" {
			continue
		}
		for _, name := range []string{"gate", "inurl", "inquery", "inpath", "late", "srt", "tls", "added", "hush"} {
			asked := strings.NewReplacer("{name}", name, "{id}", "hush").Replace(path)
			seen[asked] = b.call("GET", asked, "").text
		}
	}
	seen["find_all"] = b.call("POST", "/rest-api/stream/find_all", "").text
	seen["metrics"] = b.fetch("http://" + b.addr("metrics") + "/metrics")
	seen["page"] = b.fetch(b.http(""))
	seen["playlist"] = b.fetch(b.http("gate/index.m3u8"))
	seen["events"] = b.eventsHeld()
	for _, words := range []string{"status", "sessions -ended", "events -json", "config cat", "check", "config diff"} {
		_, out, complaints := b.command(append(strings.Fields(words), b.flagsOf(words)...)...)
		seen["camrelay "+words] = out + complaints
	}
	name := filepath.Join(b.t.TempDir(), "bundle")
	b.command("bundle", "-c", b.config(), "-runtime-dir", b.runtime, name)
	for part, text := range unpacked(b.t, name) {
		seen["bundle: "+part] = text + "\n"
	}
	for _, name := range []string{"cmdline", "environ", "comm", "status", "maps", "mountinfo"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", b.cmd.Process.Pid, name))
		if err != nil {
			b.t.Fatal(err)
		}
		seen["/proc/"+name] = string(text)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
			b.t.Errorf("a core may be dumped: %s", line)
		}
	}
	return seen
}

// flagsOf says where the box is, to a command.
func (b *box) flagsOf(words string) []string {
	if strings.HasPrefix(words, "c") {
		return []string{"-c", b.config()}
	}
	return []string{"-runtime-dir", b.runtime}
}

// fetch returns what an HTTP server of the daemon answers to the token of the tests.
func (b *box) fetch(u string) string {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, u, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+ownToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// eventsHeld returns the events so far: up to one that the test makes last.
func (b *box) eventsHeld() string {
	b.t.Helper()
	b.call("POST", "/v1/cameras/literal/stop", `{"hold_off": "1h"}`).want(http.StatusOK)
	res, err := b.client.Get("http://box/v1/events?since=0")
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	var all strings.Builder
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		var e struct{ Type, Path string }
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if ok && json.Unmarshal([]byte(data), &e) == nil && e.Type == "camera.stopped" && e.Path == "literal" {
			break
		}
	}
	return all.String()
}

// checkStateFiles looks for secrets in what the daemon keeps: those that files
// only name are not there, and nobody else may read the rest.
func (b *box) checkStateFiles(secrets planted) {
	b.t.Helper()
	n := 0
	for _, dir := range []string{filepath.Join(b.dir, "state"), b.runtime} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil // a segment may have gone
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			n++
			kept := secrets
			if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 == 0 && filepath.Base(path) == "last-good.json" {
				kept = secrets.without("conf: ")
			}
			if found := kept.in(string(text)); len(found) > 0 {
				b.t.Errorf("%s shows %q", path, found)
			}
			return nil
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	if n == 0 {
		b.t.Error("no file is kept")
	}
}
