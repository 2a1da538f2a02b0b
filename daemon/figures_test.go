package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/health"
	"camrelay/daemon/keepalive"
	"camrelay/daemon/metrics"
	"camrelay/daemon/relay"
	"camrelay/daemon/supervise"
)

// TestWordsOfMetricsAreThoseOfTheRooms holds the values of labels against what
// the rooms say.
func TestWordsOfMetricsAreThoseOfTheRooms(t *testing.T) {
	text := func(all ...any) (words []string) {
		for _, w := range all {
			words = append(words, fmt.Sprint(w))
		}
		return words
	}
	phases := text(supervise.Idle, supervise.Starting, supervise.Reconnecting, supervise.Failed, supervise.Stopped)
	for _, row := range []struct {
		what       string
		shown, are []string
	}{
		{
			"cameras' states", metrics.CameraStates(),
			append(text(relay.StateWarm, relay.StateDegraded, relay.StateStalled), phases...),
		},
		{"pushes' states", metrics.PushStates(), append(text(supervise.Active), phases...)},
		{"conditions", metrics.CameraConditions(), text(health.Offline, health.Stalled, health.FrozenStamps,
			health.NoKeyFrame, health.MissingVideo, health.MissingAudio)},
		{"the configuration's states", metrics.ConfigStates(), text(stateApplied, statePartial, stateApplying,
			stateRejected, stateRolledBack, stateLastGood)},
		{"keepalives' states", metrics.KeepaliveStates(), text(keepalive.Waiting, keepalive.Holding, keepalive.Degraded,
			keepalive.Expired)},
	} {
		slices.Sort(row.shown)
		slices.Sort(row.are)
		if !slices.Equal(row.shown, row.are) {
			t.Errorf("%s are %v, the metrics show %v", row.what, row.are, row.shown)
		}
	}
}

// tcp asks a server of the daemon by its name in the status.
func (s *site) tcp(t *testing.T, server, path string) (code int, body string) {
	t.Helper()
	var st struct{ Listeners map[string]string }
	if err := json.Unmarshal([]byte(s.get("/v1/status")), &st); err != nil || st.Listeners[server] == "" {
		return 0, ""
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+st.Listeners[server]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(text)
}

// samples returns the values of camrelay's own series.
func (s *site) samples(t *testing.T) map[string]float64 {
	t.Helper()
	_, text := s.tcp(t, "metrics", "/metrics")
	all := make(map[string]float64)
	for line := range strings.Lines(text) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if !strings.HasPrefix(line, "camrelay_") {
			continue
		}
		if !strings.Contains(line, "{") {
			series, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		} else {
			series += "}"
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[series] = v
	}
	return all
}

// TestFiguresOfARunningDaemon compares the metrics of a daemon with a camera, a
// push that nobody takes, a keepalive and viewers with what happens.
func TestFiguresOfARunningDaemon(t *testing.T) {
	cam, camStop := demoCamera(t)
	defer camStop()
	s := newSite(t, cam.URL("gate"))
	defer s.start(t)()

	awaitFigures(t, s, map[string]float64{
		`camrelay_camera_up{camera="gate"}`:                            1,
		`camrelay_camera_warm{camera="gate"}`:                          1,
		`camrelay_camera_wanted{camera="gate"}`:                        1,
		`camrelay_camera_state{camera="gate",state="warm"}`:            1,
		`camrelay_camera_state{camera="gate",state="starting"}`:        0,
		`camrelay_push_info{camera="gate",protocol="srt",push="dead"}`: 1,
		`camrelay_push_state{push="dead",state="reconnecting"}`:        1,
		`camrelay_push_status{push="dead"}`:                            1,
		`camrelay_listener_up{listener="metrics"}`:                     1,
		`camrelay_listener_up{listener="rtsp"}`:                        1,
		`camrelay_listener_up{listener="api"}`:                         1,
		`camrelay_config_last_reload_successful`:                       1,
		`camrelay_config_generation`:                                   1,
		`camrelay_tmpfs_budget_bytes`:                                  256 << 20,
	})
	before := s.samples(t)
	for _, rises := range []string{
		`camrelay_camera_received_bytes_total{camera="gate"}`, `camrelay_camera_rtp_packets_total{camera="gate"}`,
		`camrelay_camera_frames_total{camera="gate"}`, `camrelay_camera_keyframes_total{camera="gate"}`,
		`camrelay_camera_last_keyframe_timestamp_seconds{camera="gate"}`, `camrelay_camera_hls_bytes{camera="gate"}`,
		`camrelay_tmpfs_bytes`, `camrelay_tmpfs_free_bytes`, `camrelay_camera_gop_seconds{camera="gate"}`,
	} {
		await(t, rises+" is more than 0", func() bool { return s.samples(t)[rises] > 0 })
	}
	failures := func() (sum float64) {
		for series, v := range s.samples(t) {
			if strings.HasPrefix(series, `camrelay_push_reconnects_total{push="dead"`) {
				sum += v
			}
		}
		return sum
	}
	await(t, "the push has failed twice", func() bool { return failures() >= 2 })

	// Somebody comes, and somebody who may not.
	if code, _ := s.tcp(t, "http", "/gate/hls.m3u8"); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if !strings.Contains(s.post("/v3/paths/keepalive/add/gate", ""), "id") {
		t.Error("no keepalive")
	}
	awaitFigures(t, s, map[string]float64{
		`camrelay_viewers{protocol="hls"}`:                                 1,
		`camrelay_camera_viewers{camera="gate"}`:                           1,
		`camrelay_viewer_sessions_total{protocol="hls"}`:                   1,
		`camrelay_hls_request_duration_seconds_count{kind="playlist"}`:     1,
		`camrelay_keepalives{state="holding"}`:                             1,
		`camrelay_camera_reconnects_total{camera="gate",reason="network"}`: 0,
		`camrelay_camera_reconnects_total{camera="gate",reason="refused"}`: 0,
		`camrelay_camera_condition{camera="gate",condition="offline"}`:     0,
	})
	after := s.samples(t)
	if a, b := slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)); !slices.Equal(a, b) {
		t.Errorf("the series have changed: %v before, %v after", b, a)
	}

	// The camera goes.
	camStop()
	awaitFigures(t, s, map[string]float64{
		`camrelay_camera_up{camera="gate"}`:                         0,
		`camrelay_camera_warm{camera="gate"}`:                       0,
		`camrelay_camera_wanted{camera="gate"}`:                     1,
		`camrelay_camera_state{camera="gate",state="reconnecting"}`: 1,
	})

	// A broken edit.
	if err := os.WriteFile(s.opts.ConfigFile, []byte("version: 1\ncameras: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	awaitFigures(t, s, map[string]float64{
		`camrelay_config_last_reload_successful`:  0,
		`camrelay_config_state{state="rejected"}`: 1,
		`camrelay_config_errors`:                  1,
		`camrelay_config_generation`:              1,
	})
}

