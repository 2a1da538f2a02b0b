package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"camrelay/daemon/auth"
	"camrelay/media"
)

// staff has a user of each role, whose token is its name; viewer sees gate alone.
func staff() auth.Rules {
	return auth.Rules{Users: []auth.User{
		{Name: "viewer", TokenHashes: sums("viewer"), Role: auth.RoleViewer, Cameras: []string{"gate"}},
		{Name: "operator", TokenHashes: sums("operator"), Role: auth.RoleOperator},
		{Name: "other", TokenHashes: sums("other"), Role: auth.RoleOperator},
		{Name: "admin", TokenHashes: sums("admin"), Role: auth.RoleAdmin},
		{
			Name:         "slow",
			PasswordHash: "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$Rh3dMUBNCYmS1xkSWBgSXugo3+Jb9WsS",
			Role:         auth.RoleViewer,
		},
	}}
}

// sums are the hashes of a token.
func sums(token string) []media.Secret {
	h := sha256.Sum256([]byte(token))
	return []media.Secret{media.Secret(hex.EncodeToString(h[:]))}
}

// request is one to h, changed by edit.
func request(t *testing.T, h http.Handler, method, path string, edit func(*http.Request)) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1:9997"
	edit(r)
	h.ServeHTTP(w, r)
	return w.Result()
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// TestEveryRouteAsksWhoItIs goes through the table of routes.
func TestEveryRouteAsksWhoItIs(t *testing.T) {
	h := rigFor(t, staff())
	for _, r := range (server{}).routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		path = strings.NewReplacer("{name...}", "gate", "{name}", "gate", "{id}", "x").Replace(path)
		res := request(t, h, method, path, func(*http.Request) {})
		if r.right == auth.None {
			if path != "/healthz" || res.StatusCode != http.StatusOK {
				t.Errorf("%s needs no right: status %d", r.pattern, res.StatusCode)
			}
			continue
		}
		if res.StatusCode != http.StatusUnauthorized || len(res.Header.Values("WWW-Authenticate")) != 2 {
			t.Errorf("%s: status %d, %v", r.pattern, res.StatusCode, res.Header)
		}
		reads := method == http.MethodGet || strings.HasPrefix(path, "/rest-api/stream/find")
		if reads != (r.right == auth.Read) {
			t.Errorf("%s needs the right to %s", r.pattern, r.right)
		}
	}
}

func TestWhoMayUseTheAPI(t *testing.T) {
	plain := func(*http.Request) {}
	from := func(remote string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = remote } }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	rows := []struct {
		name  string
		rules auth.Rules
		edit  func(*http.Request)
		want  int
	}{
		{"on the box, no users", auth.Rules{}, plain, 200},
		{"on the box by IPv6", auth.Rules{}, from("[::1]:5000"), 200},
		{"from elsewhere, no users", auth.Rules{}, from("192.0.2.1:5000"), 401},
		{"through a proxy on the box", auth.Rules{}, header("X-Forwarded-For", "192.0.2.1"), 401},
		{"by the name localhost", auth.Rules{}, host("localhost:9997"), 200},
		{"by an address of IPv6", auth.Rules{}, host("[::1]:9997"), 200},
		{"by a name that was made to point here", auth.Rules{}, host("evil.example:9997"), 421},
		{"by any name over the unix socket", auth.Rules{}, func(r *http.Request) {
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Net: "unix"}))
			r.Host, r.RemoteAddr = "box", "@"
		}, 200},
		{"on the box, with users", staff(), plain, 401},
		{"a token", staff(), bearer("viewer"), 200},
		{"a token from elsewhere", staff(), func(r *http.Request) { bearer("viewer")(r); r.RemoteAddr = "192.0.2.1:5" }, 200},
		{"a token by any name", staff(), func(r *http.Request) { bearer("viewer")(r); r.Host = "box.example" }, 200},
		{"a wrong token", staff(), bearer("viewers"), 401},
		{"a token in the URL", staff(), func(r *http.Request) { r.URL.RawQuery = "token=viewer" }, 401},
		{"a password", staff(), func(r *http.Request) { r.SetBasicAuth("slow", "wonderland") }, 200},
		{"a wrong password", staff(), func(r *http.Request) { r.SetBasicAuth("slow", "x") }, 401},
		{"a scheme that there is not", staff(), header("Authorization", "Digest x"), 401},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := request(t, rigFor(t, row.rules), http.MethodGet, "/v1/status", row.edit).StatusCode; got != row.want {
				t.Errorf("status %d, want %d", got, row.want)
			}
		})
	}
}

