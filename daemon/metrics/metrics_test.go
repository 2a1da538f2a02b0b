package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"camrelay/media"
)

// full is a snapshot in which no figure is what another one is.
func full() Snapshot {
	at := func(s int64) time.Time { return time.Unix(1_700_000_000+s, 500_000_000) }
	return Snapshot{
		Cameras: []Camera{
			{
				Name: "gate", State: "degraded", Conditions: []string{"missing_audio"}, Wanted: true, Up: true,
				LastPacket: at(1), LastKey: at(2), KeyInterval: 2500 * time.Millisecond,
				Received: 11, Packets: 12, Lost: 13, Frames: 14, Keys: 15,
				Failures: Failures{media.ClassNetwork: 16, media.ClassUnreachable: 17}, Panics: 18, Sent: 19, Viewers: 20,
				HLS: HLS{Bytes: 21, Gaps: 22, Discontinuities: 23, Lost: 24},
			},
			{Name: "yard", State: "warm", Wanted: true, Up: true, Warm: true, HLS: HLS{Bytes: 100}},
		},
		Pushes: []Push{
			{
				Name: "up", Camera: "gate", Protocol: "rtmp", State: "reconnecting", OnBackup: true, Bytes: 31, Frames: 32,
				Lost: 33, LastSent: at(3), RTT: 34 * time.Millisecond, Failures: Failures{media.ClassCredentials: 35}, Panics: 36,
			},
			{Name: "rest", Camera: "yard", Protocol: "srt", State: "stopped"},
		},
		Hooks:        []Hook{{Name: "events", Delivered: 41, Failed: 42, Dropped: 43, Degraded: true}},
		Listeners:    map[string]bool{"rtsp": true, "http": false},
		Keepalives:   map[string]int{"holding": 51},
		Viewers:      map[string]int{"rtsp": 61, "other": 62},
		RuntimePaths: 71,
		Config: Config{
			State: "last_known_good", Generation: 81, Hash: "abc", Applied: at(4), Errors: 82, Warnings: 83, Problems: 84,
		},
		Memory: Memory{Budget: 91, Free: 92},
		Box: Box{
			Conditions: []string{"hot"}, Celsius: 85.5, MemoryLevel: 2, Pressure: 0.125, ClockSteps: 93, LinksUp: 94,
		},
	}
}

// scrape returns what the metrics show.
func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

// shown returns the lines of what is shown that are camrelay's own samples.
func shown(text string) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return !strings.HasPrefix(l, "camrelay_") })
}

