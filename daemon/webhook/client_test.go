package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"camrelay/media"
)

// urlSecret stands in the query of each hook's URL, and must never be seen.
const urlSecret = "s3cr3t-in-the-query"

var quiet = slog.New(slog.DiscardHandler)

func newClient(t *testing.T, spec Spec) *Client {
	t.Helper()
	if !strings.Contains(spec.URL, "?") {
		spec.URL += "?key=" + urlSecret
	}
	c, err := NewClient(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// checkSecrets fails if the error or the status says what nobody may know.
func checkSecrets(t *testing.T, c *Client, err error) {
	t.Helper()
	for _, secret := range []string{urlSecret, "hmac-key", "://user"} {
		if seen := fmt.Sprintf("%v %+v", err, c.Status()); strings.Contains(seen, secret) {
			t.Errorf("%q is in %s", secret, seen)
		}
	}
}

// handle is a hook with a fault.
type handle = func(w http.ResponseWriter, r *http.Request)

// hijack answers with raw bytes and closes the connection.
func hijack(raw string) handle {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return // the test sees no answer
		}
		io.WriteString(conn, raw) // the client may be gone
		conn.Close()
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// drip sends a byte now and then, for ever.
func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			io.WriteString(w, " ")                // the client may be gone
			http.NewResponseController(w).Flush() // the client may be gone
		case <-r.Context().Done():
			return
		}
	}
}

func answer(code int, body string) handle {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, body) // the client may be gone
	}
}

func redirect(to string) handle {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

func TestAskOfAFaultyHookDecidesNothing(t *testing.T) {
	rows := []struct {
		name string
		hook handle
		want string // in the error
	}{
		{"it hangs", hang, "no answer within 2s"},
		{"its answer drips", drip, "no answer within 2s"},
		{"it says 500", answer(500, `{"code":0,"close":true}`), "the hook answers 500"},
		{"it says 404", answer(404, `{"code":0,"close":true}`), "the hook answers 404"},
		{"it says 201", answer(201, `{"code":0,"close":true}`), "the hook answers 201"},
		{"it says HTML", answer(200, "<html><body>Welcome to nginx"), `no JSON object: "<html><body>Welcome to nginx"`},
		{"it says nothing", answer(200, ""), `no JSON object: ""`},
		{"it redirects to itself", redirect("/again?key=" + urlSecret), "the hook answers 307"},
		{"it redirects to nonsense", redirect("http://user:" + urlSecret + "@[::1%/"), "the hook answers 307"},
		{
			"it breaks off in the middle", hijack("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"code\":0,\"close\":true}"),
			"unexpected EOF",
		},
		{"it hangs up", hijack(""), "EOF"},
		{"it speaks no HTTP", hijack("http://user:" + urlSecret + "@host\r\n\r\n"), "malformed HTTP"},
		{"it has much to say before the first header", hijack(strings.Repeat("x", 60<<10) + "\r\n\r\n"), "malformed HTTP"},
		{"its header has no end", hijack("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), "header"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var calls atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				io.Copy(io.Discard, r.Body) // the client may be gone
				row.hook(w, r)
			}))
			t.Cleanup(srv.Close)
			c := newClient(t, Spec{URL: srv.URL + "/hook", Secret: "hmac-key", Timeout: 2 * time.Second})
			a, err := c.Ask(t.Context(), NoneReader{}, quiet)
			if a != (Answer{}) || err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%+v, %v; want nothing and %q", a, err, row.want)
			}
			if len(err.Error()) > 2*maxError {
				t.Errorf("the error has %d bytes: %v", len(err.Error()), err)
			}
			checkSecrets(t, c, err)
			st := c.Status()
			if st.Failed != 1 || st.Delivered != 0 || st.DegradedSince == nil || st.LastError != err.Error() {
				t.Errorf("status %+v", st)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

func TestHookThatIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it is closed at once
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := newClient(t, Spec{URL: "http://" + l.Addr().String()})
	_, err = c.Ask(t.Context(), NotFound{}, quiet)
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v, want refused", err)
	}
	checkSecrets(t, c, err)
}

