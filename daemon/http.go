package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// Limits of the HTTP servers: a client that is slow to ask costs one
// connection for a few seconds and no more.
const (
	headerTimeout = 5 * time.Second
	writeTimeout  = time.Minute // a segment to a slow viewer
	idleTimeout   = 30 * time.Second
	maxHeader     = 16 << 10
	closeTimeout  = 500 * time.Millisecond
)

// httpServer serves a handler on listeners that are bound.
type httpServer struct {
	listeners []net.Listener
	handler   http.Handler
	log       *slog.Logger
}

// listenHTTP binds addr, and the unix socket if one is named.
func listenHTTP(addr, socket string, handler http.Handler, log *slog.Logger) (*httpServer, error) {
	var lc net.ListenConfig
	s := &httpServer{handler: handler, log: log}
	if addr != "" {
		ln, err := lc.Listen(context.Background(), "tcp", addr)
		if err != nil {
			return nil, err
		}
		s.listeners = append(s.listeners, ln)
	}
	if socket == "" {
		return s, nil
	}
	if err := removeSocket(socket); err != nil {
		s.closeListeners()
		return nil, err
	}
	ln, err := lc.Listen(context.Background(), "unix", socket)
	if err != nil {
		s.closeListeners()
		return nil, err
	}
	// The next server binds the same path before this one lets go of it.
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	s.listeners = append(s.listeners, ln)
	return s, nil
}

// removeSocket removes a socket that an earlier process or server has left;
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
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
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