// TestFigures looks for every figure of a snapshot.
func TestFigures(t *testing.T) {
	lines := shown(scrape(t, New("1.2.3", full)))
	for _, want := range []string{
		`camrelay_camera_up{camera="gate"} 1`,
		`camrelay_box_condition{condition="hot"} 1`,
		`camrelay_box_condition{condition="too_hot"} 0`,
		`camrelay_box_temperature_celsius 85.5`,
		`camrelay_box_memory_level 2`,
		`camrelay_box_memory_pressure_ratio 0.125`,
		`camrelay_box_clock_synchronised -1`,
		`camrelay_box_clock_steps_total 93`,
		`camrelay_box_links_up 94`,
		`camrelay_camera_warm{camera="gate"} 0`,
		`camrelay_camera_warm{camera="yard"} 1`,
		`camrelay_camera_wanted{camera="gate"} 1`,
		`camrelay_camera_state{camera="gate",state="degraded"} 1`,
		`camrelay_camera_state{camera="gate",state="warm"} 0`,
		`camrelay_camera_condition{camera="gate",condition="missing_audio"} 1`,
		`camrelay_camera_condition{camera="gate",condition="offline"} 0`,
		`camrelay_camera_last_packet_timestamp_seconds{camera="gate"} 1.7000000015e+09`,
		`camrelay_camera_last_keyframe_timestamp_seconds{camera="gate"} 1.7000000025e+09`,
		`camrelay_camera_last_keyframe_timestamp_seconds{camera="yard"} 0`,
		`camrelay_camera_gop_seconds{camera="gate"} 2.5`,
		`camrelay_camera_received_bytes_total{camera="gate"} 11`,
		`camrelay_camera_rtp_packets_total{camera="gate"} 12`,
		`camrelay_camera_rtp_packets_lost_total{camera="gate"} 13`,
		`camrelay_camera_frames_total{camera="gate"} 14`,
		`camrelay_camera_keyframes_total{camera="gate"} 15`,
		`camrelay_camera_reconnects_total{camera="gate",reason="network"} 16`,
		`camrelay_camera_reconnects_total{camera="gate",reason="unreachable"} 17`,
		`camrelay_camera_reconnects_total{camera="gate",reason="credentials"} 0`,
		`camrelay_camera_panics_total{camera="gate"} 18`,
		`camrelay_camera_sent_bytes_total{camera="gate"} 19`,
		`camrelay_camera_viewers{camera="gate"} 20`,
		`camrelay_camera_hls_bytes{camera="gate"} 21`,
		`camrelay_camera_hls_gaps_total{camera="gate"} 22`,
		`camrelay_camera_hls_discontinuities_total{camera="gate"} 23`,
		`camrelay_camera_hls_frames_dropped_total{camera="gate"} 24`,
		`camrelay_push_info{camera="gate",protocol="rtmp",push="up"} 1`,
		`camrelay_push_state{push="up",state="reconnecting"} 1`,
		`camrelay_push_state{push="up",state="active"} 0`,
		`camrelay_push_status{push="up"} 1`,
		`camrelay_push_status{push="rest"} -1`,
		`camrelay_push_on_backup{push="up"} 1`,
		`camrelay_push_bytes_total{push="up"} 31`,
		`camrelay_push_frames_total{push="up"} 32`,
		`camrelay_push_frames_dropped_total{push="up"} 33`,
		`camrelay_push_last_sent_timestamp_seconds{push="up"} 1.7000000035e+09`,
		`camrelay_push_rtt_seconds{push="up"} 0.034`,
		`camrelay_push_reconnects_total{push="up",reason="credentials"} 35`,
		`camrelay_push_panics_total{push="up"} 36`,
		`camrelay_hook_up{hook="events"} 0`,
		`camrelay_hook_calls_total{hook="events",result="ok"} 41`,
		`camrelay_hook_calls_total{hook="events",result="failed"} 42`,
		`camrelay_hook_dropped_total{hook="events"} 43`,
		`camrelay_listener_up{listener="rtsp"} 1`,
		`camrelay_listener_up{listener="http"} 0`,
		`camrelay_keepalives{state="holding"} 51`,
		`camrelay_keepalives{state="waiting"} 0`,
		`camrelay_viewers{protocol="rtsp"} 61`,
		`camrelay_viewers{protocol="other"} 62`,
		`camrelay_runtime_paths 71`,
		`camrelay_config_state{state="last_known_good"} 1`,
		`camrelay_config_last_reload_successful 0`,
		`camrelay_config_last_reload_success_timestamp_seconds 1.7000000045e+09`,
		`camrelay_config_generation 81`,
		`camrelay_config_info{hash="abc"} 1`,
		`camrelay_config_errors 82`,
		`camrelay_config_warnings 83`,
		`camrelay_config_problems 84`,
		`camrelay_tmpfs_bytes 121`,
		`camrelay_tmpfs_budget_bytes 91`,
		`camrelay_tmpfs_free_bytes 92`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if text := strings.Join(lines, "\n"); !strings.Contains(text, `version="1.2.3"`) {
		t.Error("the version is not shown")
	}
	if t.Failed() {
		t.Log(strings.Join(lines, "\n"))
	}
}

// TestStatesAreOfO12 holds the number of a push against row O12.
func TestStatesAreOfO12(t *testing.T) {
	for state, want := range map[string]float64{
		"failed": 0, "reconnecting": 1, "starting": 2, "active": 3, "idle": -1, "stopped": -1,
	} {
		m := New("", func() Snapshot { return Snapshot{Pushes: []Push{{Name: "up", State: state}}} })
		if line := fmt.Sprintf(`camrelay_push_status{push="up"} %v`, want); !slices.Contains(shown(scrape(t, m)), line) {
			t.Errorf("%s: there is no %s", state, line)
		}
		ones := 0
		for _, l := range shown(scrape(t, m)) {
			if strings.HasPrefix(l, "camrelay_push_state{") && strings.HasSuffix(l, " 1") {
				ones++
			}
		}
		if ones != 1 {
			t.Errorf("%s: %d states at once", state, ones)
		}
	}
}

// TestReloadIsSuccessful only if all files run.
func TestReloadIsSuccessful(t *testing.T) {
	for _, state := range ConfigStates() {
		want := 0
		if state == "applied" || state == "applying" {
			want = 1
		}
		m := New("", func() Snapshot { return Snapshot{Config: Config{State: state}} })
		line := fmt.Sprintf("camrelay_config_last_reload_successful %d", want)
		if !slices.Contains(shown(scrape(t, m)), line) {
			t.Errorf("%s: there is no %s", state, line)
		}
	}
}

// TestLint holds names, help texts and types against Prometheus' own rules, and
// the collector against a registry that believes nothing.
func TestLint(t *testing.T) {
	m := New("1.2.3", full)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	pedantic := prometheus.NewPedanticRegistry()
	pedantic.MustRegister(newCollector(full), m.opened, m.ended, m.requests)
	if _, err := pedantic.Gather(); err != nil {
		t.Error(err)
	}
}

// TestSeriesAreOfTheConfiguration lets viewers of any name and reason come and
// go: no series is added.
func TestSeriesAreOfTheConfiguration(t *testing.T) {
	viewers := 0
	m := New("", func() Snapshot {
		s := full()
		s.Viewers, s.Cameras[0].Viewers = map[string]int{"rtsp": viewers, "hls": viewers}, viewers
		s.Cameras[0].State, s.Cameras[0].Conditions = "stalled", []string{"stalled", "new"}
		return s
	})
	h := m.HLS(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	before := len(shown(scrape(t, m)))
	for i := range 1000 {
		viewers = i
		m.ViewerOpened(fmt.Sprintf("protocol%d", i))
		m.ViewerOpened("RTSP")
		m.ViewerClosed("HLS", fmt.Sprintf("closed_by_us(user%d)", i))
		m.ViewerClosed("RTSP", fmt.Sprintf("error:%d", i))
		m.ViewerClosed("RTSP", "peer_closed")
		m.ViewerRefused("srt", "credentials")
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, fmt.Sprintf("/nope%d/%d.mp4", i, i), nil))
	}
	lines := shown(scrape(t, m))
	if len(lines) != before {
		t.Errorf("%d series after 1,000 viewers, %d before", len(lines), before)
	}
	for _, want := range []string{
		`camrelay_viewer_sessions_total{protocol="other"} 1000`,
		`camrelay_viewers_refused_total{protocol="srt",reason="credentials"} 1000`,
		`camrelay_viewers_refused_total{protocol="hls",reason="not_found"} 0`,
		`camrelay_viewer_sessions_total{protocol="rtsp"} 1000`,
		`camrelay_viewer_sessions_ended_total{protocol="hls",reason="closed_by_us"} 1000`,
		`camrelay_viewer_sessions_ended_total{protocol="rtsp",reason="error"} 1000`,
		`camrelay_viewer_sessions_ended_total{protocol="rtsp",reason="peer_closed"} 1000`,
		`camrelay_hls_request_duration_seconds_count{kind="media"} 1000`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("there is no %s", want)
		}
	}
}

