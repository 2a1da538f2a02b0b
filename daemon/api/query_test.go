package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"camrelay/daemon/auth"
)

func TestUnknownParametersAreRefused(t *testing.T) {
	rows := []struct {
		name, path string
		want       string // of the answer; empty: 200
	}{
		{"a typo that would follow everything", "/v1/events?typ=path.*", `unknown parameter "typ", did you mean "type"?`},
		{"one of another route", "/v1/events?kind=viewer", `unknown parameter "kind", known are since, type, path`},
		{"a filter that would list everything", "/v1/sessions?pth=gate", `did you mean "path"?`},
		{"a page of a list", "/v1/cameras?page=0&items_per_page=1", ""},
		{"MediaMTX's name for it", "/v1/cameras?itemsPerPage=1", `did you mean "items_per_page"?`},
		{"a wait that would be none", "/v1/config/status?wait-hash=x", `did you mean "wait_hash"?`},
		{"a route without any", "/v1/status?verbose=1", `unknown parameter "verbose", there are none here`},
		{"a parameter that is given twice", "/v1/sessions?path=gate&path=yard", `"path" is given twice`},
		{"a long one", "/v1/status?" + strings.Repeat("x", 5000), `"` + strings.Repeat("x", maxShown) + `"`},
		{"a keepalive's", "/v3/paths/keepalive/list?pth=gate", `did you mean "path"?`},
		{"MediaMTX does not heed what it does not know", "/v3/paths/list?_=1700000000&sort=name", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			res := request(t, rig(t), http.MethodGet, row.path, func(*http.Request) {})
			text, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(string(text), `\"`, `"`)
			switch {
			case row.want == "" && res.StatusCode != http.StatusOK:
				t.Errorf("status %d: %s", res.StatusCode, got)
			case row.want != "" && (res.StatusCode != http.StatusBadRequest || !strings.Contains(got, row.want)):
				t.Errorf("status %d: %s, want %q", res.StatusCode, got, row.want)
			}
			if mime := res.Header.Get("Content-Type"); row.want != "" && strings.HasPrefix(row.path, "/v1") &&
				mime != "application/problem+json" {
				t.Errorf("an error as %s", mime)
			}
		})
	}
}

// TestParametersAreOfRoutes: the table has no line for a route that there is not.
func TestParametersAreOfRoutes(t *testing.T) {
	seen := 0
	for _, r := range (server{}).routes() {
		if names, _ := parameters(r.pattern); len(names) > 0 {
			seen++
			if r.right == auth.None {
				t.Errorf("%s has parameters, and needs no right", r.pattern)
			}
		}
	}
	if seen < 9 {
		t.Errorf("%d routes have parameters", seen)
	}
}
