package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/daemon/keepalive"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/daemon/webhook"
)

// nosource takes every source.
type nosource struct{}

func (nosource) Add(context.Context, string, relay.Source) error { return nil }
func (nosource) Remove(string) bool                              { return false }

// matrixSite is a site of two cameras, each with a push of the same name, a
// viewer by each protocol and, where the route is about those, a keepalive.
type matrixSite struct {
	handler http.Handler
	ids     map[string]string            // by kind of route and camera
	viewers map[string][]context.Context // done when the viewer is sent away
}

// ghost is a camera that there is not.
const ghost = "ghost"

func newMatrixSite(t *testing.T, pattern string) matrixSite {
	t.Helper()
	site := matrixSite{ids: make(map[string]string), viewers: make(map[string][]context.Context)}
	sessions, access := session.NewRegistry(nil), auth.New(slog.New(slog.DiscardHandler))
	rules := staff()
	for _, r := range []auth.Role{auth.RoleViewer, auth.RoleOperator} {
		name := string(r) + "-of-gate"
		rules.Users = append(rules.Users, auth.User{Name: name, TokenHashes: sums(name), Role: r, Cameras: []string{"gate"}})
	}
	rules.Users[0].Cameras = nil // the viewer of all
	if _, err := access.Set(rules); err != nil {
		t.Fatal(err)
	}
	r := relay.New(relay.Config{Sessions: sessions, Access: access}, slog.New(slog.DiscardHandler))
	held := leases(t, r)
	var pushes []Push
	for _, name := range []string{"gate", "yard"} {
		r.Put(name, relay.Policy{})
		if strings.Contains(pattern, "/keepalive/") {
			l, err := held.Add(t.Context(), keepalive.Request{Path: name}, keepalive.Caller{})
			if err != nil {
				t.Fatal(err)
			}
			site.ids["keepalive "+name] = l.ID
		}
		for _, k := range v3Kinds() {
			one, ctx := sessions.Open(t.Context(), session.Info{Kind: session.Viewer, Protocol: k.protocol, Path: name}, nil)
			t.Cleanup(func() { one.Close(nil) })
			site.ids[k.name+" "+name] = one.ID
			site.viewers[name] = append(site.viewers[name], ctx)
		}
		pushes = append(pushes, Push{Name: name, Camera: name, State: supervise.State{Phase: supervise.Active}})
	}
	t.Cleanup(func() {
		for _, p := range r.Paths() {
			r.Drop(p.Name())
		}
	})
	site.handler = New(Config{
		Started: time.Now(), Access: access, Relay: r, Sessions: sessions, Keepalive: held, Sources: nosource{},
		Pushes: func() []Push { return pushes }, PushControl: &fakePushes{all: pushes},
		End:       func(one *session.Session, by, reason string, _ time.Duration) bool { return one.Kick(by, reason) },
		Terminate: func() config.Terminate { return config.Terminate{HoldOff: time.Minute} },
		Config:    brokenYard,
		Hooks: func() map[string]webhook.Status {
			return map[string]webhook.Status{"on_not_found": {LastError: "refused yard"}}
		},
		Plan:      func(PlanRequest) PlanResult { return PlanResult{} },
		Listeners: func() map[string]string { return nil },
	})
	return site
}

// brokenYard is a configuration in which everything tells that there is a yard.
func brokenYard() ConfigStatus {
	mistakes := config.Errors{{File: "user-of-yard.yaml", Key: "cameras.yard", Message: "no yard", Excerpt: "yard: ***"}}
	return ConfigStatus{
		State: "rejected", Reason: "yard was warm before", Errors: mistakes, Warnings: mistakes,
		Files:    []ConfigFile{{Path: "user-of-yard.yaml", Errors: mistakes}},
		Problems: []string{"the push of yard listens nowhere"},
	}
}