func TestKindsOfRequests(t *testing.T) {
	for url, want := range map[string]string{
		"/gate/index.m3u8":                    playlist,
		"/gate/video.m3u8?_HLS_msn=7&token=x": blocking,
		"/gate/7.mp4":                         segment,
		"/gate/7.mp4?_HLS_msn=7":              segment,
	} {
		if got := kindOf(httptest.NewRequest(http.MethodGet, url, nil)); got != want {
			t.Errorf("%s is %s, want %s", url, got, want)
		}
	}
}

// BenchmarkScrape is of 64 cameras with 16 pushes.
func BenchmarkScrape(b *testing.B) {
	s := full()
	one, up := s.Cameras[0], s.Pushes[0]
	s.Cameras, s.Pushes = nil, nil
	for i := range 64 {
		one.Name = fmt.Sprintf("cam%02d", i)
		s.Cameras = append(s.Cameras, one)
	}
	for i := range 16 {
		up.Name = fmt.Sprintf("up%02d", i)
		s.Pushes = append(s.Pushes, up)
	}
	m := New("1.2.3", func() Snapshot { return s })
	h, req := m.Handler(), httptest.NewRequest(http.MethodGet, "/metrics", nil)
	text := scrape(b, m)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(discard{http.Header{}}, req)
	}
	b.ReportMetric(float64(len(shown(text))), "series")
	b.ReportMetric(float64(len(text)), "bytes")
}

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return io.Discard.Write(p) }
func (d discard) WriteHeader(int)             {}
