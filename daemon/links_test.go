package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/web"
	"camrelay/media"
	"camrelay/media/httpdoor"
	"camrelay/media/hub"
)

// gallery is a viewers' port behind linked, with the user bob; it answers which
// path it was asked for and who for.
type gallery struct {
	access  *auth.Access
	bob     auth.Principal
	handler http.Handler
}

func newGallery(t *testing.T, open bool) gallery {
	t.Helper()
	g := gallery{access: auth.New(slog.New(slog.DiscardHandler))}
	sum := sha256.Sum256([]byte("token"))
	if _, err := g.access.Set(auth.Rules{Open: open, Users: []auth.User{{
		Name: "bob", TokenHashes: []media.Secret{media.Secret(hex.EncodeToString(sum[:]))}, Role: auth.RoleOperator,
	}}}); err != nil {
		t.Fatal(err)
	}
	var err error
	if g.bob, err = g.access.Authenticate(auth.Credentials{Token: "token"}); err != nil {
		t.Fatal(err)
	}
	g.handler = linked(g.access, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := g.access.View(hub.Request{Path: name, Token: token}); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, r.URL.RequestURI()) // to a recorder
		if strings.HasSuffix(name, "live") {
			<-r.Context().Done()
			if !errors.Is(context.Cause(r.Context()), errLinkOver) {
				t.Error(context.Cause(r.Context()))
			}
		}
	}))
	return g
}

func (g gallery) link(t *testing.T, good time.Duration, cameras ...string) string {
	t.Helper()
	text, err := g.access.NewLink(g.bob, cameras, time.Now().Add(good))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (g gallery) ask(t *testing.T, path string, edit func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	r.Host = "192.0.2.9:8888"
	edit(r)
	g.handler.ServeHTTP(w, r)
	return w
}

func asItIs(*http.Request) {}

func TestLinksLetIn(t *testing.T) {
	g := newGallery(t, false)
	one, all, old := g.link(t, time.Hour, "gate"), g.link(t, time.Hour), g.link(t, -time.Minute)
	cookie := func(link string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Cookie", linkCookie+"="+link) }
	}
	for _, row := range []struct {
		name, path string
		edit       func(*http.Request)
		code       int
		says       string
	}{
		{"a path", "/" + one + "/gate/index.m3u8?_HLS_msn=3", asItIs, 200, "/gate/index.m3u8?_HLS_msn=3"},
		{"a path to another camera", "/" + one + "/yard/index.m3u8", asItIs, 401, ""},
		{"a path for all", "/" + all + "/yard/index.m3u8", asItIs, 200, "/yard/index.m3u8"},
		{"a cookie", "/gate/index.m3u8", cookie(one), 200, "/gate/index.m3u8"},
		{"a cookie for another camera", "/yard/index.m3u8", cookie(one), 401, ""},
		{"a cookie and a password", "/gate/index.m3u8", func(r *http.Request) {
			cookie(one)(r)
			r.SetBasicAuth("bob", "guess")
		}, 401, ""},
		{"none", "/gate/index.m3u8", asItIs, 401, ""},
		{"one that has expired", "/" + old + "/gate/index.m3u8", asItIs, 403, "expired"},
		{"a cookie that has expired", "/gate/index.m3u8", cookie(old), 401, ""},
		{"one that is made up", "/~AAAAAAAA/gate/index.m3u8", asItIs, 403, "expired"},
		{"two in a row", "/" + one + "/" + all + "/gate/index.m3u8", asItIs, 401, ""},
		{"in a query", "/gate/index.m3u8?token=" + one, asItIs, 401, ""},
	} {
		w := g.ask(t, row.path, row.edit)
		if w.Code != row.code || !strings.Contains(w.Body.String(), row.says) {
			t.Errorf("%s: status %d, %s", row.name, w.Code, w.Body)
		}
	}
}

// TestALinkToThePage gives the browser a cookie that no script can read and no
// other site's page makes it send.
func TestALinkToThePage(t *testing.T) {
	g := newGallery(t, false)
	link := g.link(t, 10*time.Minute)
	for _, path := range []string{"/" + link, "/" + link + "/"} {
		w := g.ask(t, path, asItIs)
		cookies := w.Result().Cookies()
		if w.Code != http.StatusOK || len(cookies) != 1 || w.Header().Get("Refresh") != "0; url=/" {
			t.Fatalf("status %d, %v", w.Code, w.Header())
		}
		c := cookies[0]
		if c.Value != link || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge > 600 {
			t.Errorf("%+v", c)
		}
		if strings.Contains(w.Body.String(), link) || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%v %s", w.Header(), w.Body)
		}
		if w := g.ask(t, "/", func(r *http.Request) { r.AddCookie(c) }); w.Code != http.StatusOK {
			t.Errorf("with the cookie: status %d", w.Code)
		}
	}
	w := g.ask(t, "/"+link, func(r *http.Request) { r.Method = http.MethodPost })
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", w.Code)
	}
}