// TestRightsOfRoutes guards routes of each right.
func TestRightsOfRoutes(t *testing.T) {
	access := auth.New(slog.New(slog.DiscardHandler))
	if _, err := access.Set(staff()); err != nil {
		t.Fatal(err)
	}
	seen := ""
	s := server{Config: Config{Access: access}}
	for _, row := range []struct {
		who   string
		right auth.Right
		want  int
	}{
		{"viewer", auth.Read, 200},
		{"viewer", auth.Operate, 403},
		{"viewer", auth.Admin, 403},
		{"operator", auth.Operate, 200},
		{"operator", auth.Admin, 403},
		{"admin", auth.Admin, 200},
	} {
		h := s.guard(route{"POST /v1/x", row.right, func(_ http.ResponseWriter, r *http.Request) {
			seen = auth.FromContext(r.Context()).Name
		}})
		seen = ""
		res := request(t, h, http.MethodPost, "/v1/x", bearer(row.who))
		if res.StatusCode != row.want || (seen == row.who) != (row.want == 200) {
			t.Errorf("%s, right to %s: status %d, the handler saw %q", row.who, row.right, res.StatusCode, seen)
		}
		res = request(t, h, http.MethodPost, "/v1/x", func(r *http.Request) {
			bearer(row.who)(r)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		})
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s from a foreign page: status %d", row.who, res.StatusCode)
		}
	}
}

func TestGuessersAreToldToWait(t *testing.T) {
	h := rigFor(t, staff())
	guess := func(r *http.Request) { r.SetBasicAuth("slow", "x") }
	for range 20 {
		res := request(t, h, http.MethodGet, "/v1/status", guess)
		if res.StatusCode == http.StatusTooManyRequests {
			if after := res.Header.Get("Retry-After"); after == "" || after == "0" {
				t.Errorf("Retry-After %q", after)
			}
			return
		}
	}
	t.Error("20 guesses in a row were looked at")
}

// TestViewersSeeTheirCameras asks as a user of one camera.
func TestViewersSeeTheirCameras(t *testing.T) {
	h := rigFor(t, staff())
	read := func(token, path string, v any) int {
		res := request(t, h, http.MethodGet, path, bearer(token))
		if err := json.NewDecoder(res.Body).Decode(v); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	for token, want := range map[string]int{"viewer": 1, "operator": 3} {
		var list page[v3Path]
		var st Status
		read(token, "/v3/paths/list", &list)
		read(token, "/v1/status", &st)
		if len(list.Items) != want || len(st.Cameras) != want {
			t.Errorf("%s sees %d paths, %d cameras", token, len(list.Items), len(st.Cameras))
		}
	}
	var e map[string]any
	if code := read("viewer", "/v3/paths/get/yard", &e); code != http.StatusNotFound || e["error"] != "path not found" {
		t.Errorf("not its camera: status %d, %v", code, e)
	}
}

func TestUnknownRoutes(t *testing.T) {
	for _, row := range []struct {
		method, path string
		status       int
		mime         string
	}{
		{"GET", "/v1/nothing", 404, "application/problem+json"},
		{"GET", "/v1", 404, "application/problem+json"},
		{"POST", "/v1/status", 405, "application/problem+json"},
		{"GET", "/v3/nothing", 404, "application/json"},
		{"DELETE", "/v3/paths/list", 405, "application/json"},
		{"GET", "/", 404, "application/json"},
	} {
		res := request(t, rig(t), row.method, row.path, func(*http.Request) {})
		var body map[string]any
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != row.status || res.Header.Get("Content-Type") != row.mime {
			t.Errorf("%s %s: status %d, %s", row.method, row.path, res.StatusCode, res.Header.Get("Content-Type"))
		}
		isProblem := body["status"] == float64(row.status) && body["title"] != nil
		isV3 := body["status"] == "error" && body["error"] != nil
		if isV3 == isProblem || isV3 != (row.mime == "application/json") {
			t.Errorf("%s: %v", row.path, body)
		}
		if allow := res.Header.Get("Allow"); row.status == 405 && allow != "GET" {
			t.Errorf("%s: Allow %q", row.path, allow)
		}
	}
}

// FuzzCredentials reads the header by which clients of the API say who they are.
func FuzzCredentials(f *testing.F) {
	for _, header := range []string{
		"", "Bearer viewer", "bearer  x", "Bearer", "Basic dmlld2VyOnZpZXdlcg==", "Basic :", "Basic Og==", "Digest x", "\x00",
	} {
		f.Add(header)
	}
	access := auth.New(slog.New(slog.DiscardHandler))
	rules := staff()
	rules.Users = rules.Users[:4] // without passwords, which take their time
	if _, err := access.Set(rules); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/status", http.NoBody)
		r.Header["Authorization"] = []string{header}
		c := credentials(r)
		if len(c.User)+len(c.Password)+len(c.Token) > len(header) || c.Token != "" && c.User+c.Password != "" {
			t.Errorf("%q is read as %+v", header, c)
		}
		who, err := access.Enter(c, false)
		shown := strings.Contains(header, who.Name) || c.Password == who.Name
		if (err == nil) != (who.Name != "") || err == nil && !shown {
			t.Errorf("%q is %q, %v", header, who.Name, err)
		}
	})
}