// TestLongAnswerIsNotRead counts what a hook gets rid of, which is what the
// sockets hold.
func TestLongAnswerIsNotRead(t *testing.T) {
	const whole = 200 << 20
	var sent atomic.Int64
	var hooks sync.WaitGroup
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer hooks.Done()
		block := make([]byte, 64<<10)
		for sent.Load() < whole {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	c := newClient(t, Spec{URL: srv.URL})
	hooks.Add(2)
	reply, err := c.Post(t.Context(), "", 0)
	if !errors.Is(err, errTooLong) || len(reply.Body) != maxAnswer {
		t.Errorf("%d bytes, %v", len(reply.Body), err)
	}
	if _, err := c.Ask(t.Context(), 0, quiet); err == nil {
		t.Error("no error of an answer without an end")
	}
	hooks.Wait()
	if n := sent.Load(); n > whole/4 {
		t.Errorf("the hook got rid of %d MB", n>>20)
	}
}

func TestTrust(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(answer(200, `{"code":0}`)))
	t.Cleanup(srv.Close)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	cert := srv.Certificate()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	sum := sha256.Sum256(cert.Raw)
	pin := strings.ToUpper(hex.EncodeToString(sum[:]))
	pin = pin[:2] + ":" + pin[2:]
	wrong := strings.Repeat("00", 32)
	elsewhere := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	rows := []struct {
		name string
		spec Spec
		want string // in the error; empty: it works
	}{
		{"of an authority nobody knows", Spec{URL: srv.URL}, "certificate signed by unknown authority"},
		{"of the authority of ca_file", Spec{URL: srv.URL, CA: authority}, ""},
		{"of that authority, for another name", Spec{URL: elsewhere, CA: authority}, "certificate is valid for"},
		{"the pinned one, in capitals and with a colon", Spec{URL: srv.URL, Fingerprint: pin}, ""},
		{"the pinned one, for another name", Spec{URL: elsewhere, Fingerprint: pin}, ""},
		{"another than the pinned one", Spec{URL: srv.URL, Fingerprint: wrong}, "certificate is not the pinned one"},
		{"another than the pinned one, and insecure", Spec{URL: srv.URL, Fingerprint: wrong, Insecure: true}, "certificate"},
		{"any will do", Spec{URL: srv.URL, Insecure: true}, ""},
		{"none: it speaks plain HTTP", Spec{URL: strings.Replace(srv.URL, "https", "http", 1)}, "the hook answers 400"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := newClient(t, row.spec)
			_, err := c.Ask(t.Context(), 0, quiet)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("error %v, want %q", err, row.want)
			}
			checkSecrets(t, c, err)
		})
	}
	if _, err := NewClient(Spec{URL: srv.URL, CA: "nothing"}); err == nil {
		t.Error("authorities without a certificate are taken")
	}
	for _, bad := range []string{"", "http://", "http://[::1", "/hook?key=" + urlSecret} {
		if _, err := NewClient(Spec{URL: bad}); err == nil || strings.Contains(err.Error(), urlSecret) {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func TestRequestIsSignedAndWhole(t *testing.T) {
	var got *http.Request
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body) // nothing if it failed, which the test sees
	}))
	t.Cleanup(srv.Close)
	c := newClient(t, Spec{URL: srv.URL + "/a/b/?key=" + urlSecret, Secret: "hmac-key", Agent: "camrelay/1"})
	if _, err := c.Post(t.Context(), "Added", map[string]string{"a": "ü<"}); err != nil {
		t.Fatal(err)
	}
	if want := "/a/b/Added?key=" + urlSecret; got.RequestURI != want || got.Method != http.MethodPost {
		t.Errorf("%s %s, want POST %s", got.Method, got.RequestURI, want)
	}
	if got.Header.Get("Content-Type") != "application/json" || got.UserAgent() != "camrelay/1" {
		t.Errorf("header %v", got.Header)
	}
	stamp := got.Header.Get("Camrelay-Timestamp")
	mac := hmac.New(sha256.New, []byte("hmac-key"))
	fmt.Fprintf(mac, "%s.%s", stamp, body)
	if want := fmt.Sprintf("sha256=%x", mac.Sum(nil)); got.Header.Get("Camrelay-Signature") != want {
		t.Errorf("signature %q over %q, want %q", got.Header.Get("Camrelay-Signature"), body, want)
	}
	if sign("key", "1767225600", []byte(`{}`)) == sign("key", "1767225601", []byte(`{}`)) {
		t.Error("the time is not signed")
	}
	plain := newClient(t, Spec{URL: srv.URL, Secret: media.Secret("")})
	if _, err := plain.Post(t.Context(), "", 0); err != nil || got.Header.Get("Camrelay-Signature") != "" {
		t.Errorf("%v, signature without a secret %q", err, got.Header.Get("Camrelay-Signature"))
	}
}