// requestFor is the request of a route that is about a camera, and how its
// told names what it is about.
func (m matrixSite) requestFor(pattern, camera string) (method, path, body, id string) {
	method, path, _ = strings.Cut(pattern, " ")
	kind := "keepalive"
	for _, k := range v3Kinds() {
		if strings.HasPrefix(path, "/v3/"+k.name+"/") {
			kind = k.name
		}
	}
	if id = m.ids[kind+" "+camera]; id == "" {
		id = "8c5d2ad2-3f6c-4ed9-9bd5-1d4b6f1f8a11"
	}
	switch {
	case strings.HasPrefix(path, "/rest-api/"):
		body = `{"name": "` + camera + `"}`
	case pattern == "POST /v1/pushes":
		body = `{"name": "new", "camera": "` + camera + `", "url": "rtmp://h/live/x"}`
	case strings.HasPrefix(path, "/v3/config/paths/add/"):
		body = `{"source": "rtsp://h/"}`
	}
	path = strings.NewReplacer("{name...}", camera, "{name}", camera, "{id}", id).Replace(path)
	return method, path, body, id
}

// told is what one gets who asks for a route about a camera.
type told struct {
	code int
	text string // with X in the place of the camera and its ids
}

func (m matrixSite) ask(t *testing.T, pattern, camera, token string) told {
	t.Helper()
	method, path, body, id := m.requestFor(pattern, camera)
	ctx := t.Context()
	if strings.HasSuffix(path, "/events") { // it goes on until the client leaves
		left, leave := context.WithCancel(ctx)
		leave()
		ctx = left
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "192.0.2.1:5000", "192.0.2.9:9997"
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		bearer(token)(r)
	}
	m.handler.ServeHTTP(w, r)
	return told{w.Code, strings.NewReplacer(camera, "X", id, "X").Replace(w.Body.String())}
}

// untouched tells whether all that is connected to a camera still is.
func (m matrixSite) untouched(camera string) bool {
	return !slices.ContainsFunc(m.viewers[camera], func(c context.Context) bool { return c.Err() != nil })
}

// TestRolesRoutesCameras asks for every route about every camera as everybody.
// Who may see one camera is told of another what is told of one that there is not.
func TestRolesRoutesCameras(t *testing.T) {
	rights := map[string]auth.Right{
		"viewer": auth.Read, "viewer-of-gate": auth.Read, "operator": auth.Operate, "operator-of-gate": auth.Operate,
		"admin": auth.Admin,
	}
	asked := 0
	for _, r := range (server{}).routes() {
		if r.right == auth.None {
			continue
		}
		m := newMatrixSite(t, r.pattern)
		for _, camera := range []string{"gate", "yard", ghost} {
			if got := m.ask(t, r.pattern, camera, ""); got.code != http.StatusUnauthorized {
				t.Errorf("nobody, %s, %s: status %d", r.pattern, camera, got.code)
			}
		}
		for who, right := range rights {
			got := make(map[string]told)
			m := newMatrixSite(t, r.pattern)
			for _, camera := range []string{ghost, "yard", "gate"} {
				got[camera] = m.ask(t, r.pattern, camera, who)
				asked++
				mayAct := right >= r.right && (camera == "gate" || !strings.HasSuffix(who, "-of-gate"))
				if !mayAct && !m.untouched(camera) {
					t.Errorf("%s, %s: what is connected to %s was ended", who, r.pattern, camera)
				}
			}
			if err := judge(r, right, strings.HasSuffix(who, "-of-gate"), got); err != nil {
				t.Errorf("%s, %s: %v: %v", who, r.pattern, err, got)
			}
		}
	}
	if asked < 500 {
		t.Errorf("only %d requests: is the table of routes whole?", asked)
	}
}

