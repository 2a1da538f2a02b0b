package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media/testcam"
)

// The rows L1 to L16 of the reference: one registry of all that moves media.

// stalledAfter is the threshold of liveness of rowsL.
const stalledAfter = 8 * time.Second

// rowsL is what the rows run on: a camera of 2 Mbit/s behind a muffler, pushed
// by RTMP and SRT, with a keepalive. Each key in it is a secret.
type rowsL struct {
	*box

	source string // the camera's URL, past the muffler
	ears   *muffler
	sink   *rtmpSink
	srt    *srtSink
}

func TestRowsL(t *testing.T) {
	t.Parallel() // it waits most of the time
	source := testcam.Camera{Path: "cam1", Height: 720, FPS: 30, GOP: 60}
	l := &rowsL{sink: startRTMPSink(t), source: startTestcam(t, source)}
	l.srt = startSRTSink(t)
	host, _, _ := strings.Cut(strings.TrimPrefix(l.source, "rtsp://"), "/")
	l.ears = startMuffler(t, host)
	l.box = startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\nstalled_after: %v\ncameras:\n"+
		"  cam1: {url: \"rtsp://%s/cam1\", transport: tcp}\npushes:\n"+
		"  up-rtmp: {camera: cam1, url: %q}\n  up-srt: {camera: cam1, url: \"%s?latency=400&streamid=secret-id\"}\n",
		stalledAfter, l.ears.addr, l.sink.url("secret-key"), l.srt.url()))
	l.addKeepalive("cam1")
	l.awaitHealth("cam1", "warm", time.Minute)
	l.awaitPush("up-rtmp", "active")
	l.awaitPush("up-srt", "active")
	for _, r := range []struct {
		name  string
		check func(*rowsL, *testing.T)
	}{
		{"L1 L2 L3 L10 L14 one of each kind", (*rowsL).l1},
		{"L5 L8 ten kicks of one viewer", (*rowsL).l5},
		{"L11 bitrates are those of the source", (*rowsL).l11},
		{"L12 L13 a camera without media", (*rowsL).l12},
		{"L7 reasons of ends", (*rowsL).l7},
		{"L16 IDs after a restart", (*rowsL).l16},
	} {
		t.Run(r.name, func(t *testing.T) { r.check(l, t) })
	}
}

// kinds are the rows that there are to be: kind, protocol and type of each.
var kinds = []string{
	"keepalive KEEPALIVE SUB", "pull RTSP PULL", "push RTMP PUSH", "push SRT PUSH", "viewer HLS SUB", "viewer RTSP SUB",
}

