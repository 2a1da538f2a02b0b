package still

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media"
)

// jpegOf returns a picture.
func jpegOf(tb testing.TB, width int) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, width, 16), image.YCbCrSubsampleRatio420), nil); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// cam is a camera with a snapshot address.
type cam struct {
	picture []byte
	scheme  string // of the authentication; empty: none
	expired int    // so many nonces have run out when they are used

	mu   sync.Mutex // guards what follows
	asks []string   // paths, with the scheme of the credentials
}

const camUser, camPassword = "ad\"min", "pa:ss wörd"

func (c *cam) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	c.mu.Lock()
	c.asks = append(c.asks, strings.TrimSpace(r.URL.Path+" "+given))
	n := len(c.asks)
	c.mu.Unlock()
	if c.scheme != "" && !c.knows(r, fmt.Sprintf("nonce%d", n-1)) {
		challenge := fmt.Sprintf(`%s realm="IP Camera", nonce="nonce%d", qop="auth"`, c.scheme, n)
		if n-1 <= c.expired {
			challenge += ", stale=true"
		}
		w.Header().Add("WWW-Authenticate", challenge)
		http.Error(w, strings.Repeat("who are you? ", 100), http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Write(c.picture)
}

// knows tells whether a request is signed as it has to be.
func (c *cam) knows(r *http.Request, nonce string) bool {
	if c.scheme == "Basic" {
		user, password, ok := r.BasicAuth()
		return ok && user == camUser && password == camPassword
	}
	all := parseChallenges(r.Header.Values("Authorization"))
	if len(all) != 1 || all[0].params["nonce"] != nonce || len(c.asks) <= c.expired+1 {
		return false
	}
	p := all[0].params
	_, algorithm, _ := strings.Cut(c.scheme, "algorithm=")
	want := challenge{
		"digest", map[string]string{
			"realm": "IP Camera", "nonce": nonce, "qop": "auth", "algorithm": strings.Trim(algorithm, ","),
		},
	}.digest(camUser, camPassword, r.URL.RequestURI(), p["cnonce"])
	return parseChallenges([]string{want})[0].params["response"] == p["response"] && p["username"] == camUser
}

func (c *cam) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asks)
}

