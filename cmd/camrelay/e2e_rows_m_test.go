package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// lazySite is the configuration of cameras that run only while somebody wants
// them, one line each.
func lazySite(extra string, cameras ...string) string {
	text := "version: 1\naccess: {view: open}\ndefaults: {keep: ondemand, idle_after: 2s, transport: tcp}\ncameras:\n"
	return text + strings.Join(cameras, "") + extra
}

func lazyCam(name, url string) string { return fmt.Sprintf("  %s: {url: \"%s\"}\n", name, url) }

// idleAfter is idle_after of lazySite.
const idleAfter = 2 * time.Second

// addKeepalive adds one and returns its ID.
func (b *box) addKeepalive(path string, change ...func(*http.Request)) string {
	b.t.Helper()
	return b.call("POST", "/v3/paths/keepalive/add/"+path, "", change...).want(200).str("id")
}

// awaitKeepalive waits until the keepalive is in the state.
func (b *box) awaitKeepalive(id, state string, limit time.Duration) reply {
	b.t.Helper()
	var r reply
	eventually(b.t, limit, "keepalive is "+state, func() error {
		r = b.call("GET", "/v3/paths/keepalive/get/"+id, "").want(200)
		if got := r.str("state"); got != state {
			return fmt.Errorf("it is %s: %s", got, r.str("reason"))
		}
		return nil
	})
	return r
}

func TestM1_M2_AKeepaliveStartsAndHolds(t *testing.T) {
	t.Parallel() // it waits most of the time
	cam := startFakeCam(t)
	b := startBox(t, lazySite("", lazyCam("cam1", cam.url("cam1"))))
	if ready, _ := b.ready("cam1"); ready || cam.requests("PLAY") != 0 {
		t.Fatal("M1: it runs before anybody wants it")
	}
	id := b.addKeepalive("cam1")
	b.awaitReady("cam1", true, time.Minute)
	_, before := b.ready("cam1")
	eventually(t, time.Minute, "M1: bytes rise", func() error {
		_, now := b.ready("cam1")
		return more(int(now), int(before))
	})
	if n := cam.requests("PLAY"); n != 1 {
		t.Errorf("M1: %d connections, want 1", n)
	}
	if _, errs, err := tool(t, time.Minute, "ffprobe", "-v", "error", b.rtsp("cam1")); err != nil {
		t.Fatalf("M2: %v %s", err, errs)
	}
	waitFor(t, 3*idleAfter)
	if ready, _ := b.ready("cam1"); !ready || cam.requests("PLAY") != 1 || cam.requests("TEARDOWN") != 0 {
		t.Error("M2: the camera did not stay up with the keepalive")
	}
	b.call("DELETE", "/v3/paths/keepalive/remove/"+id, "").want(200)
	removed := time.Now()
	eventually(t, 2*idleAfter+5*time.Second, "M2: TEARDOWN", func() error { return more(cam.requests("TEARDOWN"), 0) })
	if after := time.Since(removed); after < idleAfter {
		t.Errorf("M2: closed %v after the keepalive, want %v", after, idleAfter)
	}
	punctual(t, "M2: TEARDOWN after the keepalive went", time.Since(removed), idleAfter+2*time.Second)
	waitFor(t, idleAfter)
	if n := cam.requests("TEARDOWN"); n != 1 || cam.playing() != 0 {
		t.Errorf("M2: closed %d times, %d sessions play", n, cam.playing())
	}
}