// judge tells what is wrong with the answers about each camera.
func judge(r route, right auth.Right, gateOnly bool, got map[string]told) error {
	perCamera := strings.Contains(r.pattern, "{") || strings.HasSuffix(r.pattern, "/terminate") ||
		strings.HasSuffix(r.pattern, "/find")
	for camera, a := range got {
		refused := a.code == http.StatusForbidden
		switch {
		case right < r.right && !refused:
			return errors.New("let in without the right to " + r.right.String())
		case right < r.right:
			continue
		case a.code == http.StatusUnauthorized, a.code >= 500:
			return errors.New("not answered about " + camera)
		case refused && (!gateOnly || camera == "gate"):
			return errors.New("refused what is its own: " + camera)
		case gateOnly && !perCamera && strings.Contains(a.text, "yard"):
			return errors.New("told of yard")
		}
	}
	if right >= r.right && gateOnly && perCamera && got["yard"] != got[ghost] {
		return errors.New("tells that there is a yard")
	}
	if right >= r.right && gateOnly && perCamera && got["yard"].code == http.StatusOK && got["gate"] != got["yard"] {
		return errors.New("answers about yard")
	}
	if right >= r.right && !gateOnly && perCamera && got["yard"].code != got["gate"].code {
		return errors.New("the cameras differ")
	}
	return nil
}

// fenceRow is a request of a stranger, or a hostile one.
type fenceRow struct {
	name   string
	method string
	path   string
	body   string
	edit   func(*http.Request)
	want   int
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func hosted(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }

// TestPagesOfOthers: what a page that was opened on the box, or by somebody who
// has the right, makes a browser send is refused (CSRF, DNS rebinding).
func TestPagesOfOthers(t *testing.T) {
	const add, stop = "/v3/paths/keepalive/add/gate", "/v1/cameras/gate/stop"
	for _, row := range []fenceRow{
		{"the box itself", "POST", add, `{"label":"x"}`, plainly, 200},
		{"a page of the box", "POST", add, "", header("Sec-Fetch-Site", "same-origin"), 200},
		{"a page of the same origin, old browser", "POST", add, "", header("Origin", "http://127.0.0.1:9997"), 200},
		{"a page of another site", "POST", add, "", header("Sec-Fetch-Site", "cross-site"), 403},
		{"a page of the viewers' port", "POST", add, "", header("Sec-Fetch-Site", "same-site"), 403},
		{"a page of another site, old browser", "POST", add, "", header("Origin", "http://evil.example"), 403},
		{"a page without an origin", "POST", add, "", header("Origin", "null"), 403},
		{"a page of another port", "DELETE", "/v1/pushes/x", "", header("Origin", "http://127.0.0.1:8888"), 403},
		{"an image of another site", "GET", "/v1/status", "", header("Sec-Fetch-Site", "cross-site"), 403},
		{"reading at a foreign name", "GET", "/v1/status", "", hosted("evil.example:9997"), 421},
		{"writing at a foreign name", "POST", stop, "", hosted("evil.example:9997"), 421},
		{"a foreign name that begins as ours", "POST", stop, "", hosted("127.0.0.1.evil.example"), 421},
		{"no name", "POST", stop, "", hosted(""), 421},
		{"a name of the LAN", "POST", stop, "", hosted("camrelay.local:9997"), 200},
		{"a name that is listed", "POST", stop, "", hosted("cams.example.org:9997"), 200},
		{"writing with a token at a foreign name", "POST", stop, "", func(r *http.Request) {
			bearer("admin")(r)
			r.Host = "evil.example"
		}, 421},
		{"a form", "POST", add, "label=x", header("Content-Type", "application/x-www-form-urlencoded"), 415},
		{"a form that looks like JSON", "POST", add, `{"label":"x"}`, header("Content-Type", "text/plain"), 415},
		{"a body of no type", "POST", add, `{"label":"x"}`, header("Content-Type", ""), 415},
		{"with a charset", "POST", add, `{"label":"x"}`, header("Content-Type", "application/json; charset=utf-8"), 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, rules := range []auth.Rules{{}, staff()} {
				if len(rules.Users) > 0 && strings.HasPrefix(row.name, "reading") {
					continue // a browser shows no token at a name that it does not know
				}
				rules.Hosts = []string{"cams.example.org"}
				w := fenced(t, rules, row)
				if w.Code != row.want {
					t.Errorf("with %d users: status %d, want %d: %s", len(rules.Users), w.Code, row.want, w.Body)
				}
			}
		})
	}
}

