package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// l7 ends a push and two viewers, each in another way.
func (l *rowsL) l7(t *testing.T) {
	events := l.follow(t, "session.*")
	garbage, kicked := l.viewer(t, "cam1"), l.viewer(t, "cam1")
	ids := map[string]string{
		"peer_closed":       l.one("protocol=rtmp").text("session_id"),
		"error:":            l.by(garbage),
		"closed_by_us(api)": l.by(kicked),
	}
	l.sink.kill()
	if _, err := io.WriteString(garbage.conn, "\x16\x03\x01 no RTSP at all\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	l.call("POST", "/v3/rtspsessions/kick/"+l.by(kicked), "").want(200)
	for want, id := range ids {
		if got := l.ending(id); !strings.HasPrefix(got, want) {
			t.Errorf("history: %s, want %s", got, want)
		}
		eventually(t, time.Minute, "the event", func() error {
			e := events.closed(id)
			if len(e) != 1 || !strings.HasPrefix(e[0].Reason, want) {
				return fmt.Errorf("%v", e)
			}
			return nil
		})
	}
	for _, want := range []string{
		ids["error:"] + " reason=\"error:", ids["closed_by_us(api)"] + " reason=closed_by_us(api)",
	} {
		if !strings.Contains(l.log.String(), want) {
			t.Errorf("not in the log: %s", want)
		}
	}
	l.sink.start()
	l.awaitPush("up-rtmp", "active")
}

// l16 restarts the daemon and looks for IDs that there were before.
func (l *rowsL) l16(t *testing.T) {
	seen := make(map[string]bool)
	for range 3 {
		l.awaitHealth("cam1", "warm", time.Minute)
		l.viewer(t, "cam1")
		l.hls(t, "cam1", "a player")
		for _, r := range append(l.sessions(""), l.rows("/v1/sessions/ended?items_per_page=1000")...) {
			id := r.text("session_id")
			if len(id) != 36 || id[14] != '4' {
				t.Errorf("%q is no random UUID", id)
			}
			if seen[id] {
				t.Errorf("%s was seen before the restart", id)
			}
		}
		for _, r := range append(l.sessions(""), l.rows("/v1/sessions/ended?items_per_page=1000")...) {
			seen[r.text("session_id")] = true
		}
		l.restart(l.kill9)
	}
	t.Logf("%d IDs", len(seen))
}

// event is one of /v1/events.
type event struct {
	ID, Type, Path, Reason string
	Time                   time.Time

	Session string `json:"session_id"`
}

// eventLog is the events that have come so far.
type eventLog struct {
	mu  sync.Mutex // guards all
	all []event
}

// follow collects events from now on, until the test ends.
func (b *box) follow(t *testing.T, types string) *eventLog {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://box/v1/events?type="+types, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	log := &eventLog{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for in := bufio.NewScanner(res.Body); in.Scan(); {
			data, ok := strings.CutPrefix(in.Text(), "data: ")
			var e event
			if !ok || json.Unmarshal([]byte(data), &e) != nil {
				continue
			}
			log.mu.Lock()
			log.all = append(log.all, e)
			log.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		res.Body.Close()
		wg.Wait()
	})
	return log
}

// find returns the events for which want is true.
func (l *eventLog) find(want func(event) bool) (all []event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.all {
		if want(e) {
			all = append(all, e)
		}
	}
	return all
}

// closed returns the events of the end of a session.
func (l *eventLog) closed(id string) []event {
	return l.find(func(e event) bool { return e.Type == "session.closed" && e.Session == id })
}

// TestL4_GoneWhileItConnects ends a camera and a push whose peer takes the
// connection and never answers.
func TestL4_GoneWhileItConnects(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	cam, nobody := startFakeCam(t), freePort(t, "tcp")
	b := startBox(t, fmt.Sprintf("version: 1\nterminate: {hold_off: 1s}\ncameras:\n"+
		"  cam1: {url: %q}\n  mute: {url: \"rtsp://%s/x\"}\n  gone: {url: \"rtsp://127.0.0.1:%[3]s/x\"}\n"+
		"pushes:\n  up: {camera: cam1, url: \"rtmp://%[2]s/live/key\"}\n", cam.url("cam1"), mute.Addr(), nobody))
	b.awaitHealth("cam1", "warm", time.Minute)
	for _, row := range []struct{ body, query string }{
		{`{"name":"mute"}`, "path=mute"},
		{`{"kind":"push"}`, "kind=push"},
	} {
		for range 3 {
			eventually(t, time.Minute, "it connects", func() error {
				if len(b.sessions(row.query)) == 0 {
					return errors.New("no session")
				}
				return nil
			})
			id := b.one(row.query).text("session_id")
			b.terminate(row.body).want(200)
			eventually(t, 3*time.Second, "it is gone", func() error {
				if all := b.sessions("id=" + id); len(all) > 0 {
					return fmt.Errorf("%v", all)
				}
				return nil
			})
			if got := b.ending(id); got != "closed_by_us(api)" {
				t.Errorf("reason %q", got)
			}
		}
	}
	b.awaitPush("up", "stopped")
	b.awaitPush("up", "starting")
	// Between two attempts there is no session, and it is ended all the same.
	b.awaitHealth("gone", "reconnecting", time.Minute)
	b.terminate(`{"name":"gone","holdOff":60}`).want(200)
	b.awaitHealth("gone", "stopped", time.Second)
	b.terminate(`{"name":"gone"}`).want(404)
}

