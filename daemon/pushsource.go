package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/daemon/relay"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/audio"
	"camrelay/media/hub"
	"camrelay/media/platform"
)

// sourceEvery is how often is looked why a camera that is out still is.
const sourceEvery = 2 * time.Second

// awaitSource waits until the camera delivers, and tells why it does not.
func awaitSource(ctx context.Context, path *relay.Path, waiting func(string)) error {
	for first := true; ; first = false {
		limit := sourceEvery
		if first {
			limit = 0
		}
		looking, cancel := context.WithTimeout(ctx, limit)
		err := path.AwaitMedia(looking)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		waiting(sourceReason(path))
	}
}

// sourceReason says why a camera delivers nothing.
func sourceReason(path *relay.Path) string {
	var why string
	switch st := path.State(); {
	case st.Phase == supervise.Stopped, st.Phase == supervise.Idle:
		why = path.Demand().Why
	case st.Phase == supervise.Active:
		why = "no media arrives"
	case st.Reason != "":
		why = st.Reason
	default:
		why = "it is being connected"
	}
	return "waits for camera " + path.Name() + ": " + why
}

// classified marks the failures of a push to which nothing came back.
func classified(err error) error {
	if err == nil || media.ClassOf(err) != media.ClassNetwork || !unreachable(err) {
		return err
	}
	return media.Fail(media.ClassUnreachable, err)
}

// unreachable tells whether an error is that of a broken way: the name could
// not be looked up, or nobody has answered a call.
func unreachable(err error) bool {
	var lookup *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &lookup):
		return !lookup.IsNotFound
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENETDOWN),
		errors.Is(err, syscall.EADDRNOTAVAIL):
		return true
	case errors.As(err, &op) && op.Op == "dial":
		return op.Timeout() || errors.Is(err, os.ErrDeadlineExceeded)
	}
	return false
}

// viewOf returns the stream as a target is to have it, and notes what becomes of
// its sound.
func (p *pushes) viewOf(m *push, to targetSpec, s *hub.Stream) (view *hub.Stream, release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mode := modeOf(m.spec.audio, m.terms.platform, to.scheme)
	if tracks, _ := s.Tracks(); suits(tracks, mode) {
		mode = audio.Mode{} // a view would only copy
	}
	view, end := audio.View(s, mode)
	m.view = view
	return view, func() {
		end()
		p.mu.Lock()
		defer p.mu.Unlock()
		if m.view == view {
			m.view = nil
		}
	}
}

// suits tells whether tracks are already as the mode would make them.
func suits(tracks []*media.Track, mode audio.Mode) bool {
	if mode.Needed || mode.Policy != audio.Auto && mode.Policy != audio.Transcode {
		return false
	}
	for _, t := range tracks {
		if t.Kind == media.KindAudio {
			return t.Codec == media.CodecAAC || t.Codec == media.CodecOpus && mode.Opus
		}
	}
	return true
}

// modeOf says what a target can carry: RTSP all that the camera sends, if any
// sound is wanted, a platform AAC, anybody else Opus too.
func modeOf(mode config.Audio, name config.Platform, scheme string) audio.Mode {
	if strings.HasPrefix(scheme, "rtsp") {
		return passed(mode)
	}
	return audio.Mode{
		Policy: audio.Policy(mode), Opus: name == config.PlatformGeneric, Needed: platform.NeedsSound(string(name)),
	}
}

// passed is the mode of what sends the packets as the camera does: it makes no
// sound, and may leave it out.
func passed(mode config.Audio) audio.Mode {
	if mode == config.AudioDrop {
		return audio.Mode{Policy: audio.Drop}
	}
	return audio.Mode{}
}

// sound says what becomes of the sound of a push. mu is held.
func (m *push) sound() api.PushAudio {
	a := api.PushAudio{Mode: string(m.spec.audio)}
	if m.view == nil {
		return a
	}
	st := audio.StateOf(m.view)
	a.In, a.Out, a.Reason = st.In, st.Out, st.Reason
	switch {
	case st.Out == "":
		a.State = "none"
	case st.Mode.Policy == audio.Silent, st.In == "":
		a.State = "silence"
	case st.In == st.Out:
		a.State = "copied"
	default:
		a.State = "made"
	}
	return a
}
