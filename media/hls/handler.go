package hls

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"camrelay/media/hub"
)

// maxName is the length of the longest name of a stream.
const maxName = 64

// compressible is the size from which on a playlist is worth compressing: it
// does not fit one packet anyway.
const compressible = 1200

// parsePath splits the path of a request, /NAME/FILE. It tells false unless
// both are of the forms that there can be, so neither leads out of a directory.
func parsePath(path string) (name, file string, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	if !ok {
		return "", "", false
	}
	name, file, ok = strings.Cut(path, "/")
	if !ok || !isStream(name) {
		return "", "", false
	}
	if file != multivariantName && file != mediaPlaylist && !isOwn(file) {
		return "", "", false
	}
	return name, file, true
}

// isStream tells whether name is of the form that names of streams have.
func isStream(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// ServeHTTP serves /NAME/index.m3u8, /NAME/hls.m3u8 and the files that these
// list.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, file, ok := parsePath(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Date, Content-Length, Content-Range")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Range")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if tooLong(r.URL) {
		http.Error(w, "the query is too long", http.StatusRequestURITooLong)
		return
	}
	s.serve(&counter{ResponseWriter: w}, r, name, file)
}

func (s *Server) serve(w *counter, r *http.Request, name, file string) {
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.StartTimeout)
	defer cancel()
	v, key := newVisit(r, name)
	ss, err := s.enter(ctx, v, key)
	if err != nil {
		fail(w, err)
		return
	}
	defer s.leave(ss)
	defer func() { ss.sub.Sent.Add(w.n) }()
	m, err := s.muxer(ctx, ss.sub.Stream)
	if err != nil {
		fail(w, err)
		return
	}
	if isOwn(file) {
		serveFile(w, r, m, file)
		return
	}
	if err := m.wait(ctx); err != nil {
		fail(w, err)
		return
	}
	text, target, err := m.playlist(file, v.suffix)
	if err != nil {
		fail(w, err)
		return
	}
	s.pace(ss, target)
	s.servePlaylist(w, r, text)
}

func (s *Server) servePlaylist(w *counter, r *http.Request, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/vnd.apple.mpegurl")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	if len(text) < compressible || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Length", strconv.Itoa(len(text)))
		if r.Method == http.MethodGet {
			w.Write(text) //nolint:errcheck,gosec // the viewer may leave at any time
		}
		return
	}
	h.Set("Content-Encoding", "gzip")
	if r.Method == http.MethodHead {
		return
	}
	z, ok := s.zip.Get().(*gzip.Writer)
	if !ok {
		return
	}
	defer s.zip.Put(z)
	z.Reset(w)
	z.Write(text) //nolint:errcheck,gosec // as above
	z.Close()     //nolint:errcheck,gosec // as above
}

// serveFile sends a segment from its file, by sendfile where the connection
// allows it.
func serveFile(w *counter, r *http.Request, m *Muxer, file string) {
	f, err := m.openFile(file)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "video/mp4")
	h.Set("Cache-Control", "max-age=3600, immutable")
	h.Set("ETag", strconv.Quote(file))
	http.ServeContent(w, r, file, info.ModTime(), f)
}

// fail answers with the status that err stands for.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, hub.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, hub.ErrDenied):
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="camrelay", charset="UTF-8"`)
	case errors.Is(err, hub.ErrForbidden):
		status = http.StatusForbidden
	default:
		w.Header().Set("Retry-After", "2")
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, reason(err, status), status)
}

// reason returns what a viewer is told: never more than a sentinel says.
func reason(err error, status int) string {
	for _, known := range []error{hub.ErrNotFound, hub.ErrDenied, hub.ErrForbidden, hub.ErrUnavailable, errEmpty} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return http.StatusText(status)
}

// wait returns when the first segment is complete.
func (m *Muxer) wait(ctx context.Context) error {
	select {
	case <-m.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: no segment is complete yet", hub.ErrUnavailable)
	}
}

// counter counts the bytes of a response and lets files go by sendfile.
type counter struct {
	http.ResponseWriter
	n uint64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n += uint64(n)
	return n, err
}

// ReadFrom makes io.Copy use the ReadFrom of the connection.
func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.n += uint64(n)
	return n, err
}
