package rtmp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/upstream"
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
	tracks, err := s.WaitTracks(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	video, audio, _, err := spec.choose(tracks, ^flv.Extras(0))
	if err != nil {
		return err
	}
	if _, _, err := awake.Next(ctx); err != nil {
		return ended(ctx, err)
	}
	spec.Timeout = cmp.Or(max(spec.Timeout, 0), defaultTimeout)
	for moves := (itinerary{}); ; {
		c, err := spec.open(ctx, t, needs(video, audio), p)
		if err == nil {
			log.Info("publishing", "remote", c.conn.RemoteAddr().String())
			p.MeasureRTT(func() time.Duration { return upstream.RTT(c.conn) })
			err = c.feed(ctx, spec, s, tracks, log)
			_ = c.conn.Close()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if t, err = moves.next(t, err, time.Now()); err != nil {
			return ended(ctx, err)
		}
		log.Info("moving on, as the server asks", "remote", t.address)
	}
}

// needs returns the extras that tracks need.
func needs(tracks ...*media.Track) flv.Extras {
	var e flv.Extras
	for _, t := range tracks {
		switch {
		case t == nil:
		case t.Codec == media.CodecH265:
			e |= flv.EnhancedHEVC
		case t.Codec == media.CodecOpus:
			e |= flv.EnhancedOpus
		}
	}
	return e
}

// open connects and asks to publish, once more for each challenge.
func (s Spec) open(ctx context.Context, t target, wants flv.Extras, p *media.Progress) (*session, error) {
	for {
		conn, err := s.dial(ctx, t, s.Timeout)
		if err != nil {
			return nil, fmt.Errorf("cannot connect: %w", err)
		}
		c := &session{
			sender: sender{conn: conn, timeout: s.Timeout},
			door:   newDoor(t, wants, s.extras), proof: proof{progress: p, settle: s.Timeout / 2},
		}
		if err = c.publish(ctx); err == nil {
			return c, nil
		}
		_ = conn.Close()
		challenge, ok := errors.AsType[*challengeError](err)
		if !ok || ctx.Err() != nil {
			return nil, fmt.Errorf("cannot publish: %w", err)
		}
		if t, err = t.answered(challenge); err != nil {
			return nil, fmt.Errorf("cannot publish: %w", err)
		}
	}
}

// feed publishes s on the open session until that ends.
func (c *session) feed(ctx context.Context, spec Spec, s *hub.Stream, tracks []*media.Track, log *slog.Logger) error {
	video, audio, omitted, err := spec.choose(tracks, c.door.takes)
	if err != nil {
		return err
	}
	for _, o := range omitted {
		log.Info("track left out", "track", o.Track.ID, "reason", o.String())
	}
	c.video, c.audio = video, audio
	units := s.Units.Reader("rtmp", hub.LastStart)
	units.Relax()
	defer units.Close()
	return c.run(ctx, units, flv.Config{
		Video: video, Audio: audio, Extras: c.door.takes,
		Encoder: c.door.target.agent, Bitrate: s.Meter.Stats(time.Now()).Bitrate,
	})
}

// choose returns the tracks to publish to a server that takes these extras.
func (s Spec) choose(all []*media.Track, takes flv.Extras) (video, audio *media.Track, out []flv.Omission, err error) {
	var wanted []*media.Track
	for _, t := range all {
		if t.Kind == media.KindVideo && !s.NoVideo || t.Kind == media.KindAudio && !s.NoAudio {
			wanted = append(wanted, t)
		}
	}
	return choose(wanted, takes)
}

// choose returns the tracks that a session carries, and what is left out. It
// fails if pictures are among the latter: nobody wants the sound alone of a
// camera.
func choose(tracks []*media.Track, takes flv.Extras) (video, audio *media.Track, out []flv.Omission, err error) {
	video, audio, out = flv.Choose(tracks, takes)
	pictures := slices.ContainsFunc(tracks, func(t *media.Track) bool { return t.Kind == media.KindVideo })
	if video != nil || !pictures && audio != nil {
		return video, audio, out, nil
	}
	text := []string{"the camera has nothing that RTMP can carry"}
	if pictures {
		text[0] = "the camera's pictures cannot go by RTMP"
		out = slices.DeleteFunc(out, func(o flv.Omission) bool { return o.Track.Kind != media.KindVideo })
	}
	for _, o := range out {
		text = append(text, o.String())
	}
	return nil, nil, nil, unsupported(strings.Join(text, "; "))
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
	sent := c.pour(inner, units, flv.New(cfg), c)
	stop()
	_, moves := errors.AsType[*moveError](sent)
	switch {
	case ctx.Err() != nil, errors.Is(sent, hub.ErrEnded), errors.Is(sent, errChanged), moves:
		c.leave(c.door.appendGoodbye(nil))
	case closed(sent): // listen knows more: what the server said before
		_ = c.conn.SetReadDeadline(time.Now().Add(linger))
	default:
		_ = c.conn.Close()
	}
	wg.Wait()
	if to := c.move.Load(); to != nil && ctx.Err() == nil {
		return &moveError{*to} // also if the server did not wait for it
	}
	return reason(ctx, sent, heard)
}

// errChanged ends a session whose pictures changed in a way that platforms do
// not follow; the next session begins anew.
var errChanged = errors.New("the camera's pictures changed: the publication begins anew")

// take notices new parameters, and the key frame at which to move on.
func (c *session) take(u *media.Unit) (*media.Unit, error) {
	if to := c.move.Load(); to != nil && u.Key && (u.Track.Kind == media.KindVideo || c.video == nil) {
		return nil, &moveError{*to}
	}
	now := &c.video
	if u.Track.Kind == media.KindAudio {
		now = &c.audio
	}
	old := *now
	if old == nil || old == u.Track || old.ID != u.Track.ID {
		return u, nil
	}
	*now = u.Track
	if changed(old, u.Track) {
		return nil, errChanged
	}
	return u, nil
}

// changed tells whether a decoder would have to be set up anew.
func changed(old, t *media.Track) bool {
	return old.Codec != t.Codec || old.Width != t.Width || old.Height != t.Height ||
		old.SampleRate != t.SampleRate || old.Channels != t.Channels
}

// sent reports what has been written.
func (c *session) sent(bytes, units int, lost uint64) error {
	c.proof.sent(c.conn, bytes, units, lost, time.Now())
	return nil
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