func TestM3_M4_M5_M6_M7_CodesAndShapes(t *testing.T) {
	cam := startFakeCam(t)
	b := startBox(t, lazySite("", lazyCam("cam1", cam.url("cam1"))))
	b.call("POST", "/v3/config/paths/add/yard/left", `{"source":"`+cam.url("cam2")+`"}`).want(200)
	for path, code := range map[string]int{"cam1": 200, "nope": 400, "..%2Fx": 400, "yard/left": 200} {
		r := b.call("POST", "/v3/paths/keepalive/add/"+path, "").want(code)
		if code != 200 && (r.str("status") != "error" || r.str("error") == "") {
			t.Errorf("M3: %s: %s", path, r.text)
		}
	}
	b.call("POST", "/v3/paths/keepalive/add/cam1", `{"label":"wall","ttl":"10m","priority":3}`).want(200)
	b.call("POST", "/v3/paths/keepalive/add/cam1", `{"lable":"wall"}`).want(400)

	list := b.call("GET", "/v3/paths/keepalive/list?itemsPerPage=2&page=1", "").want(200)
	if list.at("itemCount") != 3.0 || list.at("pageCount") != 2.0 || list.at("items", 1) != nil {
		t.Errorf("M5: %s", list.text)
	}
	all := b.call("GET", "/v3/paths/keepalive/list", "").want(200)
	for i := range 2 {
		if all.str("items", i, "created") > all.str("items", i+1, "created") {
			t.Errorf("M5: not in the order of creation: %s", all.text)
		}
	}
	b.call("GET", "/v3/paths/keepalive/list?itemsPerPage=-1", "").want(400)
	if got := b.call("GET", "/v3/paths/keepalive/list?path=cam1", "").at("itemCount"); got != 2.0 {
		t.Errorf("M5: %v keepalives of cam1", got)
	}
	for _, key := range []string{
		"id", "created", "path", "creatorUser", "creatorIP", "state", "reason", "since", "label",
	} {
		if all.at("items", 0, key) == nil {
			t.Errorf("M7: no %s in %s", key, all.text)
		}
	}
	if all.str("items", 2, "label") != "wall" || all.str("items", 2, "expires") == "" {
		t.Errorf("M7: %s", all.text)
	}

	id := all.str("items", 0, "id")
	if r := b.call("DELETE", "/v3/paths/keepalive/remove/"+id, "").want(200); r.str("status") != "ok" {
		t.Errorf("M4: %s", r.text)
	}
	b.call("DELETE", "/v3/paths/keepalive/remove/"+id, "").want(404)
	b.call("DELETE", "/v3/paths/keepalive/remove/nonsense", "").want(400)
	b.call("GET", "/v3/paths/keepalive/get/"+id, "").want(404)
	b.call("GET", "/v3/paths/keepalive/get/nonsense", "").want(400)
}

func TestM8_M11_ReadersAndManyKeepalives(t *testing.T) {
	cam := startFakeCam(t)
	b := startBox(t, lazySite("", fmt.Sprintf("  cam1: {url: \"%s\", max_viewers: 1}\n", cam.url("cam1"))))
	one, two := b.addKeepalive("cam1"), b.addKeepalive("cam1")
	if one == two {
		t.Error("M11: the same ID twice")
	}
	b.awaitReady("cam1", true, time.Minute)
	r := b.call("GET", "/v3/paths/get/cam1", "")
	found := map[string]bool{}
	for i := range 2 {
		if r.str("readers", i, "type") == "keepalive" {
			found[r.str("readers", i, "id")] = true
		}
	}
	if !found[one] || !found[two] {
		t.Errorf("M8: readers %v", r.at("readers"))
	}
	if n := decode(t, time.Minute, "-rtsp_transport", "tcp", "-i", b.rtsp("cam1"), "-frames:v", "10"); n < 10 {
		t.Errorf("M8: a viewer gets %d pictures beside two keepalives", n)
	}
	for _, word := range []string{"added", "attached"} {
		if !strings.Contains(b.log.String(), "msg=keepalive event="+word) {
			t.Errorf("M8: the log says nothing of keepalives that are %s", word)
		}
	}
	b.call("DELETE", "/v3/paths/keepalive/remove/"+one, "").want(200)
	waitFor(t, 2*idleAfter)
	if ready, _ := b.ready("cam1"); !ready || cam.requests("PLAY") != 1 {
		t.Errorf("M11: ready %v, %d connections", ready, cam.requests("PLAY"))
	}
}

