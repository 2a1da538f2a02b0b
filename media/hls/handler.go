package hls

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"camrelay/media"
	"camrelay/media/hub"
)

// maxName is the length of the longest name of a stream.
const maxName = 128

// compressible is the size from which on a playlist is worth compressing: it
// does not fit one packet anyway.
const compressible = 1200

// parsePath splits the path of a request, /NAME/FILE. It tells false unless
// both are of the forms that there can be, so neither leads out of a directory.
func parsePath(path string) (name, file string, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	slash := strings.LastIndexByte(path, '/')
	if !ok || slash < 0 || !isStream(path[:slash]) {
		return "", "", false
	}
	name, file = path[:slash], path[slash+1:]
	if file != multivariantName && file != mediaPlaylist && !isOwn(file) {
		return "", "", false
	}
	return name, file, true
}

// isStream tells whether name is of the form that names of streams have: words
// with slashes between them.
func isStream(name string) bool {
	word := 0 // its letters so far
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-':
			word++
		case c == '/' && word > 0:
			word = 0
		default:
			return false
		}
	}
	return word > 0 && len(name) <= maxName
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
	v, key := newVisit(r, name, file)
	ss, err := s.enter(ctx, v, key)
	if err != nil {
		fail(w, err)
		return
	}
	defer s.leave(ss)
	defer func() { ss.sub.Sent.Add(w.n) }()
	text, err := s.look(ctx, w, r, ss, file, v.suffix)
	if v.fresh && (err != nil || r.Method == http.MethodHead) {
		s.end(key, ss, errUntold)
	}
	switch {
	case err != nil:
		fail(w, err)
	case text != nil:
		s.servePlaylist(w, r, text)
	}
}

// errUntold ends the session of a player that was not told of it.
var errUntold = media.EndedBy(media.ErrClosedHere, "there was no playlist to tell the player of its session")

// look returns the playlist that the viewer asks for, or serves a file.
func (s *Server) look(
	ctx context.Context, w *counter, r *http.Request, ss *session, file, suffix string,
) (text []byte, err error) {
	p, err := s.packaging(ctx, ss.sub.Stream)
	if err != nil {
		return nil, err
	}
	if isOwn(file) {
		s.pace(ss, p.muxer.target())
		serveFile(w, r, p.muxer, file)
		return nil, nil
	}
	if err := p.wait(ctx, ss.gone); err != nil {
		return nil, err
	}
	text, target, err := p.muxer.playlist(file, suffix)
	if err != nil {
		return nil, err
	}
	s.pace(ss, target)
	return text, nil
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
