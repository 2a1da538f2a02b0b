package daemon

import (
	"context"
	"errors"
	"net"
	"net/url"

	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
)

// endRun closes the session of a run that has returned err, and returns what
// its supervisor is to make of it. ctx is the session's. A run that somebody
// has kicked has not failed; whether it may come back is for the ledger to say.
func endRun(ctx context.Context, s *session.Session, err error) error {
	cause := context.Cause(ctx)
	kicked, isKicked := errors.AsType[*session.KickError](cause)
	switch {
	case isKicked:
		err = &supervise.HaltError{Err: kicked}
	case errors.Is(cause, context.Canceled):
		err = cause
	case cause != nil: // whoever wanted the run does not want it any more
		err = media.EndedBy(media.ErrClosedHere, cause.Error())
	}
	s.Close(err)
	return err
}

// ports are the default ports of what is dialled.
var ports = map[string]string{"rtsp": "554", "rtsps": "322", "rtmp": "1935", "rtmps": "443"}

// remoteOf returns the host:port that a URL names, empty if it names none.
func remoteOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = ports[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
