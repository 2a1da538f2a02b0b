package daemon

import (
	"slices"
	"strings"
	"testing"

	"camrelay/daemon/config"
)

const planBase = `version: 1
access: {view: open}
cameras:
  gate: {url: "rtsp://192.0.2.1/a", username: u, password: p}
  yard: {url: "rtsp://192.0.2.2/a", keep: ondemand}
pushes:
  up: {camera: gate, url: "rtmp://192.0.2.9/live/secretkey"}
  srt: {camera: gate, url: "srt://192.0.2.9:9000?streamid=gate&latency=400", passphrase: "0123456789"}
`

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

func TestDiffNamesWhatAnEditTouches(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string // replaced in planBase
		want     []string
	}{
		"nothing": {"", "", nil},
		"a push alone": {
			"latency=400", "latency=500", []string{"push srt: reconnects"},
		},
		"how a push is tried": {
			"latency=400\"", "latency=400\", limit: 5, priority: 9, comment: x",
			[]string{"push srt: changes without a reconnect"},
		},
		"a camera's address": {
			"192.0.2.1/a", "192.0.2.1/b", []string{"camera gate: reconnects"},
		},
		"a policy": {
			"keep: ondemand", "keep: warm",
			[]string{"HLS of camera yard: is added", "policy of camera yard: changes without a reconnect"},
		},
		"HLS": {
			"cameras:", "hls: {segment: 4s}\ncameras:", []string{
				"HLS of camera gate: restarts, its sequence goes on", "HLS server: restarts, its viewers load anew",
			},
		},
		"the sound of a camera": {
			"password: p", "password: p, audio: drop", []string{
				"HLS of camera gate: restarts, its sequence goes on", "push srt: reconnects", "push up: reconnects",
				"sound of camera gate: changes for new viewers",
			},
		},
		"access": {"view: open", "view: closed", []string{"access: changes; viewers whose right is gone are sent away"}},
		"a listener": {
			"cameras:", "rtsp: {listen: \":9554\"}\ncameras:", []string{"RTSP server: moves from :8554 to :9554"},
		},
		"a push less": {
			"  srt: {camera: gate, url: \"srt://192.0.2.9:9000?streamid=gate&latency=400\", passphrase: \"0123456789\"}\n", "",
			[]string{"push srt: is removed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, change := range Diff(parse(t, planBase), parse(t, strings.Replace(planBase, c.old, c.new, 1))) {
				got = append(got, change.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPlanShowsNoSecrets(t *testing.T) {
	p := planOf(parse(t, planBase), "1")
	for name, push := range p.pushes {
		if strings.Contains(push.spec.target.shown, "secretkey") ||
			strings.Contains(push.spec.target.shown, "0123456789") {
			t.Errorf("push %s shows a secret: %s", name, push.spec.target.shown)
		}
	}
	if got := p.pushes["srt"].spec.target.srt; got.Port != 9000 || got.Host != "192.0.2.9" ||
		got.StreamID.Reveal() != "gate" {
		t.Errorf("SRT push to %s:%d, streamid %q", got.Host, got.Port, got.StreamID.Reveal())
	}
}

func TestWarmCamerasArePackagedAndOthersOnDemand(t *testing.T) {
	p := planOf(parse(t, planBase), "1")
	if _, ok := p.hls["gate"]; !ok || len(p.hls) != 1 {
		t.Errorf("packaged: %v, want gate alone", p.hls)
	}
	off := planOf(parse(t, strings.Replace(planBase, "cameras:", "hls: {mode: off}\ncameras:", 1)), "1")
	if len(off.hls) != 0 || off.outputs["gate"].HLS || off.outputs["yard"].HLS {
		t.Errorf("HLS off: packaged %v, outputs %v", off.hls, off.outputs)
	}
}