func (l *rowsL) l1(t *testing.T) {
	v := l.viewer(t, "cam1")
	l.hls(t, "cam1", "a player")
	v.watches(t)
	rows := l.sessions("")
	var got []string
	keys := slices.Sorted(maps.Keys(rows[0]))
	for _, r := range rows {
		got = append(got, r.text("kind")+" "+r.text("protocol")+" "+r.text("base_type"))
		if k := slices.Sorted(maps.Keys(r)); !slices.Equal(k, keys) {
			t.Errorf("L3: a %s has %v, others %v", r.text("kind"), k, keys)
		}
		if out, err := exec.Command("date", "-d", r.text("start_time")).CombinedOutput(); err != nil {
			t.Errorf("L10: start_time: %v %s", err, out)
		}
		if r.text("path") != "cam1" {
			t.Errorf("L14: path %q", r.text("path"))
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, kinds) {
		t.Errorf("L1: %q, want %q", got, kinds)
	}
	for _, want := range []string{
		"session_id", "protocol", "base_type", "remote_addr", "start_time", "read_bytes_sum", "wrote_bytes_sum",
		"bitrate_kbits", "read_bitrate_kbits", "write_bitrate_kbits", "uptime_seconds",
	} {
		if !slices.Contains(keys, want) {
			t.Errorf("L10: no %s in %v", want, keys)
		}
	}
	for query, url := range map[string]string{
		"kind=pull":                 "rtsp://" + l.ears.addr + "/cam1",
		"kind=push&protocol=rtmp":   "rtmp://127.0.0.1:" + l.sink.port + "/live/***",
		"kind=viewer&protocol=rtsp": "",
	} {
		if got := l.one(query).text("url"); got != url {
			t.Errorf("L14: %s has the URL %q, want %q", query, got, url)
		}
	}
	for _, path := range []string{"/v1/sessions", "/v1/status", "/v1/pushes", "/v3/rtmpconns/list", "/v3/srtconns/list"} {
		if text := l.call("GET", path, "").text; strings.Contains(text, "secret-") {
			t.Errorf("%s tells a key: %s", path, text)
		}
	}
	l.v3(t)
}

// v3 holds MediaMTX's lists against the sessions.
func (l *rowsL) v3(t *testing.T) {
	for name, query := range map[string]string{
		"rtspsessions": "kind=viewer&protocol=rtsp", "hlssessions": "kind=viewer&protocol=hls",
		"rtmpconns": "protocol=rtmp", "srtconns": "protocol=srt",
	} {
		want := l.one(query)
		list := l.call("GET", "/v3/"+name+"/list?itemsPerPage=1", "").want(200)
		id := list.str("items", 0, "id")
		if list.at("itemCount") != 1.0 || id != want.text("session_id") || list.str("items", 0, "state") != "read" ||
			list.str("items", 0, "path") != "cam1" || list.str("items", 0, "remoteAddr") != want.text("remote_addr") {
			t.Errorf("%s: %s, want %v", name, list.text, want)
		}
		one := l.call("GET", "/v3/"+name+"/get/"+id, "").want(200)
		sent, _ := one.at("bytesSent").(float64)
		if sent < want.number("wrote_bytes_sum") || one.at("outboundBytes") != sent {
			t.Errorf("%s: %s, want %v", name, one.text, want)
		}
		l.call("GET", "/v3/"+name+"/get/nobody", "").want(400)
		l.call("GET", "/v3/"+name+"/get/"+l.one("kind=pull").text("session_id"), "").want(404)
	}
}

// l5 kicks a viewer ten times at once.
func (l *rowsL) l5(t *testing.T) {
	stays := l.viewer(t, "cam1")
	for _, route := range []string{"/v3/rtspsessions/kick/", "terminate"} {
		v := l.viewer(t, "cam1")
		id := l.by(v)
		codes := make(chan int, 10)
		for range cap(codes) {
			go func() {
				if route == "terminate" {
					codes <- l.terminate(fmt.Sprintf(`{"mediaSessionId":%q}`, id)).code
				} else {
					codes <- l.call("POST", route+id, "").code
				}
			}()
		}
		got := make(map[int]int)
		for range cap(codes) {
			got[<-codes]++
		}
		if got[200] != 1 || got[404] != 9 {
			t.Errorf("L5: %s: status codes %v, want one 200 and nine 404", route, got)
		}
		v.hasEnded(t, 2*time.Second)
		v.conn.Close()
		eventually(t, 2*time.Second, "L8: no socket of the viewer is left", func() error {
			if left := sockets(t, v.remote()); len(left) > 0 {
				return fmt.Errorf("%q", left)
			}
			return nil
		})
	}
	stays.watches(t)
}

// l11 compares what the API says with what the camera sends to somebody else.
func (l *rowsL) l11(t *testing.T) {
	source, err := playRTSP(l.source)
	if err != nil {
		t.Fatal(err)
	}
	defer source.cut()
	v := l.viewer(t, "cam1")
	startFFmpeg(t, "-re", "-i", l.http("cam1/index.m3u8"))
	queries := map[string]string{
		"rtsp": "id=" + l.by(v), "hls": "protocol=hls&status=active", "rtmp": "protocol=rtmp", "srt": "protocol=srt",
		"pull": "kind=pull",
	}
	waitFor(t, 6*time.Second)
	before, began := source.bytes.Load(), time.Now()
	waitFor(t, 4*time.Second)
	// Key frames are most of what this camera sends, and the window of 5 s holds
	// two or three of them: the mean of some samples is compared.
	const samples = 14
	sums := make(map[string]float64)
	for range samples {
		waitFor(t, time.Second)
		for name, query := range queries {
			sums[name] += l.one(query).number("bitrate_kbits") / samples
		}
	}
	want := float64(source.bytes.Load()-before) * 8 / 1000 / time.Since(began).Seconds()
	for name, got := range sums {
		t.Logf("%s: %.0f kbit/s, the camera sends %.0f", name, got, want)
		if name == "srt" {
			got /= 1.07 // headers, tables and padding of MPEG-TS at this bitrate
		}
		limit := want / 10
		if name == "hls" {
			limit = want / 5 // segments come in one piece, and a busy player loads them late
		}
		if math.Abs(got-want) > limit {
			t.Errorf("%s: %.0f kbit/s, the camera sends %.0f", name, got, want)
		}
	}
}

// l12 takes the media away and leaves the connection and its reports.
func (l *rowsL) l12(t *testing.T) {
	v := l.viewer(t, "cam1")
	v.watches(t)
	id, pull := l.by(v), l.one("kind=pull").text("session_id")
	reports := l.ears.reports.Load()
	eventually(t, 30*time.Second, "the camera reports", func() error { // the next report comes before the threshold
		if l.ears.reports.Load() == reports {
			return errors.New("it does not")
		}
		return nil
	})
	l.ears.muted.Store(true)
	muted := time.Now()
	reports = l.ears.reports.Load()
	defer l.ears.muted.Store(false)
	waitFor(t, 500*time.Millisecond) // what was under way
	bytes := l.one("id=" + pull).number("read_bytes_sum")
	eventually(t, stalledAfter-time.Since(muted), "L12: bitrates are 0", func() error {
		for _, query := range []string{"id=" + pull, "id=" + id, "protocol=rtmp"} {
			if r := l.one(query); r.number("bitrate_kbits") != 0 {
				return fmt.Errorf("%s: %v", query, r.number("bitrate_kbits"))
			}
		}
		return nil
	})
	t.Logf("L12: 0 after %v", time.Since(muted).Round(time.Millisecond))
	if got := l.one("id=" + pull).number("read_bytes_sum"); got != bytes {
		t.Errorf("L12: %v bytes more without media", got-bytes)
	}
	var state, reason string
	eventually(t, stalledAfter+2*time.Second-time.Since(muted), "L13: the camera has stalled", func() error {
		c, err := l.camera("cam1")
		state, reason = c.Health.State, c.Health.Reason
		if err == nil && !strings.Contains(reason, "no media") { // an overdue key frame is told before
			err = errors.New(state + ": " + reason)
		}
		return err
	})
	after := time.Since(muted)
	t.Logf("L13: %s (%s) after %v, the threshold is %v, %d reports meanwhile", state, reason, after, stalledAfter,
		l.ears.reports.Load()-reports)
	if after > stalledAfter+time.Second || l.ears.reports.Load() == reports {
		t.Errorf("L13: %s (%s) after %v", state, reason, after)
	}
	eventually(t, stalledAfter+2*time.Second-time.Since(muted), "L13: the viewer's session has stalled", func() error {
		if r := l.one("id=" + id); r.text("state") != "stalled" || r["alive"] != false {
			return fmt.Errorf("%s, alive: %v", r.text("state"), r["alive"])
		}
		return nil
	})
	l.ears.muted.Store(false)
	l.awaitHealth("cam1", "warm", time.Minute)
	if l.one("kind=pull").text("session_id") == pull {
		t.Error("L13: the camera was not connected anew")
	}
	v.watches(t)
}