// TestL6_L9_OpenedEqualsClosed opens viewers at random and ends them by
// themselves, by kicks and by crashes, while all of it is listed.
func TestL6_L9_OpenedEqualsClosed(t *testing.T) {
	sessions := 500
	if soaking() {
		sessions = 10_000
	}
	cam := startFakeCam(t)
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  cam1: {url: %q}\n", cam.url("cam1")))
	b.awaitHealth("cam1", "warm", time.Minute)
	events := b.follow(t, "session.*")
	b.churn(t, 250) // what is made once is made
	goroutines, files, memory := b.goroutines(), b.files(), b.memory()
	b.churn(t, sessions)
	totals := b.totals()
	if opened, closed := totals[0].(float64), totals[1].(float64); opened-closed != 1 || opened < float64(sessions) {
		t.Errorf("opened %v, closed %v, and the camera is open", opened, closed)
	}
	opened := events.find(func(e event) bool { return e.Type == "session.opened" })
	for _, e := range opened {
		if n := len(events.closed(e.Session)); n != 1 {
			t.Errorf("%d events tell that %s has closed", n, e.Session)
		}
	}
	eventually(t, 30*time.Second, "goroutines, files and memory are as much as before", func() error {
		g, n, m := b.goroutines(), b.files(), b.memory()
		if g > goroutines+5 || n > files+5 || !raced() && m > memory+memory/20 {
			return fmt.Errorf("%d goroutines, were %d; %d files, were %d; %d kB, were %d", g, goroutines, n, files, m, memory)
		}
		t.Logf("%d opened; %d goroutines, were %d; %d files, were %d; %d kB, were %d", len(opened), g, goroutines,
			n, files, m, memory)
		return nil
	})
}

// churn opens and ends so many sessions of viewers and waits until all have ended.
func (b *box) churn(t *testing.T, sessions int) {
	t.Helper()
	const workers = 6
	url := b.rtsp("cam1")
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(9, uint64(w)))
			for n := range (sessions + workers - 1) / workers {
				b.openAndEnd(t, rnd, url, fmt.Sprintf("player %d %d", w, n))
			}
		})
	}
	wg.Wait()
	eventually(t, 30*time.Second, "no viewer is left", func() error {
		if left := b.sessions("kind=viewer"); len(left) > 0 {
			return fmt.Errorf("%d", len(left))
		}
		return nil
	})
}

// memory returns the resident set of the daemon in kB.
// File: /proc/PID/status (proc_pid_status(5)).
func (b *box) memory() int {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	var kB int
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		b.t.Fatal(err)
	}
	return kB
}

// openAndEnd is one session of TestL6_L9.
func (b *box) openAndEnd(t *testing.T, rnd *rand.Rand, url, player string) {
	if rnd.IntN(4) == 0 {
		b.hls(t, "cam1", player)
		if rnd.IntN(2) == 0 {
			b.terminate(`{"name":"cam1","kind":"viewer","protocol":"hls"}`)
		}
		return
	}
	v, err := playRTSP(url)
	if err != nil {
		if strings.Contains(err.Error(), "RTSP/1.0") { // else another has kicked it while it began
			t.Error(err)
		}
		return
	}
	defer v.conn.Close()
	switch rnd.IntN(4) {
	case 0:
		v.cut()
	case 1:
		b.terminate(`{"kind":"viewer"}`)
	case 2:
		for _, r := range b.sessions("kind=viewer&protocol=rtsp") {
			if r.text("remote_addr") == v.remote() {
				b.call("POST", "/v3/rtspsessions/kick/"+r.text("session_id"), "")
			}
		}
		v.hasEnded(t, 5*time.Second)
	default:
		v.conn.Close()
	}
}

// TestL15_PushesSplitTheirURLsAsDocumented pushes to paths of many elements and
// asks the server what it took for the application and for the key.
func TestL15_PushesSplitTheirURLsAsDocumented(t *testing.T) {
	rows := map[string]struct{ path, fields, want string }{
		"last":  {"/a/b/c/d/k?p=1", "", "app=a/b/c/d name=k p=1"},
		"app":   {"/a/b/c/d/k?p=2", ", app: a/b", "app=a/b name=c/d/k p=2"},
		"key":   {"/a/b/c/d", ", key: \"other?p=3\"", "app=a/b/c/d name=other p=3"},
		"plain": {"/live/test110", "", "app=live name=test110 p="},
	}
	var mu sync.Mutex // guards got
	got := make(map[string]bool)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got[fmt.Sprintf("app=%s name=%s p=%s", r.FormValue("app"), r.FormValue("name"), r.FormValue("p"))] = true
	}))
	defer hook.Close()
	sink := startRTMPSinkOf(t, func(string) (all string) {
		for _, app := range []string{"a/b/c/d", "a/b", "live"} {
			all += fmt.Sprintf("application %s { live on; on_publish %s/; }\n", app, hook.URL)
		}
		return all
	})
	cam := startFakeCam(t)
	var config strings.Builder
	fmt.Fprintf(&config, "version: 1\ncameras:\n  cam1: {url: %q}\npushes:\n", cam.url("cam1"))
	for name, row := range rows {
		url := "rtmp://127.0.0.1:" + sink.port + row.path
		fmt.Fprintf(&config, "  %s: {camera: cam1, url: %q%s}\n", name, url, row.fields)
	}
	b := startBox(t, config.String())
	for name, row := range rows {
		p := b.awaitPush(name, "active")
		t.Logf("%s: %s", p.URL, row.want)
		mu.Lock()
		if !got[row.want] {
			t.Errorf("%s: the server got %v, want %s", row.path+row.fields, got, row.want)
		}
		mu.Unlock()
	}
}
