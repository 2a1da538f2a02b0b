package still

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

const (
	// maxName is the length of the longest name of a stream.
	maxName = 128
	// maxQuery bounds what strangers can make the Opener look at.
	maxQuery = 1024
)

// Why a session ends.
var (
	errShown = media.EndedBy(media.ErrClosedHere, "the picture was sent")
	errMany  = errors.New("too many requests for pictures")
)

// The files.
const (
	keyframeFile = "keyframe.mp4"
	snapshotFile = "snapshot.jpg"
)

// Serves tells whether a request of that path is for a Handler.
func Serves(path string) bool {
	_, _, ok := parsePath(path)
	return ok
}

// parsePath splits the path of a request, /NAME/FILE.
func parsePath(path string) (name, file string, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	slash := strings.LastIndexByte(path, '/')
	if !ok || slash < 0 || !isStream(path[:slash]) {
		return "", "", false
	}
	name, file = path[:slash], path[slash+1:]
	if file != keyframeFile && file != snapshotFile {
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

// ServeHTTP serves a picture.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Access-Control-Allow-Origin", "*")
	head.Set("Access-Control-Expose-Headers", "Age, Date, Content-Length, ETag, Last-Modified")
	name, file, ok := parsePath(r.URL.Path)
	if !ok {
		fail(w, hub.ErrNotFound)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		head.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		head.Set("Access-Control-Allow-Headers", "Authorization, Range")
		head.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		head.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if len(r.URL.RawQuery) > maxQuery {
		http.Error(w, "the query is too long", http.StatusRequestURITooLong)
		return
	}
	leave, err := h.admit(r.RemoteAddr)
	if err == nil {
		defer leave()
		err = h.serve(w, r, name, file)
	}
	if err != nil {
		fail(w, err)
	}
}

// admit takes a place for a request, who gives it back by leave. This machine
// may be a proxy in front of any number of viewers.
func (h *Handler) admit(remote string) (leave func(), err error) {
	addr, _, err := net.SplitHostPort(remote)
	if err != nil {
		addr = remote
	}
	ip, err := netip.ParseAddr(addr)
	local := err == nil && ip.Unmap().IsLoopback()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.under >= h.cfg.Requests || !local && h.byAddr[addr] >= h.cfg.PerAddr {
		return nil, errMany
	}
	h.under++
	h.byAddr[addr]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.under--
		if h.byAddr[addr]--; h.byAddr[addr] == 0 {
			delete(h.byAddr, addr)
		}
	}, nil
}

// serve opens a session for one picture. Its errors are from before the headers.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, name, file string) error {
	req := hub.Request{
		Path: name, Query: r.URL.Query(), Protocol: "still", Remote: r.RemoteAddr, UserAgent: r.UserAgent(),
	}
	req.User, req.Password, _ = r.BasicAuth()
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		req.Token = token
	}
	sub, err := h.open(r.Context(), req)
	if err != nil {
		return err
	}
	p, err := h.picture(r.Context(), sub, file)
	if err != nil {
		sub.Close(err)
		return err
	}
	head := w.Header()
	head.Set("ETag", p.etag)
	if file == snapshotFile {
		age := max(0, time.Since(p.made))
		head.Set("Content-Type", "image/jpeg")
		head.Set("Cache-Control", fmt.Sprintf("private, max-age=%d", int(h.cfg.KeepJPEG.Seconds())))
		head.Set("Age", strconv.Itoa(int(age.Seconds())))
	} else {
		head.Set("Content-Type", "video/mp4")
		head.Set("Cache-Control", "no-cache")
	}
	http.ServeContent(&counter{w, sub}, r, file, p.made, bytes.NewReader(p.body))
	sub.Close(errShown)
	return nil
}

// picture returns the picture of a session, unless that is ended before.
func (h *Handler) picture(ctx context.Context, sub *hub.Subscription, file string) (*picture, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(sub.Context, func() { cancel(context.Cause(sub.Context)) })()
	get := h.keyframe
	if file == snapshotFile {
		get = h.snapshot
	}
	pic, err := get(ctx, sub.Stream)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", hub.ErrUnavailable, context.Cause(ctx))
	}
	return pic, err
}

// counter counts what a session is sent.
type counter struct {
	http.ResponseWriter
	sub *hub.Subscription
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.sub.Sent.Add(uint64(n))
	return n, err
}

// fail answers with the status that err stands for. What is said is the reason
// that package hub has for viewers, or a sentence of this package.
func fail(w http.ResponseWriter, err error) {
	head := w.Header()
	status, text := http.StatusServiceUnavailable, cmp.Or(hub.Reason(err), hub.ErrUnavailable.Error())
	never, isNever := errors.AsType[noneError](err)
	bad, isBad := errors.AsType[*cameraError](err)
	switch {
	case errors.Is(err, hub.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, hub.ErrDenied):
		status = http.StatusUnauthorized
		head.Set("WWW-Authenticate", `Basic realm="camrelay", charset="UTF-8"`)
	case errors.Is(err, hub.ErrForbidden):
		status = http.StatusForbidden
	case isNever:
		status, text = http.StatusNotFound, never.Error()
	case isBad:
		text = bad.said
		head.Set("Retry-After", strconv.Itoa(int(bad.again().Seconds())))
	case errors.Is(err, errMany):
		text = errMany.Error()
		head.Set("Retry-After", "5")
	default:
		head.Set("Retry-After", "2")
	}
	head.Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}
