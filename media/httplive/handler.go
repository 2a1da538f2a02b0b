package httplive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/httpdoor"
	"camrelay/media/hub"
)

// Why a session ends, besides the cause of its own context and hub.ErrEnded.
var (
	errClosed = media.EndedBy(media.ErrPeerClosed, "the viewer closed the connection")
	errAsked  = media.EndedBy(media.ErrPeerClosed, "the viewer asked for the headers only")
	errSlow   = errors.New("the viewer took no data for too long")
)

// Serves tells whether a request of that path is for a Handler.
func Serves(path string) bool {
	_, _, ok := parsePath(path)
	return ok
}

// parsePath splits the path of a request into the name of a stream and its
// form.
func parsePath(path string) (name string, f form, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	if !ok {
		return "", form{}, false
	}
	for _, end := range []struct {
		suffix string
		form   form
	}{{"/mpegts", formTS}, {"/live.flv", formFLV}, {".flv", formFLV}} {
		if name, ok := strings.CutSuffix(path, end.suffix); ok && httpdoor.IsStream(name) {
			return name, end.form, true
		}
	}
	return "", form{}, false
}

// ServeHTTP serves a stream for as long as the viewer wants it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	name, f, ok := parsePath(r.URL.Path)
	if httpdoor.Answered(w, r, ok, "") {
		return
	}
	leave, err := h.admit(name, r.RemoteAddr)
	if err != nil {
		fail(w, err)
		return
	}
	defer leave()
	if err := h.serve(w, r, name, f); err != nil {
		fail(w, err)
	}
}

// serve opens a session and sends the body. Its errors are from before the
// headers; what ends a body is the session's business.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, name string, f form) error {
	sub, err := h.open(r.Context(), httpdoor.Ask(r, name, f.protocol))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(sub.Context)
	defer cancel(nil)
	defer context.AfterFunc(r.Context(), func() { cancel(errClosed) })()
	src, err := h.begin(ctx, sub.Stream, f)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", hub.ErrUnavailable, context.Cause(ctx))
		}
		sub.Close(reason(ctx, err))
		return err
	}
	defer src.close()
	tracks, _ := sub.Stream.Tracks()
	sub.Notes(strings.Join(f.notes(tracks), "; "))
	out := newBody(w, r, f, sub, h.cfg.WriteTimeout)
	if r.Method == http.MethodHead {
		sub.Close(errAsked)
		return nil
	}
	done := out.interrupt(ctx)
	lost, err := h.send(ctx, src, out)
	done()
	err = reason(ctx, err)
	if errors.Is(err, hub.ErrEnded) {
		out.end()
	}
	if errors.Is(err, errSlow) {
		h.counts.slow.Add(1)
	}
	if lost > 0 {
		h.log.Info("the viewer was too slow", "cam", name, "session", sub.ID, "lost", lost)
	}
	sub.Close(err)
	return nil
}

// begin returns the source of a body, its first entries read.
func (h *Handler) begin(ctx context.Context, s *hub.Stream, f form) (source, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.StartTimeout)
	defer cancel()
	awake := s.Units.Reader(f.protocol, hub.LastStart) // the stream makes units while somebody reads them
	awake.Relax()
	defer awake.Close()
	src, err := f.open(ctx, s, awake)
	if err != nil {
		return nil, err
	}
	if _, err := src.read(ctx); err != nil {
		src.close()
		return nil, err
	}
	return src, nil
}

// send sends what src has read and all that follows, until one of both ends.
// lost is how many entries the viewer was too slow for.
func (h *Handler) send(ctx context.Context, src source, out *body) (lost uint64, err error) {
	for {
		if err := src.write(out); err != nil {
			return lost, err
		}
		if err := out.flush(); err != nil {
			return lost, err
		}
		n, err := src.read(ctx)
		lost += n
		h.counts.lost.Add(int64(n))
		if err != nil {
			return lost, err
		}
	}
}

// reason returns why a session ends that ctx or err has ended.
func reason(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errSlow):
		return errSlow
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return hub.ErrEnded
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w in time", hub.ErrUnavailable)
	case errors.Is(err, errWrite):
		return errClosed
	}
	return err
}

// fail answers with the status that err stands for.
func fail(w http.ResponseWriter, err error) {
	answer := httpdoor.AnswerTo(err)
	switch {
	case errors.Is(err, errStreamFull):
		answer.Text, answer.Retry = errStreamFull.Error(), 10*time.Second
	case media.ClassOf(err) == media.ClassUnsupported && answer.Status == http.StatusServiceUnavailable &&
		!errors.Is(err, hub.ErrUnavailable):
		answer = httpdoor.Answer{Status: http.StatusNotAcceptable, Text: err.Error()}
	}
	answer.Write(w)
}
