package still

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"camrelay/media"
	"camrelay/media/accept"
	"camrelay/media/httpdoor"
	"camrelay/media/hub"
)

// Why a session ends.
var (
	errShown = media.EndedBy(media.ErrClosedHere, "the picture was sent")
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
	name, file, ok = httpdoor.Split(path)
	return name, file, ok && (file == keyframeFile || file == snapshotFile)
}

// ServeHTTP serves a picture.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, file, ok := parsePath(r.URL.Path)
	if httpdoor.Answered(w, r, ok, "Age, Date, Content-Length, ETag, Last-Modified") {
		return
	}
	leave, err := h.places.Take(accept.AddrOf(r.RemoteAddr))
	if err == nil {
		defer leave()
		err = h.serve(w, r, name, file)
	}
	if err != nil {
		fail(w, err)
	}
}

// serve opens a session for one picture. Its errors are from before the headers.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, name, file string) error {
	sub, err := h.open(r.Context(), httpdoor.Ask(r, name, "still"))
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
	answer := httpdoor.AnswerTo(err)
	if never, ok := errors.AsType[noneError](err); ok {
		answer = httpdoor.Answer{Status: http.StatusNotFound, Text: never.Error()}
	} else if bad, ok := errors.AsType[*cameraError](err); ok {
		answer = httpdoor.Answer{Status: http.StatusServiceUnavailable, Text: bad.said, Retry: bad.again()}
	}
	answer.Write(w)
}
