package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"camrelay/daemon/relay"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
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

// audioState is what becomes of the sound of a push.
type audioState struct {
	state  string
	reason string
}

// viewOf returns the stream as a target is to have it.
func (p *pushes) viewOf(_ *push, _ targetSpec, s *hub.Stream) (view *hub.Stream, release func()) {
	return s, func() {}
}
