package daemon

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/media/accept"
)

// Limits of the HTTP servers: a client that is slow to ask costs one
// connection for a few seconds and no more.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	writeTimeout  = time.Minute // a segment to a slow viewer
	idleTimeout   = 30 * time.Second
	maxHeader     = 16 << 10
	closeTimeout  = 500 * time.Millisecond
)

// httpLimits are those of one server.
type httpLimits struct {
	conns  accept.Limits // of each of its listeners
	rates  auth.Rates    // of requests, on all of them
	body   int64         // bytes of a request's
	refuse func(w http.ResponseWriter, r *http.Request, code int, text string)
}

// viewerLimits are those of the viewers' port: no request for media has a body.
// A player uses up to six connections, and many may stand behind one proxy.
func viewerLimits(l config.Listener) httpLimits {
	return httpLimits{
		conns: accept.Limits{All: cmp.Or(l.MaxConnections, 1024), FromOne: cmp.Or(l.MaxPerAddress, 128)},
		// A player with low latency asks ten times a second, a browser at its start more often.
		rates: auth.Rates{One: auth.Bucket{Per: 500, Burst: 2000}, All: auth.Bucket{Per: 20_000, Burst: 40_000}},
		refuse: func(w http.ResponseWriter, _ *http.Request, code int, text string) {
			http.Error(w, text, code)
		},
	}
}

// apiLimits are those of the API.
func apiLimits() httpLimits {
	return httpLimits{
		conns: accept.Limits{All: 256, FromOne: 64}, body: api.MaxBody, refuse: api.Refuse,
		rates: auth.Rates{One: auth.Bucket{Per: 50, Burst: 200}, All: auth.Bucket{Per: 1000, Burst: 2000}},
	}
}

// httpServer serves a handler on listeners that are bound.
type httpServer struct {
	listeners []net.Listener
	handler   http.Handler
	tls       *tls.Config // nil: plain
	log       *slog.Logger
}

// secure makes the server speak TLS on all its listeners.
func (s *httpServer) secure(cfg *tls.Config) {
	if cfg == nil {
		return
	}
	s.tls = cfg
	for i, ln := range s.listeners {
		s.listeners[i] = tls.NewListener(ln, cfg)
	}
}

// listenHTTP binds addr, and the unix socket if one is named.
func listenHTTP(
	bind accept.Bind, addr, socket string, limits httpLimits, handler http.Handler, log *slog.Logger,
) (*httpServer, error) {
	s := &httpServer{handler: rated(limits, bodied(limits, handler)), log: log}
	if addr != "" {
		ln, err := bind(context.Background(), addr)
		if err != nil {
			return nil, err
		}
		s.listeners = append(s.listeners, accept.New(ln, limits.conns, nil))
	}
	if socket == "" {
		return s, nil
	}
	ln, err := listenUnix(context.Background(), socket)
	if err != nil {
		s.closeListeners()
		return nil, err
	}
	s.listeners = append(s.listeners, accept.New(ln, limits.conns, nil))
	return s, nil
}

// listenUnix binds a socket in the place of one that is left of a process that has
// gone. It is removed when it is closed.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	d := net.Dialer{Timeout: closeTimeout}
	if conn, err := d.DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close() // nothing was said
		return nil, takenError{path, syscall.EADDRINUSE}
	}
	if err := removeSocket(path); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, "unix", path)
}

// rated hands next no more requests than the limits allow: of one address, so that
// nobody takes the time of all, and of all, so that the box has some left for its
// cameras.
func rated(limits httpLimits, next http.Handler) http.Handler {
	limiter := auth.NewLimiter(limits.rates)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait := limiter.Take(r.RemoteAddr, time.Now())
		if wait == 0 {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		h.Set("Cache-Control", "no-store")
		if r.ContentLength != 0 {
			h.Set("Connection", "close") // its body is not read
		}
		limits.refuse(w, r, http.StatusTooManyRequests, "too many requests")
	})
}

// bodied hands next requests whose body is there as a whole, so that nothing
// waits for one that never comes: no handler, and not the server, which else
// reads what a handler has left before it answers. Only reading the body has a
// limit in time; what a handler then waits for or sends has not.
func bodied(limits httpLimits, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if code, text := readBody(w, r, limits.body); text != "" {
			w.Header().Set("Connection", "close") // the rest is not waited for
			limits.refuse(w, r, code, text)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readBody puts what it reads in the place of the request's body. If that is
// not whole it returns how to answer.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (code int, text string) {
	tooLarge := fmt.Sprintf("the body has more than %d bytes", limit)
	conn := http.NewResponseController(w)
	if err := conn.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return http.StatusInternalServerError, "the body cannot be read"
	}
	if r.ContentLength > limit {
		return http.StatusRequestEntityTooLarge, tooLarge
	}
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(r.Body, limit+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, fmt.Sprintf("the body has not come within %v", bodyTimeout)
	case err != nil:
		return http.StatusBadRequest, "the body cannot be read"
	case n > limit:
		return http.StatusRequestEntityTooLarge, tooLarge
	}
	// From here on the server reads to learn that the client has gone.
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return http.StatusInternalServerError, "the body cannot be read"
	}
	r.Body = io.NopCloser(&body)
	return 0, ""
}

// removeSocket removes a socket that an earlier process has left;
// it touches nothing else.
func removeSocket(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is no socket", path)
	}
	return os.Remove(path)
}

func (s *httpServer) closeListeners() {
	for _, ln := range s.listeners {
		// Nothing is served on it yet; there is nobody to tell.
		_ = ln.Close()
	}
}

// Run serves until ctx is done, then gives running requests a moment.
func (s *httpServer) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           s.handler,
		TLSConfig:         s.tls, // tells that HTTP/2 may come
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, len(s.listeners))
	for _, ln := range s.listeners {
		go func() { ended <- srv.Serve(ln) }()
	}
	var err error
	left := len(s.listeners)
	select {
	case <-ctx.Done():
	case err = <-ended:
		left--
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if e := srv.Shutdown(grace); e != nil {
		e = srv.Close()
		err = errors.Join(err, e)
	}
	for range left {
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}
