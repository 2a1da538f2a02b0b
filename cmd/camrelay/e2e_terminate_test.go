package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// The rows F8 to F19 of the reference: to find, end and start again what moves
// media.

// row is a session as the API lists it.
type row map[string]any

func (r row) text(key string) string {
	s, _ := r[key].(string)
	return s
}

func (r row) number(key string) float64 {
	n, _ := r[key].(float64)
	return n
}

// sessions returns the rows of /v1/sessions that a query selects.
func (b *box) sessions(query string) []row {
	return b.rows("/v1/sessions?items_per_page=1000&" + query)
}

// rows returns the items of a list.
func (b *box) rows(path string) []row {
	b.t.Helper()
	var page struct {
		Items []row `json:"items"`
	}
	if err := json.Unmarshal([]byte(b.call("GET", path, "").want(http.StatusOK).text), &page); err != nil {
		b.t.Fatal(err)
	}
	return page.Items
}

// one returns the only session that a query selects.
func (b *box) one(query string) row {
	b.t.Helper()
	all := b.sessions(query)
	if len(all) != 1 {
		b.t.Fatalf("%d sessions for %s, want 1: %v", len(all), query, all)
	}
	return all[0]
}

// by returns the ID of a viewer's session.
func (b *box) by(v *rtspViewer) string {
	b.t.Helper()
	for _, r := range b.sessions("kind=viewer") {
		if r.text("remote_addr") == v.remote() {
			return r.text("session_id")
		}
	}
	b.t.Fatalf("no session of %s", v.remote())
	return ""
}

// ending waits for the end of a session and returns the reason.
func (b *box) ending(id string) (reason string) {
	b.t.Helper()
	eventually(b.t, 5*time.Second, "the session has ended", func() error {
		for _, r := range b.rows("/v1/sessions/ended?id=" + id) {
			reason = r.text("reason")
			return nil
		}
		return fmt.Errorf("no end of %s", id)
	})
	return reason
}

func (b *box) terminate(body string) reply { return b.call("POST", "/rest-api/stream/terminate", body) }

// rowsF is what the rows run on: two warm cameras, a push, a keepalive.
type rowsF struct {
	*box

	cam  *fakeCam
	keep string // ID of the keepalive
}

func TestRowsF(t *testing.T) {
	t.Parallel() // it waits most of the time
	cam, sink := startFakeCam(t), startRTMPSink(t)
	f := &rowsF{cam: cam, box: startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n"+
		"  cam1: {url: %q}\n  cam2: {url: %q}\n  lazy: {url: %q, keep: ondemand}\n"+
		"pushes:\n  up: {camera: cam1, url: %q}\n", cam.url("cam1"), cam.url("cam2"), cam.url("cam3"), sink.url("up")))}
	f.keep = f.call("POST", "/v3/paths/keepalive/add/cam1", "").want(http.StatusOK).str("id")
	for _, r := range []struct {
		name  string
		check func(*rowsF, *testing.T)
	}{
		{"F8 a command that is accepted, and what matches nothing", (*rowsF).f8},
		{"F9 by session", (*rowsF).f9},
		{"F10 by path", (*rowsF).f10},
		{"F11 the viewers of one path", (*rowsF).f11},
		{"F12 by state", (*rowsF).f12},
		{"F13 by several sessions", (*rowsF).f13},
		{"F14 filters are ANDed, typos are refused", (*rowsF).f14},
		{"F15 everything", (*rowsF).f15},
		{"F17 what becomes of what was terminated", (*rowsF).f17},
		{"F17 a push that was terminated", (*rowsF).f17push},
		{"F19 find, and a push that is started twice", (*rowsF).f19},
	} {
		t.Run(r.name, func(t *testing.T) {
			f.ready()
			r.check(f, t)
		})
	}
}

