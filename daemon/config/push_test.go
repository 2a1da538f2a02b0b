package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTargets(t *testing.T) {
	b := newBox(t, `version: 1
cameras: {gate: {url: rtsp://c/}}
pushes:
  rtsp: {camera: gate, url: "rtsps://u:p@h:8322/live/gate", tls: {ca_file: ca.pem}, comment: NVR}
  rtmp:
    {camera: gate, url: rtmp://h/live/k, username: u, password_file: secret, enhanced: force, priority: 7, retry: 5m}
  srt: {camera: gate, url: "srt://:9000?mode=listener", platform: twitch, audio: transcode}
  tube: {camera: gate, platform: youtube, key_file: secret}
  both:
    camera: gate
    url: rtmps://a/live2
    key_file: secret
    backup: {url: "srt://b:9000", passphrase_file: secret, failures: 5, after: 1m, return: 0s}
`)
	b.write("secret", "0123456789\n")
	b.write("ca.pem", authority)
	cfg, _ := b.load()
	rtsp := cfg.Pushes["rtsp"]
	if rtsp.URL != "rtsps://h:8322/live/gate" || rtsp.Username != "u" || rtsp.Password != "p" ||
		rtsp.TLS.CA != authority || rtsp.Comment != "NVR" {
		t.Errorf("rtsp is %+v", rtsp)
	}
	rtmp := cfg.Pushes["rtmp"]
	if rtmp.Password != "0123456789" || rtmp.Enhanced != EnhancedForce ||
		rtmp.Priority != 7 || rtmp.Retry != 5*time.Minute {
		t.Errorf("rtmp is %+v", rtmp)
	}
	tube := cfg.Pushes["tube"]
	if tube.URL != "rtmps://a.rtmps.youtube.com/live2" || tube.Key != "0123456789" {
		t.Errorf("tube is %+v", tube)
	}
	var warned []string
	for _, w := range cfg.Warnings {
		if w.Key == "pushes.srt.url" {
			warned = append(warned, w.Message)
		}
	}
	if want := []string{"Twitch takes rtmps or rtmp, not srt"}; !slices.Equal(warned, want) {
		t.Errorf("warned %q, want %q", warned, want)
	}
	srt := cfg.Pushes["srt"]
	if srt.URL != "srt://:9000" || srt.Mode != ModeListener || srt.Platform != PlatformTwitch ||
		srt.Audio != AudioTranscode {
		t.Errorf("srt is %+v", srt)
	}
	backup := newTarget()
	backup.URL, backup.Passphrase = "srt://b:9000", "0123456789"
	both := cfg.Pushes["both"]
	if want := (Backup{backup, 5, time.Minute, 0}); both.Backup != want || both.Key != "0123456789" {
		t.Errorf("both is %+v", both)
	}
	if got := cfg.Files["both"]; got != b.opts.File {
		t.Errorf("both is in %s", got)
	}
}

func TestParsePush(t *testing.T) {
	cfg := parse(t, "version: 1\ncameras: {gate: {url: rtsp://c/, audio: drop}}\n")
	p, err := cfg.ParsePush("up", []byte(`{"camera": "gate", "url": "rtmps://h/live", "key": "hunter2", "retry": "5s"}`))
	want := newPush()
	want.Camera, want.URL, want.Key, want.Retry, want.Audio = "gate", "rtmps://h/live", "hunter2", 5*time.Second, AudioDrop
	if err != nil || p != want {
		t.Errorf("%+v, %v", p, err)
	}
	for _, row := range []struct{ name, text, want string }{
		{"nothing", ``, "body:1:1: camera is missing\nbody:1:1: url is missing"},
		{"a list", `[1]`, "body:1:1: want a section, got a list"},
		{"no JSON", `{"camera": "ga`, "body:1:12: not valid YAML: could not find end character of double-quoted text"},
		{"an unknown camera", `{"camera": "x", "url": "rtmp://h/live/hunter2"}`, `body:1:12: camera: there is no camera "x"`},
		{"an unknown key", `{"camera": "gate", "url": "srt://h:1", "pasphrase": "hunter2"}`, `body:1:40: unknown key ` +
			`"pasphrase" (did you mean "passphrase"?)`},
		{"a file", `{"camera": "gate", "url": "rtmp://h/live", "key_file": "/etc/shadow"}`, "body:1:56: key_file: " +
			"is for files only (give the secret itself)"},
		{"a credential", `{"camera": "gate", "url": "rtmp://h/live", "key": "${cred:x}"}`, "body:1:51: key: " +
			"is for files only (give the secret itself)"},
		{"authorities", `{"camera": "gate", "url": "rtmps://h/live/k", "tls": {"ca_file": "/x"}}`, "body:1:66: " +
			"tls.ca_file: is for files only (give fingerprint)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := cfg.ParsePush("up", []byte(row.text)); err == nil || err.Error() != row.want {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
	if _, err := cfg.ParsePush("Up/", []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "bad name") {
		t.Errorf("got %v", err)
	}
}
