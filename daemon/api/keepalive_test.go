package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/keepalive"
	"camrelay/daemon/relay"
	"camrelay/daemon/supervise"
)

// leasePaths are a relay's paths, for keepalives.
type leasePaths struct{ relay *relay.Relay }

func (p leasePaths) Claim(path string, l keepalive.Lease, _ bool, _ func(string, time.Duration)) (func(), bool) {
	return p.relay.Claim(path, relay.Claim{ID: l.ID, Kind: relay.ClaimKeepalive, Starts: true, Holds: true})
}

func (p leasePaths) Health(path string) (h keepalive.Health, changed <-chan struct{}, ok bool) {
	found := p.relay.Path(path)
	if found == nil {
		return h, nil, false
	}
	is, changed := found.Health()
	// A path that a test pulls has no key frames.
	return keepalive.Health{Warm: found.State().Phase == supervise.Active, Reason: is.Reason}, changed, true
}

// leases returns keepalives that run as long as the test.
func leases(t testing.TB, r *relay.Relay) *keepalive.Leases {
	dir, err := os.MkdirTemp("/dev/shm", "leases-") // a disk that is busy would be told of in the answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	k := keepalive.New(keepalive.Config{Paths: leasePaths{r}, Dir: dir}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = k.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	k.SetDeclared(map[string]keepalive.Declared{"wall": {Path: "yard", Label: "Wall"}})
	return k
}

// call asks and decodes the answer.
func call(t *testing.T, h http.Handler, method, path, body string, edit func(*http.Request)) (int, map[string]any) {
	t.Helper()
	res := request(t, h, method, path, func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		edit(r)
	})
	v := make(map[string]any)
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, v
}

func plainly(*http.Request) {}

// added adds a keepalive to gate and returns its id once it is on disk: a machine that
// is busy answers before, with a warning.
func added(t *testing.T, h http.Handler, edit func(*http.Request)) string {
	t.Helper()
	code, v := call(t, h, "POST", "/v3/paths/keepalive/add/gate", "", edit)
	id, _ := v["id"].(string)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); v["warning"] != nil; {
		if _, got := call(t, h, "GET", "/v3/paths/keepalive/get/"+id, "", edit); got["saved"] == true {
			delete(v, "warning")
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it is never saved")
		}
	}
	if code != http.StatusOK || !keepalive.ValidID(id) || len(v) != 1 {
		t.Fatalf("status %d, %v", code, v)
	}
	return id
}

func TestM3_AddKeepalive(t *testing.T) {
	h, r := rigAndRelay(t, auth.Rules{})
	r.Put("hall/door", relay.Policy{})
	for _, row := range []struct {
		name, path, body string
		code             int
		says             string
	}{
		{"no body", "gate", "", 200, ""},
		{"an empty body", "gate", "{}", 200, ""},
		{"all fields", "gate", `{"label": "Wall", "ttl": "10m", "priority": 5}`, 200, ""},
		{"ttl in seconds", "gate", `{"ttl": 1.5}`, 200, ""},
		{"a name with a slash", "hall/door", "", 200, ""},
		{"a slash that is escaped", "hall%2Fdoor", "", 200, ""},
		{"waiting for a camera that is off", "gate?wait=10ms", "", 200, ""},
		{"a path that there is not", "nope", "", 400, "no such path"},
		{"a path outside", "../x", "", 400, `".."`},
		{"a path outside, escaped", "%2e%2e%2fx", "", 400, `".."`},
		{"an empty element", "hall//door", "", 400, "empty"},
		{"a strange name", "a%20b", "", 400, "invalid path name"},
		{"no name", "", "", 400, "invalid path name"},
		{"an unknown field", "gate", `{"tll": "10m"}`, 400, "tll"},
		{"no JSON", "gate", "ttl=10m", 400, "JSON"},
		{"a number for a label", "gate", `{"label": 5}`, 400, "label"},
		{"a label of two lines", "gate", `{"label": "a\nb"}`, 400, "label"},
		{"a priority out of bounds", "gate", `{"priority": 101}`, 400, "priority"},
		{"a ttl that is no time", "gate", `{"ttl": "long"}`, 400, "ttl"},
		{"a ttl of nothing", "gate", `{"ttl": 0}`, 400, "ttl"},
		{"a ttl of ages", "gate", `{"ttl": 1e30}`, 400, "ttl"},
		{"a ttl of another kind", "gate", `{"ttl": true}`, 400, "ttl"},
		{"a wait that is no time", "gate?wait=x", "", 400, "wait"},
		{"a wait of minutes", "gate?wait=5m", "", 400, "wait"},
	} {
		code, v := call(t, h, "POST", "/v3/paths/keepalive/add/"+row.path, row.body, plainly)
		text, _ := v["error"].(string)
		if code != row.code || (v["status"] == "error") != (code != 200) || !strings.Contains(text, row.says) {
			t.Errorf("%s: status %d, %v", row.name, code, v)
		}
	}
	var list page[v3Keepalive]
	if code := ask(t, h, "/v3/paths/keepalive/list", &list); code != 200 || list.ItemCount != 8 {
		t.Errorf("status %d, %d keepalives", code, list.ItemCount)
	}
}

