package daemon

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/media"
	"camrelay/media/accept"
)

// TestRequestsAreLimited: as many as may be, and one more, on each port.
func TestRequestsAreLimited(t *testing.T) {
	for name, limits := range map[string]httpLimits{"viewers": viewerLimits(config.Listener{}), "API": apiLimits()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := rated(limits, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
				ask := func(remote string) *httptest.ResponseRecorder {
					w := httptest.NewRecorder()
					r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/x", http.NoBody)
					r.RemoteAddr = remote
					h.ServeHTTP(w, r)
					return w
				}
				for i := range int(limits.rates.One.Burst) {
					if w := ask(fmt.Sprint("192.0.2.1:", i)); w.Code != http.StatusOK {
						t.Fatalf("request %d: status %d", i, w.Code)
					}
				}
				w := ask("192.0.2.1:9")
				if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
					t.Errorf("one more: status %d, %v", w.Code, w.Header())
				}
				if w := ask("192.0.2.2:9"); w.Code != http.StatusOK {
					t.Errorf("another client: status %d", w.Code)
				}
				time.Sleep(time.Second)
				if w := ask("192.0.2.1:9"); w.Code != http.StatusOK {
					t.Errorf("after the wait: status %d", w.Code)
				}
				served := 0 // of a crowd
				for i := range int(2 * limits.rates.All.Burst) {
					if ask(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)).Code == http.StatusOK {
						served++
					}
				}
				if want := int(limits.rates.All.Burst) - 1; served != want && served != want+1 {
					t.Errorf("of a crowd %d were served, want %d", served, want)
				}
			})
		})
	}
}

// besieged is an API on a port, whose user is alice.
func besieged(t *testing.T) (addr string) {
	t.Helper()
	access := auth.New(slog.New(slog.DiscardHandler))
	if _, err := access.Set(auth.Rules{Users: []auth.User{
		{Name: "alice", PasswordHash: media.Secret(auth.Hash("correct horse")), Role: auth.RoleAdmin},
	}}); err != nil {
		t.Fatal(err)
	}
	handler := api.New(api.Config{Access: access})
	s, err := listenHTTP(accept.Bound, "127.0.0.1:0", "", apiLimits(), handler, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.listeners[0].Addr().String()
}

// attack sends head and then body again and again, n bytes in all, until that
// fails, and returns the status of the answer; 0: the connection was closed.
func attack(t *testing.T, addr, head, body string, n int) int {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		if _, err := io.WriteString(conn, head); err != nil {
			return
		}
		for n > 0 {
			sent, err := io.WriteString(conn, body)
			if err != nil {
				return
			}
			n -= sent
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute)) // it is open
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// memory returns what the process holds, and what it has ever asked for.
func memory() (held, ever uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse, m.TotalAlloc
}

// TestHostileRequestsAreRefused, and cost no memory: neither while they last
// nor after.
func TestHostileRequestsAreRefused(t *testing.T) {
	const size, much = 100 << 20, 16 << 20
	addr := besieged(t)
	login := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:correct horse")) + "\r\n"
	head := "POST /v1/pushes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + login
	block := strings.Repeat("x", 1<<20)
	friend := "GET /v1/config/schema HTTP/1.1\r\nHost: x\r\n" + login + "\r\n"
	if code := attack(t, addr, friend, "", 0); code != http.StatusOK {
		t.Fatalf("who is no enemy: status %d", code)
	}
	for _, row := range []struct {
		name, head, body string
		n                int
		want             map[int]bool
	}{
		{
			"a body of 100 MB", head + fmt.Sprintf("Content-Length: %d\r\n\r\n", size), block, size,
			map[int]bool{413: true, 0: true},
		},
		{
			"100 MB in chunks", head + "Transfer-Encoding: chunked\r\n\r\n", "100000\r\n" + block + "\r\n", size,
			map[int]bool{413: true, 0: true},
		},
		{
			"lists in lists", head + "Content-Length: 65536\r\n\r\n" + strings.Repeat("[", 65536), "", 0,
			map[int]bool{400: true},
		},
		{
			"objects in objects", head + "Content-Length: 65535\r\n\r\n" + strings.Repeat(`{"a":`, 65535/5), "", 0,
			map[int]bool{400: true},
		},
		{
			"headers of 100 MB", "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: ", block, size,
			map[int]bool{431: true, 0: true},
		},
		{
			"a line of 100 MB", "GET /", block, size, map[int]bool{431: true, 414: true, 400: true, 0: true},
		},
		{
			"a million headers", "GET /v1/status HTTP/1.1\r\nHost: x\r\n", "a: b\r\n", 6_000_000,
			map[int]bool{431: true, 0: true},
		},
		{
			"two lengths", head + "Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}", "", 0, map[int]bool{400: true},
		},
		{
			"two hosts", "GET /v1/status HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "", 0, map[int]bool{400: true},
		},
		{
			"a tunnel", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n", "", 0,
			map[int]bool{400: true, 404: true, 405: true},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			held, ever := memory()
			for range 3 {
				if code := attack(t, addr, row.head, row.body, row.n); !row.want[code] {
					t.Errorf("status %d", code)
				}
			}
			heldNow, everNow := memory()
			if heldNow > held+much || everNow > ever+much {
				t.Errorf("%d KiB more are held, %d KiB were asked for", (int64(heldNow)-int64(held))>>10, (everNow-ever)>>10)
			}
		})
	}
}

// TestGuessersCostLittle: guessing passwords of many names makes neither memory
// nor work without end, and nobody on the box is told which names there are.
func TestGuessersCostLittle(t *testing.T) {
	const guesses, much = 3000, 16 << 20
	addr := besieged(t)
	guess := func(user, password string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/v1/status", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(user, password)
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body) // so that the connection is used again
		res.Body.Close()
		if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		return res.StatusCode
	}
	guess("alice", "x")
	held, _ := memory()
	codes := make(map[int]int)
	for i := range guesses {
		user := "alice"
		if i%2 == 1 {
			user = fmt.Sprint("nobody", i)
		}
		codes[guess(user, fmt.Sprint("guess", i))]++
	}
	heldNow, _ := memory()
	if heldNow > held+much {
		t.Errorf("%d KiB more are held", (heldNow-held)>>10)
	}
	looked, refused := codes[http.StatusUnauthorized], codes[http.StatusTooManyRequests]
	if looked > 100 || looked == 0 || looked+refused != guesses {
		t.Errorf("statuses %v", codes)
	}
}

// TestSlowClients: those who send a byte now and then are let go, and the box
// serves others meanwhile (slowloris).
func TestSlowClients(t *testing.T) {
	limits := apiLimits()
	inBubble(t, limits, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, p *pipes) {
		const slow = 64
		began := time.Now()
		longest := make(chan time.Duration, slow)
		for i := range slow {
			ours, theirs := net.Pipe()
			p.conns <- theirs
			go func() {
				text := []string{"GET / HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"}[i%2]
				_, err := io.WriteString(ours, text)
				for err == nil {
					time.Sleep(time.Second)
					_, err = io.WriteString(ours, "a")
				}
				longest <- time.Since(began)
			}()
			go func() { _, _ = io.Copy(io.Discard, ours) }()
		}
		if res, _ := p.ask(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != http.StatusOK || time.Since(began) > 0 {
			t.Errorf("another client: status %d after %v", res.StatusCode, time.Since(began))
		}
		for range slow {
			if took := <-longest; took > bodyTimeout+2*time.Second {
				t.Errorf("a slow client was held for %v", took)
			}
		}
	})
}