// awaitFigures waits until the series have these values.
func awaitFigures(t *testing.T, s *site, want map[string]float64) {
	t.Helper()
	for series, value := range want {
		await(t, fmt.Sprintf("%s is %v", series, value), func() bool {
			got, ok := s.samples(t)[series]
			return ok && got == value
		})
	}
}

// TestHealthAndReadiness asks /healthz and /readyz of both ports while all is
// well, while a port is taken, and after a restart without a configuration.
func TestHealthAndReadiness(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := newSite(t, "rtsp://127.0.0.1:1/")
	good, err := os.ReadFile(s.opts.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	stop := s.start(t)
	is := func(path string, want int, text string) func() bool {
		return func() bool {
			code, body := s.tcp(t, "metrics", path)
			return code == want && strings.Contains(body, text)
		}
	}
	await(t, "it is ready, whatever its camera", is("/readyz", http.StatusOK, `"ready"`))
	await(t, "it lives", is("/healthz", http.StatusOK, "ok"))
	if got := s.get("/readyz"); !strings.Contains(got, `"status":"ready"`) {
		t.Errorf("the API says %s", got)
	}
	if code, _ := s.tcp(t, "metrics", "/v1/status"); code != http.StatusNotFound {
		t.Errorf("the API is served at the port of metrics: status %d", code)
	}
	bad := strings.Replace(string(good), `rtsp: {listen: "127.0.0.1:0"}`,
		fmt.Sprintf("rtsp: {listen: %q}", taken.Addr()), 1)
	if err := os.WriteFile(s.opts.ConfigFile, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "it is not ready", is("/readyz", http.StatusServiceUnavailable, "rtsp does not listen"))
	await(t, "it lives", is("/healthz", http.StatusOK, "ok"))
	stop()

	if err := os.RemoveAll(s.opts.StateDir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.opts.ConfigFile, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer s.start(t)()
	await(t, "nothing runs", func() bool { return strings.Contains(s.get("/readyz"), "no configuration runs") })
}

// TestStuck is of a daemon whose loop does not go round.
func TestStuck(t *testing.T) {
	d := &daemon{}
	if d.alive() { // started long ago, and no round since
		t.Error("it lives")
	}
	d.started = time.Now()
	if !d.alive() {
		t.Error("it does not live at its start")
	}
	if d.hangs.Store(true); d.alive() {
		t.Error("it lives while something hangs")
	}
}

// TestMetricsPortMoves edits the address.
func TestMetricsPortMoves(t *testing.T) {
	s := newSite(t, "rtsp://127.0.0.1:1/")
	good, err := os.ReadFile(s.opts.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	defer s.start(t)()
	scraped := func() bool {
		code, body := s.tcp(t, "metrics", "/metrics")
		return code == http.StatusOK && strings.Contains(body, "camrelay_build_info")
	}
	await(t, "it is scraped", scraped)
	const was = `metrics: {listen: "127.0.0.1:0"}`
	for _, is := range []string{`metrics: {listen: ""}`, `metrics: {listen: "127.0.0.1:0", max_connections: 8}`} {
		text := strings.Replace(string(good), was, is, 1)
		if text == string(good) {
			t.Fatal("the file has no metrics")
		}
		if err := os.WriteFile(s.opts.ConfigFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(is, `""`) {
			await(t, "it is off", func() bool {
				return !strings.Contains(s.get("/v1/status"), `"metrics":"127`) && s.get("/healthz") != ""
			})
			continue
		}
		await(t, "it is scraped again", scraped)
	}
}