func TestFetchSignsIn(t *testing.T) {
	for _, tc := range []struct {
		name    string
		scheme  string
		expired int
		source  Source
		want    string // part of what is said; empty: the picture
		asks    []string
	}{
		{"an open camera", "", 0, Source{}, "", []string{"/snap"}},
		{"Basic", "Basic", 0, Source{Username: camUser, Password: camPassword}, "", []string{"/snap", "/snap Basic"}},
		{
			"Digest with MD5", "Digest", 0,
			Source{Username: camUser, Password: camPassword},
			"",
			[]string{"/snap", "/snap Digest"},
		},
		{
			"Digest with SHA-256", "Digest algorithm=SHA-256,", 0,
			Source{Username: camUser, Password: camPassword},
			"",
			[]string{"/snap", "/snap Digest"},
		},
		{
			"a nonce that has run out", "Digest", 1,
			Source{Username: camUser, Password: camPassword},
			"",
			[]string{"/snap", "/snap Digest", "/snap Digest"},
		},
		{
			"a wrong password is tried once", "Digest", 0,
			Source{Username: camUser, Password: "wrong"},
			"refuses the user name or the password",
			[]string{"/snap", "/snap Digest"},
		},
		{
			"no password is known", "Basic", 0,
			Source{},
			"wants a user name and a password",
			[]string{"/snap"},
		},
		{
			"a scheme that nobody knows", "Hawk", 0,
			Source{Username: camUser, Password: camPassword},
			"kind of authentication",
			[]string{"/snap"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &cam{picture: jpegOf(t, 16), scheme: tc.scheme, expired: tc.expired}
			server := httptest.NewServer(c)
			defer server.Close()
			tc.source.URL = server.URL + "/snap?channel=1"
			b, err := tc.source.fetch(t.Context())
			switch {
			case tc.want == "" && (err != nil || !bytes.Equal(b, c.picture)):
				t.Errorf("got %d bytes, %v", len(b), err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if !slices.Equal(c.asked(), tc.asks) {
				t.Errorf("asked %q, want %q", c.asked(), tc.asks)
			}
		})
	}
}

func TestFetchRefuses(t *testing.T) {
	picture := jpegOf(t, 16)
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	answer := func(kind string, b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Write(b)
		}
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/there" {
				w.Write(picture)
				return
			}
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	}
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		want   string // part of what is said; empty: the picture
		class  media.Class
	}{
		{"without a kind", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			w.Write(picture)
		}, "", 0},
		{"a kind with a parameter", answer(`image/jpeg; charset="x"`, picture), "", 0},
		{"a page", answer("text/html; charset=utf-8", []byte("<html>")), "no JPEG but text/html", media.ClassUnsupported},
		{"something that calls itself a JPEG", answer("image/jpeg", []byte("GIF89a")), "is no JPEG", media.ClassUnsupported},
		{"nothing", answer("image/jpeg", nil), "is no JPEG", media.ClassUnsupported},
		{"more than 8 MiB", func(w http.ResponseWriter, _ *http.Request) {
			for range 9 {
				w.Write(make([]byte, 1<<20))
			}
		}, "larger than 8 MiB", media.ClassUnsupported},
		{"9 MiB, as it says", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/jpeg")
			w.Header().Set("Content-Length", "9437184")
		}, "larger than 8 MiB", media.ClassUnsupported},
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/jpeg")
			w.Header().Set("Content-Length", "1000")
			w.Write(picture[:20])
		}, "not send its snapshot to the end", media.ClassNetwork},
		{"no such address", http.NotFound, "with status 404", media.ClassRefused},
		{"within the camera", redirect("/there"), "", 0},
		{"to another host", redirect("http://camera.example/there"), "to another host", media.ClassRefused},
		{"in a circle", redirect("/here"), "from address to address", media.ClassRefused},
		{"to a file", redirect("file:///etc/passwd"), "does not say where", media.ClassRefused},
		{"nowhere", redirect(""), "does not say where", media.ClassRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := httptest.NewServer(tc.answer)
			defer server.Close()
			b, err := Source{URL: server.URL + "/here?key=hunter2", Username: "u", Password: "hunter2"}.fetch(t.Context())
			switch {
			case tc.want == "" && (err != nil || !bytes.Equal(b, picture)):
				t.Errorf("got %d bytes, %v", len(b), err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || media.ClassOf(err) != tc.class):
				t.Errorf("got %v, want %s", err, tc.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

func TestFetchThatNobodyAnswers(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hung.Close()
	for name, tc := range map[string]struct {
		url, want string
		within    time.Duration
	}{
		"nobody is there":     {gone.URL, "cannot be reached", time.Minute},
		"it never answers":    {hung.URL, "in time", 100 * time.Millisecond},
		"no URL":              {"::", "no http or https URL", time.Minute},
		"a scheme of another": {"rtsp://127.0.0.1/", "no http or https URL", time.Minute},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), tc.within)
		_, err := Source{URL: tc.url}.fetch(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

func TestFetchTrusts(t *testing.T) {
	c := &cam{picture: jpegOf(t, 16)}
	quiet := func(h http.Handler) *httptest.Server {
		server := httptest.NewUnstartedServer(h)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		return server
	}
	server := quiet(c)
	defer server.Close()
	cert := server.Certificate()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	sum := sha256.Sum256(cert.Raw)
	down := quiet(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", strings.Replace(server.URL, "https", "http", 1))
		w.WriteHeader(http.StatusFound)
	}))
	defer down.Close()
	for name, tc := range map[string]struct {
		source Source
		want   string
	}{
		"a stranger":             {Source{URL: server.URL}, "not trusted"},
		"any":                    {Source{URL: server.URL, Insecure: true}, ""},
		"an authority":           {Source{URL: server.URL, CA: ca}, ""},
		"a pin":                  {Source{URL: server.URL, Fingerprint: hex.EncodeToString(sum[:])}, ""},
		"another pin":            {Source{URL: server.URL, Fingerprint: strings.Repeat("00", 32)}, "not trusted"},
		"no pin":                 {Source{URL: server.URL, Fingerprint: "x"}, "cannot be fetched"},
		"from https to http":     {Source{URL: down.URL, Insecure: true}, "from https to http"},
		"no TLS where it should": {Source{URL: strings.Replace(server.URL, "https", "http", 1)}, "status 400"},
	} {
		if _, err := tc.source.fetch(t.Context()); tc.want == "" && err != nil ||
			tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("image/jpeg", []byte{0xff, 0xd8, 0xff, 0xd9})
	f.Add("text/html\r\n", []byte("<html>"))
	f.Add("multipart/x-mixed-replace; boundary=\"\x00", []byte{})
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		b, err := read(&http.Response{
			Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1,
		})
		if err == nil && (!bytes.Equal(b, body) || !bytes.HasPrefix(b, []byte{0xff, 0xd8, 0xff})) {
			t.Fatalf("%x is taken", b)
		}
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is said", err)
		}
	})
}
