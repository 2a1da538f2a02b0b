package hls

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"

	"camrelay/media/hub"
)

// maxName is the length of the longest name of a stream.
const maxName = 128

// parsePath splits the path of a request, /NAME/FILE. It tells false unless
// both are of the forms that there can be, so neither leads out of a directory.
func parsePath(path string) (name, file string, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	slash := strings.LastIndexByte(path, '/')
	if !ok || slash < 0 || !isStream(path[:slash]) {
		return "", "", false
	}
	name, file = path[:slash], path[slash+1:]
	_, _, _, part := parsePart(file)
	return name, file, part || isPlaylist(file) || isOwn(file)
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

// ServeHTTP serves /NAME/index.m3u8, /NAME/live.m3u8, /NAME/hls.m3u8,
// /NAME/ts.m3u8 and the files that these list.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Date, Content-Length, Content-Range")
	name, file, ok := parsePath(r.URL.Path)
	if !ok {
		fail(w, hub.ErrNotFound) // names are nobody's business
		return
	}
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

// fail answers with the status that err stands for.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, hub.ErrNotFound), errors.Is(err, os.ErrNotExist):
		status = http.StatusNotFound
	case errors.Is(err, hub.ErrDenied):
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="camrelay", charset="UTF-8"`)
	case errors.Is(err, hub.ErrForbidden):
		status = http.StatusForbidden
	case errors.Is(err, errDirective):
		status = http.StatusBadRequest
	case errors.Is(err, errSentAway):
		status = http.StatusGone
	default:
		w.Header().Set("Retry-After", "2")
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, reason(err, status), status)
}

// reason returns what a viewer is told.
func reason(err error, status int) string {
	for _, known := range []error{errEmpty, errDirective, errSentAway} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return cmp.Or(hub.Reason(err), http.StatusText(status))
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
