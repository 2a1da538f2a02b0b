package config

import (
	"strings"
	"testing"
	"time"

	"camrelay/media"
)

// documented is the file of the design, as far as it is not a secret.
const documented = `version: 1
access:  {view: closed}                       # closed (users and tokens) | open (anyone who reaches the port)
rtsp:    {listen: ":8554"}
http:    {listen: ":8888"}                    # viewers: page, HLS, DASH, TS, FLV
rtmp:    {listen: ":1935"}
srt:     {listen: ":8890"}
api:     {listen: "127.0.0.1:9997", socket: /run/camrelay/api.sock}
metrics: {listen: "127.0.0.1:9998"}
hls:     {segment: 2s, part: 400ms, window: 14s, budget: 256MiB}     # in runtime-dir, a tmpfs
defaults: {transport: auto, keep: warm, idle_after: 20s, start_timeout: 10s, audio: auto}
cameras:
  gate:
    title: Front gate
    url: rtsp://10.20.0.11/Streaming/Channels/101
    username: admin
    password: ${cred:gate}                    # or password_file:
    transport: tcp                            # auto | tcp | udp
    keep: warm                                # warm | ondemand | {warm: "06:00-22:00"}
    sub: {url: rtsp://10.20.0.11/Streaming/Channels/102}             # path gate_sub; with gate it is a ladder
pushes:
  gate-up:
    camera: gate
    url: srt://ingest.example:9000?streamid=gate&latency=400
    passphrase_file: /etc/camrelay/secrets/up
    platform: generic
    limit: 0                                  # attempts, 0 = for ever
    demand: true
hooks:
  on_not_found:   {url: http://127.0.0.1:7000/hook}
  on_none_reader: {url: http://127.0.0.1:7000/hook}
  on_keepalive:   {url: http://127.0.0.1:7000/hook, interval: 10s}
  events:         {url: https://fleet.example/events, secret_file: /etc/camrelay/secrets/hmac}
users:
  - {name: alice, password_hash: "` + hash + `", role: viewer, cameras: [gate]}
`

