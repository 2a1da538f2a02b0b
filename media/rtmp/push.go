package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
)

const (
	maxWrite = 128 << 10   // bytes gathered for one write, one message more or less
	linger   = time.Second // for goodbye; half of it for a write that was going on before
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
	video, audio, omitted := flv.Choose(wanted, true)
	if video == nil && (seen || audio == nil) {
		text := "the camera has nothing that RTMP can carry"
		for _, o := range omitted {
			text += "; " + o.String()
		}
		return nil, nil, unsupported(text)
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

// session is one publication.
type session struct {
	conn         net.Conn
	timeout      time.Duration
	door         *door
	progress     *media.Progress
	video, audio *media.Track // as in the newest units

	batch batch
	out   net.Buffers // what a write has left of the batch
	lost  uint64      // units not reported yet
}

// publish talks to the server until it takes media.
func (c *session) publish(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Now()) })()
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	if err := c.door.start(); err != nil {
		return err
	}
	buf := make([]byte, readSize)
	for {
		if err := c.answer(); err != nil {
			return err
		}
		if c.door.phase == publishing {
			return c.conn.SetDeadline(time.Time{})
		}
		n, err := c.conn.Read(buf)
		if n > 0 {
			err = c.door.input(buf[:n], time.Now())
		}
		if err != nil {
			return c.unpublished(err)
		}
	}
}

// readSize is that of the buffer for what the server says.
const readSize = 4 << 10

// unpublished explains why a connection ended before the publication.
func (c *session) unpublished(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the server did not answer within %v", c.timeout)
	case !closed(err):
		return err
	case c.door.phase == connecting:
		return busy("the server closed the connection when asked for the application: does it exist?")
	case c.door.phase == asking:
		return busy("the server closed the connection when asked to publish: is the stream key right and not in use?")
	}
	return errClosed
}

// errClosed is the end of a session that the server did not explain.
var errClosed = errors.New("the server closed the connection")

// early is how soon after a publication began the end of the connection means
// that it was not wanted: some servers accept it before they look who asks.
const early = 3 * time.Second

func busy(text string) error { return media.Fail(media.ClassBusy, errors.New(text)) }

// closed tells whether err means that the other side closed the connection.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// answer sends what the door has to say.
func (c *session) answer() error {
	if len(c.door.reply) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.door.reply)
	c.door.reply = c.door.reply[:0]
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

// listen reads what the server says until the connection ends, and answers.
func (c *session) listen() error {
	begin := time.Now()
	buf := make([]byte, readSize)
	for {
		n, err := c.conn.Read(buf)
		if n > 0 {
			err = c.door.input(buf[:n], time.Now())
		}
		if err == nil {
			err = c.answer()
		}
		switch {
		case err == nil:
		case closed(err) && time.Since(begin) < early:
			return busy("the server closed the connection at once after it had agreed: may this key publish?")
		case closed(err):
			return errClosed
		default:
			return stalled(err)
		}
	}
}

// errStalled is the end of a session whose server took nothing any more.
var errStalled = errors.New("the server does not take data")

// stalled makes errStalled of the kernel's word for it (TCP_USER_TIMEOUT),
// which only one of two calls on a connection gets.
func stalled(err error) error {
	if errors.Is(err, syscall.ETIMEDOUT) {
		return errStalled
	}
	return err
}

// send writes units until ctx is done, the stream ends or a write fails.
func (c *session) send(ctx context.Context, units *hub.Reader[*media.Unit], mux *flv.Muxer) error {
	c.batch.stream, c.batch.copies = c.door.stream, worthCopying
	if _, plain := c.conn.(*net.TCPConn); !plain {
		c.batch.copies = 1 << 30 // one write makes one record
	}
	var in [64]*media.Unit
	var tags []flv.Tag
	for {
		n, lost, err := units.Read(ctx, in[:])
		if err != nil {
			if err := c.sendTags(ctx, mux.Flush(nil)); err != nil {
				return err
			}
			return ended(ctx, err) // the cause of ctx may be what listen returned
		}
		c.lost += lost
		tags = tags[:0]
		for i, u := range in[:n] {
			if err := c.follow(u); err != nil {
				return err
			}
			if i == 0 && lost > 0 && !u.Gap {
				g := *u
				g.Gap = true
				u = &g
			}
			tags = mux.Tags(u, tags)
		}
		clear(in[:n])
		err = c.sendTags(ctx, tags)
		clear(tags)
		if err != nil {
			return err
		}
	}
}

