package httpdoor

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"camrelay/media/accept"
	"camrelay/media/hub"
)

func TestWhatStreamsMayBeCalled(t *testing.T) {
	for name, want := range map[string]bool{
		"gate": true, "yard/left-2/cam_1": true, strings.Repeat("x", MaxName): true,
		"": false, "/gate": false, "gate/": false, "a//b": false, "GATE": false, "..": false, "a/../b": false,
		"a b": false, "ä": false, "a\x00": false, strings.Repeat("x", MaxName+1): false,
	} {
		if got := IsStream(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"/gate/hls.m3u8", "/yard/left/x", "/x", "/../x", "/gate//x", "/gate/x/", "gate/x", "/G/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		name, file, ok := Split(path)
		if ok && (path != "/"+name+"/"+file || !IsStream(name) || strings.Contains(file, "/")) || !ok && name+file != "" {
			t.Fatalf("%q: %v, %q, %q", path, ok, name, file)
		}
	})
}

func TestWhoAsks(t *testing.T) {
	for _, tc := range []struct {
		name, header, want string
	}{
		{"nobody", "", "//"},
		{"a password", "Basic ZXZlOnNlc2FtZQ==", "eve/sesame/"},
		{"a token", "Bearer t0ken", "//t0ken"},
		{"a token, written otherwise", "bEARER t0ken", "//t0ken"},
		{"something else", "Digest x", "//"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/gate/x?a=b", nil)
		r.Header.Set("Authorization", tc.header)
		r.Header.Set("User-Agent", "player")
		req := Ask(r, "gate", "still")
		if got := req.User + "/" + req.Password + "/" + req.Token; got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if req.Path != "gate" || req.Protocol != "still" || req.Remote != r.RemoteAddr || req.UserAgent != "player" ||
			req.Query.Get("a") != "b" {
			t.Errorf("%s: %+v", tc.name, req)
		}
	}
}

func TestAnswers(t *testing.T) {
	secret := errors.New("s3cret")
	for _, tc := range []struct {
		err    error
		status int
		text   string
		retry  string
	}{
		{fmt.Errorf("%w: %w", hub.ErrNotFound, secret), 404, "no such stream\n", ""},
		{fmt.Errorf("x: %w", os.ErrNotExist), 404, "no such stream\n", ""},
		{hub.ErrDenied, 401, hub.ErrDenied.Error() + "\n", ""},
		{hub.ErrForbidden, 403, hub.ErrForbidden.Error() + "\n", ""},
		{accept.ErrFull, 503, "too many viewers\n", "10"},
		{accept.ErrFromOne, 503, "too many viewers from this address\n", "10"},
		{secret, 503, hub.ErrUnavailable.Error() + "\n", "2"},
	} {
		w := httptest.NewRecorder()
		AnswerTo(tc.err).Write(w)
		h := w.Header()
		if w.Code != tc.status || w.Body.String() != tc.text || h.Get("Retry-After") != tc.retry ||
			h.Get("Cache-Control") != "no-store" || (tc.status == 401) != (h.Get("WWW-Authenticate") != "") {
			t.Errorf("%v: %d %q %v", tc.err, w.Code, w.Body, h)
		}
	}
}

func TestWhatAsksForNoMediaIsAnswered(t *testing.T) {
	for _, tc := range []struct {
		name, method, query string
		known               bool
		status              int
	}{
		{"media", "GET", "", true, 0},
		{"headers only", "HEAD", "?a=b", true, 0},
		{"nothing of ours", "GET", "", false, 404},
		{"whether it may be written, where nothing is", "POST", "", false, 404},
		{"a preflight", "OPTIONS", "", true, 204},
		{"another method", "DELETE", "", true, 405},
		{"the longest query", "GET", "?" + strings.Repeat("x", maxQuery), true, 0},
		{"a longer query", "GET", "?" + strings.Repeat("x", maxQuery+1), true, 414},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), tc.method, "/gate/x"+tc.query, nil)
		answered := Answered(w, r, tc.known, "Date")
		if answered != (tc.status != 0) || answered && w.Code != tc.status {
			t.Errorf("%s: answered %v, %d", tc.name, answered, w.Code)
		}
		h := w.Header()
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Expose-Headers") != "Date" ||
			(tc.status == http.StatusMethodNotAllowed) != (h.Get("Allow") != "") {
			t.Errorf("%s: %v", tc.name, h)
		}
	}
}