// TestALinkEndsWhatItHasOpened: a body that goes on ends with the link.
func TestALinkEndsWhatItHasOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGallery(t, false)
		began := time.Now()
		w := g.ask(t, "/"+g.link(t, time.Minute)+"/live/mpegts", asItIs)
		if took := time.Since(began); w.Code != http.StatusOK || took > time.Minute || took < 58*time.Second {
			t.Errorf("status %d after %v", w.Code, took)
		}
	})
}

// TestAnOpenBoxIsNotForForeignNames (DNS rebinding).
func TestAnOpenBoxIsNotForForeignNames(t *testing.T) {
	for host, want := range map[string]int{
		"192.0.2.9:8888": 200, "camrelay.local:8888": 200, "localhost": 200, "evil.example:8888": 421, "": 421,
	} {
		w := newGallery(t, true).ask(t, "/gate/index.m3u8", func(r *http.Request) { r.Host = host })
		if w.Code != want {
			t.Errorf("%q: status %d, want %d", host, w.Code, want)
		}
	}
	w := newGallery(t, false).ask(t, "/gate/index.m3u8", func(r *http.Request) {
		r.Host = "cams.example"
		r.Header.Set("Authorization", "Bearer token")
	})
	if w.Code != http.StatusOK {
		t.Errorf("a user at a foreign name: status %d", w.Code)
	}
}

// TestTheKeyOfLinksStays over restarts, and only its user can read it.
func TestTheKeyOfLinksStays(t *testing.T) {
	dir, log := filepath.Join(t.TempDir(), "state"), slog.New(slog.DiscardHandler)
	key := linkKey(dir, log)
	if key == [sha256.Size]byte{} || linkKey(dir, log) != key {
		t.Error("another key after a restart")
	}
	st, err := os.Stat(filepath.Join(dir, linkKeyFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if err := os.WriteFile(filepath.Join(dir, linkKeyFile), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if next := linkKey(dir, log); next == key || next != linkKey(dir, log) {
		t.Error("a broken key is not replaced")
	}
}

// TestGuessersOfPasswordsAreToldToWait on the viewers' port too: by what the
// outputs and the page make of the error.
func TestGuessersOfPasswordsAreToldToWait(t *testing.T) {
	access := auth.New(slog.New(slog.DiscardHandler))
	if _, err := access.Set(auth.Rules{Users: []auth.User{
		{Name: "alice", PasswordHash: media.Secret(auth.Hash("correct horse")), Role: auth.RoleViewer},
	}}); err != nil {
		t.Fatal(err)
	}
	page := web.Handler(func(req hub.Request) ([]web.Camera, error) {
		_, err := access.View(req)
		return nil, err
	})
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := access.View(httpdoor.Ask(r, "gate", "hls"))
		httpdoor.AnswerTo(err).Write(w)
	})
	codes := make(map[int]int)
	for i := range 20 {
		for _, h := range []http.Handler{page, stream} {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			r.SetBasicAuth("alice", fmt.Sprint("guess", i))
			h.ServeHTTP(w, r)
			codes[w.Code]++
			if after := w.Header().Get("Retry-After"); w.Code == http.StatusTooManyRequests && (after == "" || after == "0") {
				t.Errorf("Retry-After %q", after)
			}
		}
	}
	if codes[http.StatusUnauthorized] < 5 || codes[http.StatusTooManyRequests] < 20 ||
		codes[http.StatusUnauthorized]+codes[http.StatusTooManyRequests] != 40 {
		t.Errorf("statuses %v", codes)
	}
}
