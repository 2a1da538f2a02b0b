package still

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/hub"
)

// How long a failure is told to all who ask before it is tried again. Refused
// credentials are tried rarely: cameras lock out who does not know better.
const (
	keepFailure = 3 * time.Second
	keepRefusal = time.Minute
)

// noneError is that there is no such picture, whatever happens.
type noneError string

func (e noneError) Error() string { return string(e) }

func none(text string) error { return noneError(text) }

const noJPEG = "this camera has no JPEG of its own: set snapshot_url, or give it an MJPEG sub stream; " +
	"keyframe.mp4 shows its newest key frame"

// snapshot returns the JPEG of the camera of s.
func (h *Handler) snapshot(ctx context.Context, s *hub.Stream) (*picture, error) {
	src := h.cfg.Source(s.Name())
	good := func(it *item[Source]) bool { return time.Since(it.settled) < h.keep(it.err) }
	return h.jpegs.get(ctx, s.Name(), src, good, func(ctx context.Context) (*picture, error) {
		p, err := h.take(ctx, s, src)
		h.report(s.Name(), err)
		return p, err
	})
}

// report logs why a camera gives no picture, once until that changes.
func (h *Handler) report(name string, err error) {
	text := ""
	if _, never := errors.AsType[noneError](err); err != nil && !never {
		text = err.Error()
	}
	h.mu.Lock()
	before := h.failures[name]
	if h.failures[name] = text; text == "" {
		delete(h.failures, name)
	}
	h.mu.Unlock()
	switch text {
	case before:
	case "":
		h.log.Info("the camera gives its JPEG again", "cam", name)
	default:
		h.log.Warn("cannot get the camera's JPEG", "cam", name, "err", text)
	}
}

// keep returns how long a picture, or that there is none, is good for.
func (h *Handler) keep(err error) time.Duration {
	_, never := errors.AsType[noneError](err)
	switch {
	case err == nil:
		return h.cfg.KeepJPEG
	case never:
		return 0
	case media.ClassOf(err) == media.ClassCredentials:
		return keepRefusal
	}
	return keepFailure
}

// take gets a picture from the first source that there is.
func (h *Handler) take(ctx context.Context, s *hub.Stream, src Source) (*picture, error) {
	if src.URL != "" {
		ctx, cancel := context.WithTimeout(ctx, h.cfg.FetchTimeout)
		defer cancel()
		b, err := src.fetch(ctx)
		if err != nil {
			return nil, err
		}
		return newPicture(b, time.Now()), nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.FrameTimeout)
	defer cancel()
	if id, ok := trackOf(s); ok {
		return readJPEG(ctx, s, id)
	}
	if src.MJPEG == "" || h.cfg.Claim == nil {
		return nil, none(noJPEG)
	}
	sub, release, err := h.cfg.Claim(ctx, src.MJPEG)
	if err != nil {
		return nil, err
	}
	defer release()
	if id, ok := trackOf(sub); ok {
		return readJPEG(ctx, sub, id)
	}
	return nil, none(noJPEG)
}

// trackOf returns the ID of the MJPEG track of s.
func trackOf(s *hub.Stream) (id int, ok bool) {
	tracks, _ := s.Tracks()
	i := slices.IndexFunc(tracks, func(t *media.Track) bool { return t.Codec == media.CodecMJPEG })
	if i < 0 {
		return 0, false
	}
	return tracks[i].ID, true
}

// readJPEG returns the newest picture of an MJPEG track.
func readJPEG(ctx context.Context, s *hub.Stream, id int) (*picture, error) {
	r := s.Packets.Reader("still", hub.LastStart)
	defer r.Close()
	r.Relax()
	var dec depay.JPEG
	var broken error
	for {
		p, _, err := r.Next(ctx)
		if err != nil {
			if broken != nil && errors.Is(err, context.DeadlineExceeded) {
				return nil, bad(media.ClassUnsupported, "the camera's JPEG cannot be read", broken)
			}
			return nil, fmt.Errorf("%w: %w", hub.ErrUnavailable, err)
		}
		if p.Track.ID != id {
			continue
		}
		for packet := range p.RTP() {
			b, err := dec.Decode(packet)
			if b != nil {
				return newPicture(b, p.Wall), nil
			}
			if err != nil {
				broken = err
			}
		}
	}
}
