package httpdoor

import (
	"net/http"
	"strings"

	"camrelay/media/hub"
)

const (
	// MaxName is the length of the longest name of a stream.
	MaxName = 128
	// maxQuery bounds what strangers can make an Opener look at, and what is
	// repeated in playlists.
	maxQuery = 1024
)

// IsStream tells whether name is of the form that names of streams have: words
// with slashes between them.
func IsStream(name string) bool {
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
	return word > 0 && len(name) <= MaxName
}

// Split splits the path of a request, /NAME/FILE. It tells false unless the
// first is of the form of a stream's name. The file may be anything without a
// slash.
func Split(path string) (name, file string, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	slash := strings.LastIndexByte(path, '/')
	if !ok || slash < 0 || !IsStream(path[:slash]) {
		return "", "", false
	}
	return path[:slash], path[slash+1:], true
}

// Answered sets the headers that every answer of an output has, so that pages
// from elsewhere may play it (Fetch standard §3.2), and answers requests that
// ask for no media: preflights, other methods, queries that are too long. It
// tells whether it did. There is nothing at a path that is not known. exposed
// are the headers that scripts may read.
func Answered(w http.ResponseWriter, r *http.Request, known bool, exposed string) bool {
	head := w.Header()
	head.Set("Access-Control-Allow-Origin", "*")
	if exposed != "" {
		head.Set("Access-Control-Expose-Headers", exposed)
	}
	switch {
	case !known:
		AnswerTo(hub.ErrNotFound).Write(w) // names are nobody's business
	case r.Method == http.MethodOptions:
		head.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		head.Set("Access-Control-Allow-Headers", "Authorization, Range")
		head.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		head.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case len(r.URL.RawQuery) > maxQuery:
		http.Error(w, "the query is too long", http.StatusRequestURITooLong)
	default:
		return false
	}
	return true
}

// Ask returns what a request tells about who asks for the stream of that name.
func Ask(r *http.Request, name, protocol string) hub.Request {
	req := hub.Request{
		Path: name, Query: r.URL.Query(), Protocol: protocol, Remote: r.RemoteAddr, UserAgent: r.UserAgent(),
	}
	req.User, req.Password, _ = r.BasicAuth()
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		req.Token = token
	}
	return req
}