// ready starts what a row before has stopped.
func (f *rowsF) ready() {
	f.t.Helper()
	f.call("POST", "/v1/cameras/cam1/start", "").want(http.StatusOK)
	f.call("POST", "/v1/cameras/cam2/start", "").want(http.StatusOK)
	f.call("POST", "/v1/pushes/up/start", "")
	f.awaitHealth("cam1", "warm", time.Minute)
	f.awaitHealth("cam2", "warm", time.Minute)
	f.awaitPush("up", "active")
	eventually(f.t, 10*time.Second, "no viewers", func() error {
		if all := f.sessions("kind=viewer"); len(all) > 0 {
			return fmt.Errorf("%v", all)
		}
		return nil
	})
}

// awaitHealth waits until the camera is as said.
func (b *box) awaitHealth(name, state string, limit time.Duration) {
	b.t.Helper()
	eventually(b.t, limit, name+" is "+state, func() error {
		c, err := b.camera(name)
		if err == nil && c.Health.State != state {
			err = fmt.Errorf("%s: %s", c.Health.State, c.Health.Reason)
		}
		return err
	})
}

func (f *rowsF) f8(t *testing.T) {
	r := f.terminate(`{"name":"cam1"}`).want(http.StatusOK)
	if r.at("count") != 2.0 || len(r.at("matched").([]any)) != 2 || r.str("by") != "api" {
		t.Errorf("the pull and the push are to end: %s", r.text)
	}
	f.terminate(`{"name":"cam1"}`).want(http.StatusNotFound)
	f.terminate(`{"name":"nope"}`).want(http.StatusNotFound)
}

func (f *rowsF) f9(t *testing.T) {
	first, second := f.viewer(t, "cam1"), f.viewer(t, "cam1")
	id := f.by(first)
	r := f.terminate(fmt.Sprintf(`{"mediaSessionId":%q}`, id)).want(http.StatusOK)
	if r.at("count") != 1.0 || r.str("matched", 0, "mediaSessionId") != id {
		t.Error(r.text)
	}
	first.hasEnded(t, 2*time.Second)
	second.watches(t)
	if got := f.ending(id); got != "closed_by_us(api)" {
		t.Errorf("reason %q", got)
	}
}

func (f *rowsF) f10(t *testing.T) {
	one, two := f.viewer(t, "cam1"), f.viewer(t, "cam2")
	pull, other := f.one("path=cam1&kind=pull").text("session_id"), f.one("path=cam2&kind=pull").text("session_id")
	f.terminate(`{"name":"cam1"}`).want(http.StatusOK)
	one.hasEnded(t, 2*time.Second)
	if got := f.ending(pull); got != "closed_by_us(api)" {
		t.Errorf("reason %q", got)
	}
	two.watches(t)
	if f.one("path=cam2&kind=pull").text("session_id") != other {
		t.Error("the pull of cam2 has ended too")
	}
	if n := f.cam.playing(); n != 1 {
		t.Errorf("%d cameras play", n)
	}
}