// errChanged ends a session whose pictures changed in a way that platforms do
// not follow; the next session begins anew.
var errChanged = errors.New("the camera's pictures changed: the publication begins anew")

// follow notices new parameters.
func (c *session) follow(u *media.Unit) error {
	now := &c.video
	if u.Track.Kind == media.KindAudio {
		now = &c.audio
	}
	old := *now
	if old == nil || old == u.Track || old.ID != u.Track.ID {
		return nil
	}
	*now = u.Track
	if old.Codec != u.Track.Codec || old.Width != u.Track.Width || old.Height != u.Track.Height ||
		old.SampleRate != u.Track.SampleRate || old.Channels != u.Track.Channels {
		return errChanged
	}
	return nil
}

// sendTags writes tags with as few calls as their size allows.
func (c *session) sendTags(ctx context.Context, tags []flv.Tag) error {
	for i := range tags {
		c.batch.add(&tags[i])
		if c.batch.size >= maxWrite || i == len(tags)-1 {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes the batch and counts it as sent.
func (c *session) flush(ctx context.Context) error {
	c.out = c.batch.buffers()
	if err := c.write(ctx); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			err = errStalled
		}
		return fmt.Errorf("cannot send media: %w", stalled(err))
	}
	c.progress.Sent(c.batch.size, c.batch.units, c.lost)
	c.lost = 0
	c.batch.reset()
	return nil
}

// write writes c.out. It fails when nothing moved within the timeout, however
// long all of it takes, or soon after ctx is done.
func (c *session) write(ctx context.Context) error {
	if _, plain := c.conn.(*net.TCPConn); !plain {
		return c.writePieces(ctx)
	}
	for {
		if err := c.extend(ctx); err != nil {
			return err
		}
		n, err := c.out.WriteTo(c.conn)
		if err == nil {
			return c.conn.SetWriteDeadline(time.Time{}) // listen may write at any time later
		}
		if n == 0 || ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// writePieces is write for TLS, where a write that has timed out cannot be
// taken up again.
func (c *session) writePieces(ctx context.Context) error {
	const piece = 32 << 10
	for len(c.out) > 0 {
		b := c.out[0]
		n := min(len(b), piece)
		if err := c.extend(ctx); err != nil {
			return err
		}
		if _, err := c.conn.Write(b[:n]); err != nil {
			return err
		}
		if c.out[0] = b[n:]; n == len(b) {
			c.out = c.out[1:]
		}
	}
	return c.conn.SetWriteDeadline(time.Time{})
}

// extend gives the next write its time, a short one once ctx is done.
func (c *session) extend(ctx context.Context) error {
	if ctx.Err() == nil {
		if err := c.conn.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return err
		}
	}
	if ctx.Err() != nil { // also if that happened between the two
		return c.conn.SetWriteDeadline(time.Now().Add(linger / 2))
	}
	return nil
}

// leave ends the publication as the protocol wants it and gives the server a
// moment to close the connection, which ends listen.
func (c *session) leave() {
	_ = c.conn.SetDeadline(time.Now().Add(linger))
	if len(c.out) > 0 { // a message is cut short: nothing can follow it
		_ = c.conn.Close()
		return
	}
	if _, err := c.conn.Write(c.door.appendGoodbye(nil)); err != nil {
		_ = c.conn.Close()
		return
	}
	if h, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite()
	}
}
