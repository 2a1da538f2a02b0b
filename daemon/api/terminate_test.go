package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/session"
)

func FuzzParseOrder(f *testing.F) {
	f.Add(`{"name":"gate","published":false}`)
	f.Add(`{"mediaSessionIds":["a","b"],"holdOff":"90s","dryRun":true}`)
	f.Add(`{"all":true}`)
	f.Add(`{"name":"gate","name":"yard"}`)
	f.Fuzz(func(t *testing.T, body string) {
		o, err := parseOrder(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body)))
		if err != nil {
			return
		}
		if e := o.filter.Check(); e != nil {
			t.Errorf("an order that Check refuses: %v", e)
		}
		if o.holdOff != nil && (*o.holdOff < 0 || *o.holdOff > maxHoldOff) {
			t.Errorf("a hold-off of %v", *o.holdOff)
		}
		if strings.TrimSpace(body) != "" && !json.Valid([]byte(body)) {
			t.Error("taken, though it is no JSON")
		}
	})
}

func TestF14_OrdersAreReadStrictly(t *testing.T) {
	for _, row := range []struct{ name, body, refused string }{
		{"every field", `{"mediaSessionId":"a","mediaSessionIds":["b"],"name":"c","published":true,"status":"active",` +
			`"kind":"push","protocol":"srt","all":false,"dryRun":true,"holdOff":"90s"}`, ""},
		{"snake case", `{"name":"c","dry_run":true,"hold_off":90}`, ""},
		{"no body", ``, ""},
		{"a typo in a field", `{"nmae":"cam1"}`, `"nmae"`},
		{"a field in another case", `{"Name":"cam1"}`, `"Name"`},
		{"a field twice", `{"name":"cam1","name":"cam2"}`, "twice"},
		{"a field by both its names", `{"name":"c","dryRun":false,"dry_run":true}`, "twice"},
		{"null", `{"name":null,"published":true}`, "null"},
		{"text for truth", `{"published":"false"}`, "bool"},
		{"a number for a name", `{"name":1}`, "string"},
		{"one ID that is a number", `{"mediaSessionIds":["a",1]}`, "string"},
		{"a status that there is not", `{"status":"typo"}`, "typo"},
		{"a kind that there is not", `{"kind":"viewers"}`, "viewers"},
		{"an empty name", `{"name":""}`, "name"},
		{"a hold-off below 0", `{"name":"c","holdOff":-1}`, "hold-off"},
		{"a hold-off for ever", `{"name":"c","holdOff":"1000h"}`, "hold-off"},
		{"a huge hold-off", `{"name":"c","holdOff":1e300}`, "hold-off"},
		{"a list", `[]`, "object"},
		{"half an object", `{"name":"c"`, "object"},
		{"two objects", `{"name":"c"}{}`, "object"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := parseOrder(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(row.body)))
			if (err == nil) != (row.refused == "") || err != nil && !strings.Contains(err.Error(), row.refused) {
				t.Errorf("%v, want %q", err, row.refused)
			}
		})
	}
}

// post sends a body to the API as the user whose token is given, and decodes the answer.
func post(t *testing.T, h http.Handler, path, body, token string) (code int, answer map[string]any) {
	t.Helper()
	res := request(t, h, http.MethodPost, path, func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			bearer(token)(r)
		}
	})
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

// TestOperatorsTerminateWhatTheyMaySee lets an operator of one camera try to end
// what is another's.
func TestOperatorsTerminateWhatTheyMaySee(t *testing.T) {
	rules := staff()
	rules.Users = slices.DeleteFunc(rules.Users, func(u auth.User) bool { return u.Name == "operator" })
	rules.Users = append(rules.Users, auth.User{
		Name: "operator", TokenHashes: staff().Users[1].TokenHashes, Role: auth.RoleOperator, Cameras: []string{"gate"},
	})
	h, r := rigAndRelay(t, rules)
	sessions := r.Sessions
	open := func(kind session.Kind, path string) *session.Session {
		one, _ := sessions.Open(t.Context(), session.Info{Kind: kind, Protocol: "rtsp", Path: path}, nil)
		t.Cleanup(func() { one.Close(nil) })
		return one
	}
	gate, yard, keep := open(session.Viewer, "gate"), open(session.Viewer, "yard"), open(session.Keepalive, "gate")
	if code, _ := post(t, h, "/rest-api/stream/terminate", `{"name":"yard"}`, "operator"); code != http.StatusNotFound {
		t.Errorf("another's camera: status %d", code)
	}
	code, answer := post(t, h, "/rest-api/stream/terminate",
		`{"mediaSessionIds":["`+yard.ID+`","`+gate.ID+`"]}`, "operator")
	if missing, _ := answer["missing"].([]any); code != http.StatusOK || answer["count"] != 1.0 || len(missing) != 1 {
		t.Errorf("status %d, %v", code, answer)
	}
	if code, _ := post(t, h, "/v3/rtspsessions/kick/"+yard.ID, "", "operator"); code != http.StatusNotFound {
		t.Errorf("another's session: status %d", code)
	}
	if code, _ := post(t, h, "/rest-api/stream/terminate", `{"all":true}`, "viewer"); code != http.StatusForbidden {
		t.Errorf("a viewer: status %d", code)
	}
	now := time.Now()
	if gate.State(now) != session.Closing || yard.State(now) == session.Closing || keep.State(now) == session.Closing {
		t.Errorf("gate is %s, yard %s, the keepalive %s", gate.State(now), yard.State(now), keep.State(now))
	}
	gate.Close(nil)
	if e := sessions.Ended()[0]; e.Reason != "closed_by_us(operator)" {
		t.Errorf("the session ended by %s", e.Reason)
	}
	if code, _ := post(t, h, "/rest-api/stream/terminate", `{"kind":"keepalive"}`, "admin"); code != http.StatusOK {
		t.Errorf("keepalives that are asked for: status %d", code)
	}
}