func (f *rowsF) f11(t *testing.T) {
	plays := f.cam.requests("PLAY")
	v, other := f.viewer(t, "cam1"), f.viewer(t, "cam2")
	f.hls(t, "cam1", "a player")
	pull, push := f.one("path=cam1&kind=pull"), f.one("kind=push")
	r := f.terminate(`{"name":"cam1","published":false}`).want(200)
	if r.at("count") != 2.0 {
		t.Errorf("%s, want the RTSP and the HLS viewer", r.text)
	}
	v.hasEnded(t, 2*time.Second)
	other.watches(t)
	eventually(t, 5*time.Second, "no viewer of cam1", func() error {
		if n := len(f.sessions("path=cam1&published=false")); n > 0 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	for _, was := range []row{pull, push} {
		if f.one("id="+was.text("session_id")).number("uptime_seconds") <= was.number("uptime_seconds") {
			t.Errorf("not the same %s", was.text("kind"))
		}
	}
	if got := f.call("GET", "/v3/paths/keepalive/get/"+f.keep, "").want(200).str("state"); got != "holding" {
		t.Errorf("the keepalive is %s", got)
	}
	if got := f.cam.requests("PLAY"); got != plays {
		t.Errorf("%d connections more to the cameras", got-plays)
	}
}

// hls asks for a playlist like a player of that name, which makes a session.
func (b *box) hls(t testing.TB, camera, player string) {
	t.Helper()
	eventually(t, time.Minute, "HLS of "+camera, func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.http(camera+"/index.m3u8"), nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", player)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
}

// totals are the sessions opened and closed so far.
func (b *box) totals() [2]any {
	r := b.call("GET", "/v1/sessions", "").want(http.StatusOK)
	return [2]any{r.at("opened"), r.at("closed")}
}

func (f *rowsF) f12(t *testing.T) {
	v, before := f.viewer(t, "cam1"), f.totals()
	if got := f.terminate(`{"status":"typo"}`).want(http.StatusBadRequest).str("error"); !strings.Contains(got, "active") {
		t.Errorf("%q does not tell what a status may be", got)
	}
	if f.totals() != before {
		t.Error("something was stopped")
	}
	v.watches(t)
	eventually(t, 5*time.Second, "the viewer is active", func() error {
		if got := f.one("id=" + f.by(v)).text("state"); got != "active" {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	f.terminate(`{"name":"cam1","published":false,"status":"stalled"}`).want(http.StatusNotFound)
	f.terminate(`{"name":"cam1","published":false,"status":"active"}`).want(http.StatusOK)
	v.hasEnded(t, 2*time.Second)
}

func (f *rowsF) f13(t *testing.T) {
	v, stays := f.viewer(t, "cam1"), f.viewer(t, "cam1")
	bad := "00000000-0000-4000-8000-000000000000"
	r := f.terminate(fmt.Sprintf(`{"mediaSessionIds":[%q,%q]}`, f.by(v), bad)).want(http.StatusOK)
	if r.at("count") != 1.0 || r.str("missing", 0) != bad || r.at("missing", 1) != nil {
		t.Error(r.text)
	}
	v.hasEnded(t, 2*time.Second)
	stays.watches(t)
	f.terminate(fmt.Sprintf(`{"mediaSessionIds":[%q]}`, bad)).want(http.StatusNotFound)
}

func (f *rowsF) f14(t *testing.T) {
	v, before := f.viewer(t, "cam1"), f.totals()
	const typo = `"nmae"`
	if got := f.terminate(`{` + typo + `:"cam1"}`).want(http.StatusBadRequest).str("error"); !strings.Contains(got, typo) {
		t.Errorf("%q does not name the field", got)
	}
	f.terminate(fmt.Sprintf(`{"mediaSessionId":%q,"name":"cam2"}`, f.by(v))).want(http.StatusNotFound)
	f.terminate(`{"name":"cam1","kind":"viewer","protocol":"srt"}`).want(http.StatusNotFound)
	if before[1] != f.totals()[1] {
		t.Error("something was stopped")
	}
	f.terminate(fmt.Sprintf(`{"mediaSessionId":%q,"name":"cam1","kind":"viewer"}`, f.by(v))).want(http.StatusOK)
	v.hasEnded(t, 2*time.Second)
}

func (f *rowsF) f15(t *testing.T) {
	v, before := f.viewer(t, "cam2"), f.totals()
	for _, body := range []string{"", "{}", `{"all":false}`, `{"dryRun":true}`} {
		if got := f.terminate(body).want(http.StatusBadRequest).str("error"); !strings.Contains(got, `{"all":true}`) {
			t.Errorf("%q: %q does not tell what is needed", body, got)
		}
	}
	r := f.terminate(`{"all":true,"dryRun":true}`).want(http.StatusOK)
	if r.at("count") != 4.0 || r.at("dryRun") != true {
		t.Errorf("%s, want two pulls, a push and a viewer", r.text)
	}
	if f.totals() != before {
		t.Error("a dry run has stopped something")
	}
	v.watches(t)
	f.terminate(`{"all":true,"name":"cam1"}`).want(http.StatusBadRequest)
	f.terminate(`{"all":true}`).want(http.StatusOK)
	v.hasEnded(t, 2*time.Second)
	eventually(t, 5*time.Second, "nothing moves media", func() error {
		rest := slices.DeleteFunc(f.sessions(""), func(r row) bool { return r.text("kind") == "keepalive" })
		if len(rest) > 0 || f.cam.playing() > 0 {
			return fmt.Errorf("%d cameras play, %v", f.cam.playing(), rest)
		}
		return nil
	})
}