// fenced sends the request of a row, by the admin where there are users.
func fenced(t *testing.T, rules auth.Rules, row fenceRow) *httptest.ResponseRecorder {
	t.Helper()
	h := rigFor(t, rules)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), row.method, row.path, strings.NewReader(row.body))
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1:9997"
	if row.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if len(rules.Users) > 0 {
		bearer("admin")(r)
	}
	row.edit(r)
	h.ServeHTTP(w, r)
	return w
}

// TestBodiesAtTheirLimits: each limit at the limit and one above.
func TestBodiesAtTheirLimits(t *testing.T) {
	const path = "/v3/paths/keepalive/add/gate"
	nested := func(n int) string { return `{"label":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}" }
	sized := func(n int) string { return `{"label":"x"}` + strings.Repeat(" ", n-len(`{"label":"x"}`)) }
	for _, row := range []struct {
		name, body string
		want       int
		says       string
	}{
		{"as deep as may be", nested(maxDepth), 400, "must be of type"},
		{"one deeper", nested(maxDepth + 1), 400, "nested more than"},
		{"much deeper", strings.Repeat("[", MaxBody), 400, "nested more than"},
		{"brackets in a text", `{"label":"` + strings.Repeat(`[\"{`, 40) + `"}`, 200, ""},
		{"as long as may be", sized(MaxBody), 200, ""},
		{"one longer", sized(MaxBody + 1), 413, "larger than"},
		{"two objects", `{"label":"x"}{}`, 400, "more than one"},
		{"a field that there is not", `{"lable":"x"}`, 400, "unknown field"},
	} {
		w := fenced(t, auth.Rules{}, fenceRow{"", "POST", path, row.body, plainly, 0})
		if w.Code != row.want || !strings.Contains(w.Body.String(), row.says) {
			t.Errorf("%s: status %d, want %d, %s", row.name, w.Code, row.want, w.Body)
		}
	}
}

// TestNamesThatLeadAway: no name of a path leads anywhere but to a path.
func TestNamesThatLeadAway(t *testing.T) {
	h := newMatrixSite(t, "").handler
	for _, name := range []string{
		"../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "gate/../yard", "gate%00",
		"gate%0d%0aX:%20y",
		"http:%2f%2f169.254.169.254%2flatest", "rtsp://127.0.0.1/x", "~^gate$", ".*", "%7E.%2A", "gate$G1", "GATE",
		strings.Repeat("a", 4096), "%F0%9F%93%B7", "$(reboot)", "`id`", "gate;id", "-", "a//b", "a/./b",
	} {
		for _, pattern := range []string{
			"GET /v3/paths/get/", "GET /v1/cameras/", "POST /v3/paths/keepalive/add/", "DELETE /v3/config/paths/delete/",
		} {
			method, path, _ := strings.Cut(pattern, " ")
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
			r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1:9997"
			bearer("admin")(r)
			u, err := url.ParseRequestURI(path + name)
			if err != nil {
				continue // no server parses it
			}
			r.URL = u
			h.ServeHTTP(w, r)
			body, err := io.ReadAll(w.Body)
			moved := w.Code >= 300 && w.Code < 400 && strings.HasPrefix(w.Header().Get("Location"), "/v")
			if err != nil || w.Code < 400 && !moved && name != "-" || w.Code >= 500 || bytes.Contains(body, []byte("root:")) {
				t.Errorf("%s%s: status %d, %s", pattern, name, w.Code, body)
			}
			if strings.ContainsAny(w.Header().Get("Location"), "\r\n") {
				t.Errorf("%s%s: Location %q", pattern, name, w.Header().Get("Location"))
			}
		}
	}
}
