package hls

import (
	"errors"
	"io"
	"net/http"

	"camrelay/media/httpdoor"
)

// parsePath splits the path of a request, /NAME/FILE. It tells false unless
// both are of the forms that there can be, so neither leads out of a directory.
func parsePath(path string) (name, file string, ok bool) {
	name, file, ok = httpdoor.Split(path)
	_, _, _, part := parsePart(file)
	return name, file, ok && (part || isPlaylist(file) || isOwn(file))
}

// Serves tells whether a request of that path is for a Server.
func Serves(path string) bool {
	_, _, ok := parsePath(path)
	return ok
}

// ServeHTTP serves /NAME/index.m3u8, /NAME/live.m3u8, /NAME/hls.m3u8,
// /NAME/ts.m3u8 and the files that these list.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, file, ok := parsePath(r.URL.Path)
	if httpdoor.Answered(w, r, ok, "Date, Content-Length, Content-Range") {
		return
	}
	s.serve(&counter{ResponseWriter: w}, r, name, file)
}

// fail answers with the status that err stands for.
func fail(w http.ResponseWriter, err error) {
	answer := httpdoor.AnswerTo(err)
	for known, status := range map[error]int{
		errDirective: http.StatusBadRequest, errSentAway: http.StatusGone, errEmpty: http.StatusServiceUnavailable,
	} {
		if errors.Is(err, known) {
			answer.Status, answer.Text = status, known.Error()
		}
	}
	if answer.Status != http.StatusServiceUnavailable && answer.Status != http.StatusTooManyRequests {
		answer.Retry = 0
	}
	answer.Write(w)
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
