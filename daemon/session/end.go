package session

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"time"

	"camrelay/media"
)

// errClosed is the cause of a session's context once it has been closed.
var errClosed = errors.New("the session has ended")

// ErrKicked is what every *KickError is, for errors.Is.
var ErrKicked = errors.New("terminated")

// KickError is the cause of a session's context when somebody has ended it.
type KickError struct {
	By     string // who
	Reason string // why; may be empty
	// HoldOff is how long it is to stay away, for who keeps it going; 0: nobody has
	// said.
	HoldOff time.Duration

	err error // what Reason says; may be nil
}

// Error names who and why.
func (k *KickError) Error() string {
	if k.Reason == "" {
		return "terminated by " + k.By
	}
	return "terminated by " + k.By + ": " + k.Reason
}

// Is makes every KickError an ErrKicked.
func (k *KickError) Is(target error) bool { return target == ErrKicked }

// Unwrap returns the error that KickPath was given.
func (k *KickError) Unwrap() error { return k.err }

// Ended is a session that has ended.
type Ended struct {
	Stat

	EndTime time.Time `json:"end_time"`
	Reason  string    `json:"reason"` // see End
	Detail  string    `json:"detail"` // the same for people; may be empty
}

// self is who closes a session that nobody has kicked.
const self = "camrelay"

// maxReason is the length in bytes of a text that may come from a peer.
const maxReason = 400

// End says in words why a session has ended: peer_closed, closed_by_us(WHO) or
// error:TEXT. closed_by_us is for a *KickError and its like in the chain of err:
// media.ErrClosedHere and a context that was cancelled. A nil error is a peer
// that has left.
func End(err error) string {
	if k, ok := errors.AsType[*KickError](err); ok {
		return "closed_by_us(" + k.By + ")"
	}
	switch {
	case errors.Is(err, media.ErrClosedHere), errors.Is(err, context.Canceled):
		return "closed_by_us(" + self + ")"
	case left(err):
		return "peer_closed"
	}
	return "error:" + cut(err.Error())
}

// left tells whether err means that the peer has closed the connection.
func left(err error) bool {
	for _, gone := range []error{
		media.ErrPeerClosed, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return err == nil
}

// detail is what End leaves out.
func detail(err error) string {
	if k, ok := errors.AsType[*KickError](err); ok {
		return k.Reason
	}
	if err == nil {
		return ""
	}
	return cut(err.Error())
}

func cut(text string) string {
	if len(text) > maxReason {
		return strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}