func TestStatusTellsOutageAndRecovery(t *testing.T) {
	var code atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(int(code.Load()), `{"code":0}`)(w, nil)
	}))
	t.Cleanup(srv.Close)
	c := newClient(t, Spec{URL: srv.URL})
	for _, n := range []int32{200, 500, 500, 200} {
		code.Store(n)
		c.Ask(t.Context(), 0, quiet) // the status tells
		if degraded := c.Status().DegradedSince != nil; degraded != (n == 500) {
			t.Errorf("after %d degraded: %v", n, degraded)
		}
	}
	if st := c.Status(); st.Delivered != 2 || st.Failed != 2 || st.LastError != "the hook answers 500" {
		t.Errorf("status %+v", st)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Ask(gone, 0, quiet); !errors.Is(err, context.Canceled) || c.Status().Failed != 2 {
		t.Errorf("who asks is gone: %v, %+v", err, c.Status())
	}
}

// TestAnErrorTellsNoSecretOfTheAnswer: what a hook sends back may quote its own
// URL, or the credentials of a camera.
func TestAnErrorTellsNoSecretOfTheAnswer(t *testing.T) {
	const camera = "admin:camera-pass"
	rows := []struct {
		name string
		hook handle
	}{
		{
			"PHP: a warning after a source with escaped slashes",
			answer(200, `{"code":0,"source":"rtsp:\/\/`+camera+"@c\"}\nWarning"),
		},
		{"a source in an answer that breaks off", answer(200, `{"code":0,"source":"rtsp://`+camera)},
		{"a page that names its address", answer(200, "<p>POST /hook?key="+urlSecret)},
		{"a redirect that cannot be parsed", redirect("/%zz?key=" + urlSecret)},
		{"a redirect to a URL that cannot be parsed", redirect("http://" + camera + "@[::1%/?key=" + urlSecret)},
		{"a status line that names the address", hijack("POST /hook?key=" + urlSecret + " what?\r\n\r\n")},
		{"a status line with an escaped URL", hijack(`rtsp:\/\/` + camera + "\r\n\r\n")},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(row.hook))
			t.Cleanup(srv.Close)
			var log bytes.Buffer
			c := newClient(t, Spec{URL: srv.URL + "/hook"})
			_, err := c.Ask(t.Context(), 0, slog.New(slog.NewTextHandler(&log, nil)))
			if err == nil {
				t.Fatal("no error")
			}
			seen := fmt.Sprintf("%v %+v %s", err, c.Status(), &log)
			for _, secret := range []string{"camera-pass", urlSecret[:8]} {
				if strings.Contains(seen, secret) {
					t.Errorf("%q is in %s", secret, seen)
				}
			}
		})
	}
}
