package daemon

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/config"
	"camrelay/media/accept"
)

// pipes is a listener without a network, for tests with a clock of their own.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

// ask sends the text on a connection of its own and returns the answer.
func (p *pipes) ask(t *testing.T, text string) (*http.Response, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	p.conns <- theirs
	go func() { _, _ = io.WriteString(ours, text) }() // who reads no body reads not all of it
	res, err := http.ReadResponse(bufio.NewReader(ours), nil)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return res, ours
}

// inBubble serves the handler in a bubble of synctest.
func inBubble(t *testing.T, limits httpLimits, handler http.HandlerFunc, test func(t *testing.T, p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		s := &httpServer{
			listeners: []net.Listener{accept.New(p, limits.conns, nil)},
			handler:   bodied(limits, handler), log: slog.New(slog.DiscardHandler),
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		test(t, p)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestBodiesThatNeverCome: each request is answered, and its connection ends.
func TestBodiesThatNeverCome(t *testing.T) {
	const head = " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n"
	for _, row := range []struct {
		name   string
		limits httpLimits
		text   string
		want   int
		after  time.Duration // until the answer
	}{
		{"a viewer's POST", viewerLimits(config.Listener{}), "POST /" + head + "Content-Length: 1000\r\n\r\n", 413, 0},
		{
			"a viewer's GET", viewerLimits(config.Listener{}),
			"GET /gate/index.m3u8" + head + "Content-Length: 1000\r\n\r\n", 413, 0,
		},
		{"a viewer's chunks", viewerLimits(config.Listener{}), "POST /" + chunked, 408, bodyTimeout},
		{"a viewer's empty body", viewerLimits(config.Listener{}), "POST /" + head + "Content-Length: 0\r\n\r\n", 200, 0},
		{"a call's that never comes", apiLimits(), "POST /v1/x" + head + "Content-Length: 9\r\n\r\n", 408, bodyTimeout},
		{"a call's that comes in part", apiLimits(), "POST /v1/x" + head + "Content-Length: 9\r\n\r\n{", 408, bodyTimeout},
		{"a call's that is too large", apiLimits(), "POST /v1/x" + head + "Content-Length: 65537\r\n\r\n", 413, 0},
		{
			"a call's chunks that are too large", apiLimits(),
			"POST /v1/x" + chunked + "10001\r\n" + strings.Repeat("x", 0x10001) + "\r\n", 413, 0,
		},
		{"a call's chunks that are none", apiLimits(), "POST /v1/x" + chunked + "nonsense\r\n", 400, 0},
		{"a call's that is whole", apiLimits(), "POST /v1/x" + head + "Content-Length: 2\r\n\r\n{}", 200, 0},
		{"a call's in chunks", apiLimits(), "POST /v1/x" + chunked + "2\r\n{}\r\n0\r\n\r\n", 200, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			// The handler never looks at the body.
			inBubble(t, row.limits, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, p *pipes) {
				began := time.Now()
				res, conn := p.ask(t, row.text)
				if took := time.Since(began); res.StatusCode != row.want || took != row.after {
					t.Errorf("status %d after %v, want %d after %v", res.StatusCode, took, row.want, row.after)
				}
				_, _ = io.Copy(io.Discard, conn) // until it is closed
				if took := time.Since(began); took > idleTimeout+closeTimeout {
					t.Errorf("the connection was held for %v", took)
				}
			})
		})
	}
}

// TestWhatLastsIsNotCutShort: the limit of the body is none of the answer.
func TestWhatLastsIsNotCutShort(t *testing.T) {
	const long = 6 * bodyTimeout
	lasts := func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		w.WriteHeader(http.StatusOK)
		for range 6 {
			if err := errors.Join(conn.SetWriteDeadline(time.Now().Add(2*bodyTimeout)), conn.Flush()); err != nil {
				t.Error(err)
			}
			select {
			case <-time.After(bodyTimeout):
			case <-r.Context().Done():
				t.Error("the request was given up")
				return
			}
			_, _ = io.WriteString(w, ".")
		}
	}
	const head = "POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	for name, text := range map[string]string{
		"without a body": head + "\r\n",
		"with a body":    head + "Content-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, apiLimits(), lasts, func(t *testing.T, p *pipes) {
				began := time.Now()
				res, _ := p.ask(t, text)
				body, err := io.ReadAll(res.Body)
				if took := time.Since(began); err != nil || string(body) != "......" || took != long {
					t.Errorf("%q, %v after %v", body, err, took)
				}
			})
		})
	}
}

// TestWhoGoesIsNoticed: a handler that waits learns that its client has gone,
// also one that has sent a body.
func TestWhoGoesIsNoticed(t *testing.T) {
	gone := make(chan struct{})
	waits := func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(gone)
	}
	log := slog.New(slog.DiscardHandler)
	s, err := listenHTTP(accept.Bound, "127.0.0.1:0", "", apiLimits(), http.HandlerFunc(waits), log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	<-gone
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestConnectionsAreLimited: who is one too many is closed, on each port.
func TestConnectionsAreLimited(t *testing.T) {
	for name, limits := range map[string]httpLimits{"viewers": viewerLimits(config.Listener{}), "API": apiLimits()} {
		t.Run(name, func(t *testing.T) {
			limits.conns.All = 3
			inBubble(t, limits, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, p *pipes) {
				var held []net.Conn
				for range 3 {
					ours, theirs := net.Pipe()
					p.conns <- theirs
					held = append(held, ours)
				}
				ours, theirs := net.Pipe()
				p.conns <- theirs
				began := time.Now()
				if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) > 0 {
					t.Errorf("the fourth: %v after %v", err, time.Since(began))
				}
				// Those who say nothing are let go.
				if _, err := held[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) != headerTimeout {
					t.Errorf("the first: %v after %v", err, time.Since(began))
				}
				synctest.Wait()
				if res, _ := p.ask(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != http.StatusOK {
					t.Errorf("status %d", res.StatusCode)
				}
			})
		})
	}
}