func TestListsUnderV1AreStrict(t *testing.T) {
	h := rig(t)
	for _, row := range []struct {
		path string
		want int
	}{
		{"/v1/sessions", 200},
		{"/v1/sessions?path=gate&kind=viewer&protocol=rtsp&status=active&published=false&page=0&items_per_page=5", 200},
		{"/v1/sessions?pfad=gate", 400},
		{"/v1/sessions?kind=viewers", 400},
		{"/v1/sessions?published=perhaps", 400},
		{"/v1/sessions?items_per_page=0", 400},
		{"/v1/sessions/ended?path=gate", 200},
		{"/v1/sessions/ended?status=active", 400},
		{"/v1/cameras", 200},
		{"/v1/cameras?page=-1", 400},
		{"/v1/cameras/gate", 200},
		{"/v1/cameras/gate/demand", 200},
		{"/v1/cameras/nope", 404},
		{"/v1/cameras/nope/demand", 404},
		{"/v1/pushes", 200},
		{"/v1/pushes/up", 200},
		{"/v1/pushes/nope", 404},
		{"/v3/rtspsessions/get/x", 400},
		{"/v3/hlssessions/get/00000000-0000-0000-0000-000000000000", 404},
		{"/v3/srtconns/list?page=x", 400},
	} {
		var answer map[string]any
		if code := ask(t, h, row.path, &answer); code != row.want {
			t.Errorf("%s: status %d, want %d: %v", row.path, code, row.want, answer)
		}
	}
}

// TestF17_NothingIsStoppedForEverByAccident: only who says so stops a camera
// without an end in time.
func TestF17_NothingIsStoppedForEverByAccident(t *testing.T) {
	h := rigFor(t, auth.Rules{})
	for _, row := range []struct {
		body  string
		code  int
		until time.Duration // from now on; 0: for ever
	}{
		{"", 200, time.Minute}, // as the configuration says
		{"{}", 200, time.Minute},
		{`{"hold_off": null}`, 400, 0},
		{`{"hold_off": "10m"}`, 200, 10 * time.Minute},
		{`{"hold_off": 90}`, 200, 90 * time.Second},
		{`{"hold_off": "forever"}`, 200, 0},
		{`{"hold_off": "Forever"}`, 400, 0},
		{`{"hold_off": 0}`, 400, 0},
		{`{"hold_off": -1}`, 400, 0},
		{`{"holdoff": "10m"}`, 400, 0},
	} {
		code, v := call(t, h, "POST", "/v1/cameras/gate/stop", row.body, plainly)
		if code != row.code {
			t.Errorf("%s: status %d, %v", row.body, code, v)
			continue
		}
		if code != http.StatusOK {
			if text, _ := v["detail"].(string); !strings.Contains(text, "forever") && !strings.Contains(text, "unknown") {
				t.Errorf("%s: %q", row.body, text)
			}
			continue
		}
		stopped, _ := v["stopped"].(map[string]any)
		text, _ := stopped["until"].(string)
		until, err := time.Parse(time.RFC3339, text)
		if row.until == 0 {
			if text != "" {
				t.Errorf("%s: stopped until %s", row.body, text)
			}
		} else if d := time.Until(until) - row.until; err != nil || d > 0 || d < -time.Minute {
			t.Errorf("%s: stopped until %q", row.body, text)
		}
	}
}