func TestM4_M6_RemoveKeepalive(t *testing.T) {
	h := rigFor(t, staff())
	id := added(t, h, bearer("operator"))
	for _, row := range []struct {
		name, method, path, who string
		code                    int
		says                    string
	}{
		{"M6 get", "GET", "get/" + id, "viewer", 200, ""},
		{"M6 get in upper case", "GET", "get/" + strings.ToUpper(id), "viewer", 200, ""},
		{"M4 no UUID", "DELETE", "remove/x", "admin", 400, "invalid id"},
		{"M4 an unknown one", "DELETE", "remove/b6dbd4b2-0000-4000-8000-000000000000", "admin", 404, "keepalive not found"},
		{"M4 another user", "DELETE", "remove/" + id, "other", 403, "only the creator"},
		{"a viewer", "DELETE", "remove/" + id, "viewer", 403, "operate"},
		{"M10 no credentials", "DELETE", "remove/" + id, "nobody", 401, "authentication"},
		{"renewing another's", "POST", "renew/" + id, "other", 403, "only the creator"},
		{"renewing one's own", "POST", "renew/" + id, "operator", 200, ""},
		{"renewing what is no UUID", "POST", "renew/x", "admin", 400, "invalid id"},
		{"M10 an admin", "DELETE", "remove/" + id, "admin", 200, ""},
		{"M4 twice", "DELETE", "remove/" + id, "admin", 404, "keepalive not found"},
		{"M6 after it", "GET", "get/" + id, "viewer", 404, "keepalive not found"},
		{"M6 no UUID", "GET", "get/x", "viewer", 400, "invalid id"},
		{"renewing what is not there", "POST", "renew/" + id, "admin", 404, "keepalive not found"},
	} {
		code, v := call(t, h, row.method, "/v3/paths/keepalive/"+row.path, "", bearer(row.who))
		if text, _ := v["error"].(string); code != row.code || !strings.Contains(text, row.says) {
			t.Errorf("%s: status %d, %v", row.name, code, v)
		}
		delete(v, "warning") // as in added
		if row.code == 200 && row.method == "DELETE" && (len(v) != 1 || v["status"] != "ok") {
			t.Errorf("%s: %v", row.name, v)
		}
	}
	own := added(t, h, bearer("operator"))
	if code, v := call(t, h, "DELETE", "/v3/paths/keepalive/remove/"+own, "", bearer("operator")); code != 200 {
		t.Errorf("M10 the creator: status %d, %v", code, v)
	}
}

func TestM5_M7_ListKeepalives(t *testing.T) {
	h := rig(t)
	var want []string
	for range 3 {
		want = append(want, added(t, h, plainly))
	}
	var list page[v3Keepalive]
	ask(t, h, "/v3/paths/keepalive/list?itemsPerPage=2&page=1&path=gate", &list)
	if list.ItemCount != 3 || list.PageCount != 2 || len(list.Items) != 1 || list.Items[0].ID != want[2] {
		t.Errorf("%+v", list)
	}
	for _, query := range []string{"itemsPerPage=-1", "itemsPerPage=0", "page=-1", "page=x"} {
		code, v := call(t, h, "GET", "/v3/paths/keepalive/list?"+query, "", plainly)
		if code != 400 || v["status"] != "error" {
			t.Errorf("%s: status %d, %v", query, code, v)
		}
	}
	_, all := call(t, h, "GET", "/v3/paths/keepalive/list", "", plainly)
	items, _ := all["items"].([]any)
	if len(items) != 4 {
		t.Fatalf("%v", all)
	}
	for i, item := range items {
		fields, _ := item.(map[string]any)
		for _, field := range []string{
			"id", "created", "path", "creatorUser", "creatorIP", "state", "reason", "since", "label", "priority", "ttl", "owner",
		} {
			if fields[field] == nil {
				t.Errorf("keepalive %d has no %s: %v", i, field, fields)
			}
		}
	}
	v := list.Items[0]
	if v.CreatorIP != "127.0.0.1" || v.CreatorUser != "" || v.Path != "gate" || v.Owner != "api" || !v.Saved {
		t.Errorf("%+v", v)
	}
	_, none := call(t, h, "GET", "/v3/paths/keepalive/list?path=nope", "", plainly)
	if items, ok := none["items"].([]any); !ok || len(items) != 0 {
		t.Errorf("an empty list: %v", none)
	}
}

