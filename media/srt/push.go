//go:build cgo

package srt

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// Run pushes s to the listener until something ends it, and returns why; for
// ctx that is its cause, at the latest a second after. It connects once there
// is media to send, begins with a key frame that is new, and stays connected
// while the camera is out. p is told of media once the peer acknowledges it.
// Errors carry a class and hold no secret.
//
// Where the Spec says Listen it waits for a receiver to call, for as long as it
// takes, and sends to that one. Others are refused meanwhile. When the receiver
// leaves the push ends, and the port is free until the next run.
func (c *Caller) Run(ctx context.Context, spec Spec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
	if err := spec.Validate(); err != nil {
		return media.Fail(media.ClassUnsupported, err)
	}
	connect, peer := c.dial, "the upstream"
	if spec.Listen {
		connect, peer = answer, "the receiver"
	} else {
		awake, _, err := ready(ctx, s)
		if err != nil {
			return ended(ctx, err)
		}
		defer awake.Close()
	}
	l, hangUp, err := connect(ctx, spec)
	if err != nil {
		return ended(ctx, err)
	}
	defer hangUp()
	log.Info("connected")
	r, release, err := attach(ctx, s)
	if err != nil {
		return ended(ctx, err)
	}
	defer release()
	w := newSender(l, peer, spec.timeout(), p.Sent)
	w.fresh = fresh
	p.MeasureRTT(func() time.Duration { return time.Duration(w.rtt.Load()) })
	err = ended(ctx, w.run(ctx, r))
	log.Info("disconnected", "rtt", w.quality.rtt, "retransmitted", w.quality.retransmitted, "dropped", w.quality.dropped)
	return err
}

// ended returns the cause of ctx if that is done, else err.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) {
		return hub.ErrEnded
	}
	return err
}