// withToken shows a token.
func withToken(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func TestM9_M10_RightsAndOwners(t *testing.T) {
	cam := startFakeCam(t)
	user := func(name, role, cameras string) string {
		return fmt.Sprintf("  - {name: %s, role: %s, cameras: [%s], token_hash: %s}\n",
			name, role, cameras, tokenHash(name+"-token"))
	}
	b := startBox(t, lazySite("users:\n"+user("alice", "operator", "cam1")+user("bob", "operator", "cam1")+
		user("carol", "operator", "cam2")+user("dave", "viewer", "cam1")+
		"  - {name: root, role: admin, token_hash: "+tokenHash(ownToken)+"}\n",
		lazyCam("cam1", cam.url("cam1")), lazyCam("cam2", cam.url("cam2"))))
	add := "/v3/paths/keepalive/add/cam1"
	b.call("POST", add, "", nobody).want(401)
	b.call("POST", add, "", withToken("carol-token")).want(403)
	b.call("POST", add, "", withToken("dave-token")).want(403)
	if n := cam.requests("DESCRIBE"); n != 0 {
		t.Errorf("M9: the camera was contacted %d times", n)
	}
	id := b.addKeepalive("cam1", withToken("alice-token"))
	if got := b.call("GET", "/v3/paths/keepalive/get/"+id, "").str("creatorUser"); got != "alice" {
		t.Errorf("M10: the owner is %q", got)
	}
	remove := "/v3/paths/keepalive/remove/" + id
	b.call("DELETE", remove, "", withToken("bob-token")).want(403)
	b.call("DELETE", remove, "", nobody).want(401)
	b.call("DELETE", remove, "", withToken("carol-token")).want(404) // she may not see the path
	b.call("POST", "/v3/paths/keepalive/renew/"+id, `{"ttl":"10m"}`, withToken("carol-token")).want(404)
	b.call("DELETE", remove, "").want(200) // an admin
	id = b.addKeepalive("cam1", withToken("alice-token"))
	b.call("DELETE", "/v3/paths/keepalive/remove/"+id, "", withToken("alice-token")).want(200)
}

func TestM12_M16_EditsAndRestarts(t *testing.T) {
	cam := startFakeCam(t)
	b := startBox(t, lazySite("", lazyCam("cam1", cam.url("cam1")), lazyCam("cam2", cam.url("cam2"))))
	id, other := b.addKeepalive("cam1"), b.addKeepalive("cam2")
	b.awaitKeepalive(id, "holding", time.Minute)
	b.write(lazySite("", lazyCam("cam1", cam.url("cam3")), lazyCam("cam2", cam.url("cam2"))))
	eventually(t, time.Minute, "M12: the camera is the new one", func() error { return more(cam.requests("PLAY"), 2) })
	b.awaitKeepalive(id, "holding", time.Minute)
	b.write(lazySite("", lazyCam("cam2", cam.url("cam2"))))
	eventually(t, time.Minute, "M12: the keepalive of a removed camera goes", func() error {
		if r := b.call("GET", "/v3/paths/keepalive/get/"+id, ""); r.code != http.StatusNotFound {
			return fmt.Errorf("%d: %s", r.code, r.text)
		}
		return nil
	})
	if n := b.call("GET", "/v3/paths/keepalive/list", "").at("itemCount"); n != 1.0 {
		t.Errorf("M12: %v keepalives, want 1", n)
	}
	for name, end := range map[string]func(){"SIGKILL": b.kill9, "SIGTERM": b.stop} {
		b.restart(end)
		r := b.awaitKeepalive(other, "holding", time.Minute)
		if r.str("path") != "cam2" {
			t.Errorf("M16 after %s: %s", name, r.text)
		}
	}
}

func TestM13_M14_M15_ACameraThatIsOff(t *testing.T) {
	t.Parallel() // it waits most of the time
	cam := startFakeCam(t)
	cam.off()
	site := lazySite("", lazyCam("cam1", cam.url("cam1")))
	b := startBox(t, site)
	id := b.addKeepalive("cam1")
	longest := parallelAdds(t, b, site)
	punctual(t, "M13: the slowest of 100 adds, with reloads and the camera off", longest, 200*time.Millisecond)
	eventually(t, time.Minute, "M14: it waits and says why", func() error {
		r := b.call("GET", "/v3/paths/keepalive/get/"+id, "")
		if r.str("state") == "holding" || r.str("reason") == "" {
			return fmt.Errorf("%s", r.text)
		}
		return nil
	})
	cam.on()
	b.awaitKeepalive(id, "holding", time.Minute)
	for round := range 3 {
		cam.off()
		eventually(t, time.Minute, "M15: it is lost", func() error {
			if b.call("GET", "/v3/paths/keepalive/get/"+id, "").str("state") == "holding" {
				return fmt.Errorf("holding")
			}
			return nil
		})
		cam.on()
		b.awaitKeepalive(id, "holding", time.Minute)
		t.Logf("M15: round %d: holding again", round)
	}
	cam.srv.Freeze(true)
	eventually(t, 30*time.Second, "M15: a frozen camera is noticed", func() error {
		if b.call("GET", "/v3/paths/keepalive/get/"+id, "").str("state") == "holding" {
			return fmt.Errorf("holding")
		}
		return nil
	})
	cam.srv.Freeze(false)
	b.awaitKeepalive(id, "holding", 60*time.Second)
}

// parallelAdds adds a hundred keepalives at once while the configuration is
// loaded again and again, and returns how long the slowest answer took.
func parallelAdds(t *testing.T, b *box, site string) (longest time.Duration) {
	t.Helper()
	stop := make(chan struct{})
	var edits, adds sync.WaitGroup
	edits.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				b.write(fmt.Sprintf("%s# %d\n", site, i))
				waitFor(t, 20*time.Millisecond)
			}
		}
	})
	var mu sync.Mutex
	for range 100 {
		adds.Go(func() {
			began := time.Now()
			r := b.call("POST", "/v3/paths/keepalive/add/cam1", "")
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			if longest = max(longest, took); r.code != http.StatusOK {
				t.Errorf("M13: status %d: %s", r.code, r.text)
			}
		})
	}
	adds.Wait()
	close(stop)
	edits.Wait()
	if n := b.call("GET", "/v3/paths/keepalive/list?itemsPerPage=1", "").at("itemCount"); n != 101.0 {
		t.Errorf("M13: %v keepalives, want 101", n)
	}
	return longest
}