func parse(t *testing.T, text string) *Config {
	t.Helper()
	cfg, err := Parse("c.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return cfg
}

func TestDocumentedFile(t *testing.T) {
	cfg := parse(t, documented)
	gate := Camera{
		Title: "Front gate", URL: "rtsp://10.20.0.11/Streaming/Channels/101", Username: "admin",
		Transport: TransportTCP, Keep: KeepWarm, IdleAfter: 20 * time.Second,
		OnIdle: IdleAsk, StartTimeout: 10 * time.Second, Audio: AudioAuto, Outputs: allOutputs,
	}
	if got := cfg.Cameras["gate"]; got != gate {
		t.Errorf("gate is %+v", got)
	}
	sub := gate
	sub.Title, sub.URL, sub.SubOf = "Front gate (sub)", "rtsp://10.20.0.11/Streaming/Channels/102", "gate"
	if got := cfg.Cameras["gate_sub"]; got != sub {
		t.Errorf("gate_sub is %+v", got)
	}
	up := newPush()
	up.Camera, up.URL, up.StreamID, up.Latency = "gate", "srt://ingest.example:9000", "gate", 400*time.Millisecond
	up.Audio = AudioAuto
	if got := cfg.Pushes["gate-up"]; got != up {
		t.Errorf("gate-up is %+v", got)
	}
	hls := HLS{ModeAlways, 2 * time.Second, 400 * time.Millisecond, 14 * time.Second, 256 << 20, 256 << 20}
	if cfg.HLS != hls {
		t.Errorf("hls is %+v", cfg.HLS)
	}
	var warned []string
	for _, w := range cfg.Warnings {
		warned = append(warned, w.Key)
	}
	if got := strings.Join(warned, " "); got != "" {
		t.Errorf("warned of %s", got)
	}
}

func TestDefaults(t *testing.T) {
	cfg := parse(t, "version: 1\ncameras:\n  a: {url: rtsp://c/}\npushes:\n  p: {camera: a, url: rtmp://h/live/k}\n")
	if cfg.Access.View != ViewClosed || cfg.RTSP.Listen != ":8554" || cfg.HTTP.Listen != ":8888" ||
		cfg.API != (API{"127.0.0.1:9997", "api.sock"}) || cfg.RTMP.Listen != ":1935" || cfg.SRT.Listen != ":8890" ||
		cfg.Metrics != (Listener{Listen: "127.0.0.1:9998"}) {
		t.Errorf("%+v", cfg)
	}
	a := Camera{
		URL: "rtsp://c/", Transport: TransportAuto, Keep: KeepWarm,
		IdleAfter: 20 * time.Second,
		OnIdle:    IdleClose, StartTimeout: 10 * time.Second, Audio: AudioAuto, Outputs: allOutputs,
	}
	if cfg.Cameras["a"] != a {
		t.Errorf("camera %+v", cfg.Cameras["a"])
	}
	p := Push{
		Camera: "a", Enabled: true, Demand: true, Platform: PlatformGeneric, Audio: AudioAuto,
		Retry: time.Minute, Timeout: 10 * time.Second,
		Target: Target{
			URL: "rtmp://h/live/k", Enhanced: EnhancedAuto, Mode: ModeCaller,
			Latency: 200 * time.Millisecond,
		},
		Backup: Backup{Failures: 3, After: 30 * time.Second, Return: 10 * time.Minute},
	}
	if cfg.Pushes["p"] != p {
		t.Errorf("push %+v", cfg.Pushes["p"])
	}
}

// TestDefaultsStandAnywhere puts the section defaults behind the cameras.
func TestDefaultsStandAnywhere(t *testing.T) {
	cfg := parse(t, `version: 1
cameras:
  a: {url: rtsp://c/a, sub: {url: rtsp://c/b, keep: warm, hls: off}}
  b: {url: rtsp://c/b, transport: udp, hls: off}
defaults: {transport: tcp, keep: ondemand, idle_after: 0s}
`)
	for name, want := range map[string]Camera{
		"a":     {URL: "rtsp://c/a", Transport: TransportTCP, Keep: KeepOnDemand, Outputs: allOutputs},
		"a_sub": {URL: "rtsp://c/b", Transport: TransportTCP, Keep: KeepWarm, SubOf: "a"},
		"b":     {URL: "rtsp://c/b", Transport: TransportUDP, Keep: KeepOnDemand},
	} {
		want.StartTimeout, want.OnIdle, want.Audio = 10*time.Second, IdleClose, AudioAuto
		if hls := want.Outputs.HLS; !hls {
			want.Outputs = allOutputs
			want.Outputs.HLS = false
		}
		if got := cfg.Cameras[name]; got != want {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
}

func TestAccepted(t *testing.T) {
	rows := []struct {
		name, text string
		holds      func(*Config) bool
	}{
		{
			"a byte order mark and line ends of Windows", "\ufeffversion: 1\r\nhls:\r\n  part: 200ms\r\n",
			func(c *Config) bool { return c.HLS.Part == 200*time.Millisecond },
		},
		{"a document mark", "---\nversion: 1\n...\n", func(c *Config) bool { return c.Version == 1 }},
		{"sections without anything in them", "version: 1\ncameras:\npushes:\nhls: {}\n", func(c *Config) bool {
			return len(c.Cameras) == 0
		}},
		{"a server that is off", "version: 1\nrtsp: {listen: \"\"}\napi: {socket: \"\"}\n", func(c *Config) bool {
			return c.RTSP.Listen == "" && c.API.Socket == ""
		}},
		{
			"any free port, twice", "version: 1\nrtsp: {listen: \"127.0.0.1:0\"}\nhttp: {listen: \"127.0.0.1:0\"}\n",
			func(c *Config) bool { return c.HTTP.Listen == "127.0.0.1:0" },
		},
		{"user info in a URL", "version: 1\ncameras: {a: {url: \"rtsp://ad:p%40w@c/x?y=1\"}}\n", func(c *Config) bool {
			a := c.Cameras["a"]
			return a.URL == "rtsp://c/x?y=1" && a.Username == "ad" && a.Password == "p@w" && len(c.Warnings) == 2
		}},
		{
			"a path as particular as cameras are", "version: 1\ncameras: {a: {url: \"rtsp://u@c//x/%7E/a@b\"}}\n",
			func(c *Config) bool { return c.Cameras["a"].URL == "rtsp://c//x/%7E/a@b" },
		},
		{"an address of IPv6", "version: 1\ncameras: {a: {url: \"rtsp://[fe80::1]:554/x\"}}\n", func(c *Config) bool {
			return c.Cameras["a"].URL == "rtsp://[fe80::1]:554/x"
		}},
		{
			"a pinned certificate with colons",
			"version: 1\ncameras: {a: {url: rtsps://c/x, tls: {fingerprint: \"" + strings.Repeat("AB:", 31) + "AB\"}}}\n",
			func(c *Config) bool { return c.Cameras["a"].TLS.Fingerprint == strings.Repeat("ab", 32) },
		},
		{"a push of a sub stream", "version: 1\ncameras: {a: {url: rtsp://c/, sub: {url: rtsp://c/2}}}\n" +
			"pushes: {p: {camera: a_sub, url: rtmps://h/app, key: hunter2}}\n", func(c *Config) bool {
			return c.Pushes["p"].Camera == "a_sub" && c.Pushes["p"].Key == "hunter2"
		}},
		{"a streamid with the signs of access control", "version: 1\ncameras: {a: {url: rtsp://c/}}\n" +
			"pushes: {p: {camera: a, url: \"srt://h:1?streamid=%23!::r=a+b,m=publish\"}}\n", func(c *Config) bool {
			return c.Pushes["p"].StreamID == "#!::r=a+b,m=publish"
		}},
		{
			"a password in quotes that is a number", "version: 1\ncameras: {a: {url: rtsp://c/, password: \"0123\"}}\n",
			func(c *Config) bool { return c.Cameras["a"].Password == "0123" },
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if cfg := parse(t, row.text); !row.holds(cfg) {
				t.Errorf("%+v", cfg)
			}
		})
	}
}

// TestComparable is what reconcile needs: == on cameras and pushes.
func TestComparable(t *testing.T) {
	a, b := Camera{Password: media.Secret("x")}, Camera{Password: media.Secret("y")}
	if a == b || (Target{Key: "x"}) == (Target{Key: "y"}) {
		t.Error("a changed secret is no change")
	}
}