func TestM8_KeepalivesAreReaders(t *testing.T) {
	h := rig(t)
	id := added(t, h, plainly)
	var got v3Path
	ask(t, h, "/v3/paths/get/gate", &got)
	if len(got.Readers) != 1 || got.Readers[0] != (v3Ref{Type: "keepalive", ID: id}) {
		t.Errorf("readers %+v", got.Readers)
	}
	var st Status
	ask(t, h, "/v1/status", &st)
	if st.Keepalive.Count != 2 || !st.Keepalive.Saved || st.Keepalive.File == "" || len(st.Viewers) != 0 {
		t.Errorf("status %+v", st.Keepalive)
	}
}

func TestM9_KeepalivesNeedTheRightToThePath(t *testing.T) {
	rules := staff()
	rules.Users = append(rules.Users, auth.User{
		Name: "guard", TokenHashes: sums("guard"), Role: auth.RoleOperator, Cameras: []string{"gate"},
	})
	h := rigFor(t, rules)
	for _, row := range []struct {
		who, path string
		code      int
	}{
		{"guard", "gate", 200},
		{"guard", "door", 403},
		{"guard", "nope", 403},
		{"viewer", "gate", 403},
		{"nobody", "gate", 401},
		{"operator", "door", 200},
	} {
		if code, v := call(t, h, "POST", "/v3/paths/keepalive/add/"+row.path, "", bearer(row.who)); code != row.code {
			t.Errorf("%s adds to %s: status %d, %v", row.who, row.path, code, v)
		}
	}
	var list page[v3Keepalive]
	res := request(t, h, "GET", "/v3/paths/keepalive/list", bearer("guard"))
	err := json.NewDecoder(res.Body).Decode(&list)
	if err != nil || list.ItemCount != 1 || list.Items[0].CreatorUser != "guard" {
		t.Errorf("guard sees %+v, %v", list, err)
	}
	res = request(t, h, "GET", "/v3/paths/keepalive/list?path=door", bearer("operator"))
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || list.ItemCount != 1 {
		t.Fatalf("operator sees %+v, %v", list, err)
	}
	if code, v := call(t, h, "GET", "/v3/paths/keepalive/get/"+list.Items[0].ID, "", bearer("guard")); code != 404 {
		t.Errorf("guard gets what it may not see: status %d, %v", code, v)
	}
}

func TestDeclaredKeepalivesBelongToTheFile(t *testing.T) {
	h := rig(t)
	var list page[v3Keepalive]
	ask(t, h, "/v3/paths/keepalive/list?path=yard", &list)
	if len(list.Items) != 1 {
		t.Fatalf("%+v", list)
	}
	if l := list.Items[0]; l.Owner != "config" || l.Name != "wall" || l.Label != "Wall" {
		t.Fatalf("%+v", list)
	}
	for method, path := range map[string]string{"DELETE": "remove/", "POST": "renew/"} {
		code, v := call(t, h, method, "/v3/paths/keepalive/"+path+list.Items[0].ID, "", plainly)
		if text, _ := v["error"].(string); code != 409 || !strings.Contains(text, "keepalives.wall") {
			t.Errorf("%s: status %d, %v", path, code, v)
		}
	}
}

func TestM13_AddMayWaitUntilTheCameraIsThere(t *testing.T) {
	h, r := rigAndRelay(t, auth.Rules{})
	answers := make(chan map[string]any)
	go func() {
		_, v := call(t, h, "POST", "/v3/paths/keepalive/add/door?wait=20s", `{"ttl": 60}`, plainly)
		answers <- v
	}()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { // idle until the keepalive claims the path
		_ = r.Path("door").Pull(ctx, supervise.Policy{Log: slog.New(slog.DiscardHandler)},
			func(ctx context.Context, active func()) error {
				active()
				<-ctx.Done()
				return ctx.Err()
			})
	})
	if v := <-answers; v["state"] != "holding" || v["reason"] != "" {
		t.Errorf("%v", v)
	}
	var list page[v3Keepalive]
	ask(t, h, "/v3/paths/keepalive/list?path=door", &list)
	if len(list.Items) != 1 || list.Items[0].TTL != "1m0s" || list.Items[0].Expires == nil {
		t.Errorf("%+v", list)
	}
}

func TestM13_ManyAddsAtOnceAnswerAtOnce(t *testing.T) {
	h, r := rigAndRelay(t, auth.Rules{})
	codes := make(chan string, 100)
	for range cap(codes) {
		go func() {
			code, v := call(t, h, "POST", "/v3/paths/keepalive/add/gate", "", plainly)
			codes <- fmt.Sprint(code, v["status"])
		}()
	}
	for i := range cap(codes) {
		r.Put("gate", relay.Policy{Warm: i%2 == 0})
		if got := <-codes; got != "200 <nil>" {
			t.Error(got)
		}
	}
	var list page[v3Keepalive]
	if ask(t, h, "/v3/paths/keepalive/list?path=gate", &list); list.ItemCount != cap(codes) {
		t.Errorf("%d keepalives", list.ItemCount)
	}
}
