package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
)

// Run publishes s until ctx is done, the stream ends or the session fails, and
// returns why; for ctx that is its cause. It connects once there is media to
// send, reports to p what the server's transport has taken, and stays
// connected while the camera is out. Its errors carry a class and never hold
// the stream key.
func Run(ctx context.Context, spec Spec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
	t, err := spec.parse()
	if err != nil {
		return err
	}
	awake := s.Units.Reader("rtmp", hub.LastStart) // the stream makes units while somebody reads them
	awake.Relax()
	defer awake.Close()
	video, audio, err := spec.tracks(ctx, s, log)
	if err != nil {
		return err
	}
	if _, _, err := awake.Next(ctx); err != nil {
		return ended(ctx, err)
	}
	timeout := spec.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	conn, err := spec.dial(ctx, t, timeout)
	if err != nil {
		return ended(ctx, fmt.Errorf("cannot connect: %w", err))
	}
	defer conn.Close()
	c := &session{
		conn: conn, timeout: timeout, progress: p, video: video, audio: audio,
		door: newDoor(t, video != nil && video.Codec == media.CodecH265),
	}
	if err := c.publish(ctx); err != nil {
		return ended(ctx, fmt.Errorf("cannot publish: %w", err))
	}
	log.Info("publishing", "remote", conn.RemoteAddr().String())
	units := s.Units.Reader("rtmp", hub.LastStart)
	units.Relax()
	defer units.Close()
	awake.Close()
	return c.run(ctx, units, flv.Config{
		Video: video, Audio: audio, Encoder: t.agent, Bitrate: s.Meter.Stats(time.Now()).Bitrate,
	})
}

// tracks returns the tracks to publish as soon as the camera has described
// them, and logs what is left out.
func (s Spec) tracks(ctx context.Context, st *hub.Stream, log *slog.Logger) (video, audio *media.Track, err error) {
	all, err := st.WaitTracks(ctx)
	if err != nil {
		return nil, nil, ended(ctx, err)
	}
	var wanted []*media.Track
	seen := false
	for _, t := range all {
		if t.Kind == media.KindVideo && !s.NoVideo || t.Kind == media.KindAudio && !s.NoAudio {
			wanted = append(wanted, t)
			seen = seen || t.Kind == media.KindVideo
		}
	}
	video, audio, omitted := flv.Choose(wanted, flv.EnhancedHEVC)
	if video == nil && (seen || audio == nil) {
		text := []string{"the camera has nothing that RTMP can carry"}
		for _, o := range omitted {
			text = append(text, o.String())
		}
		return nil, nil, unsupported(strings.Join(text, "; "))
	}
	for _, o := range omitted {
		log.Info("track left out", "track", o.Track.ID, "reason", o.String())
	}
	return video, audio, nil
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

// run sends media until the session ends.
func (c *session) run(ctx context.Context, units *hub.Reader[*media.Unit], cfg flv.Config) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var heard error
	wg.Go(func() { heard = c.listen(); cancel(heard) })
	stop := context.AfterFunc(inner, func() { _ = c.conn.SetWriteDeadline(time.Now().Add(linger / 2)) })
	sent := c.send(inner, units, flv.New(cfg))
	stop()
	switch {
	case ctx.Err() != nil, errors.Is(sent, hub.ErrEnded), errors.Is(sent, errChanged):
		c.leave()
	case closed(sent): // listen knows more: what the server said before
		_ = c.conn.SetReadDeadline(time.Now().Add(linger))
	default:
		_ = c.conn.Close()
	}
	wg.Wait()
	return reason(ctx, sent, heard)
}

// reason returns why a session ended of which both goroutines tell why they did.
func reason(ctx context.Context, sent, heard error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(sent, errStalled):
		return sent
	case errors.Is(heard, errStalled), closed(sent), errors.Is(sent, os.ErrDeadlineExceeded):
		return heard
	}
	return sent
}
