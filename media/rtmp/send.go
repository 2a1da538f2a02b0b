package rtmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
)

const maxWrite = 128 << 10 // bytes gathered for one write, one message more or less

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
	if c.unread() {
		return fmt.Errorf("cannot send media: %w", errStalled)
	}
	if err := c.write(ctx); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			err = errStalled
		}
		return fmt.Errorf("cannot send media: %w", stalled(err))
	}
	c.watch.unacked += c.batch.size
	c.progress.Sent(c.batch.size, c.batch.units, c.lost)
	c.lost = 0
	c.batch.reset()
	return nil
}

// unread tells whether the server has stopped reading. Some stop to acknowledge
// and read on: then the kernel has nothing left to send.
func (c *session) unread() bool {
	return c.watch.stalled(c.door.acks.Load(), time.Now(), c.timeout) && unsent(c.conn) > 0
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
		acks := c.door.acks.Load()
		n, err := c.out.WriteTo(c.conn)
		if err == nil {
			return c.conn.SetWriteDeadline(time.Time{}) // listen may write at any time later
		}
		moved := n > 0 || acks != c.door.acks.Load()
		if !moved || ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded) || c.unread() {
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
		begin := time.Now()
		if !c.watch.over.IsZero() && c.watch.acks == c.door.acks.Load() {
			begin = c.watch.over
		}
		if err := c.conn.SetWriteDeadline(begin.Add(c.timeout)); err != nil {
			return err
		}
	}
	if ctx.Err() != nil { // also if that happened between the two
		return c.conn.SetWriteDeadline(time.Now().Add(linger / 2))
	}
	return nil
}

// watch tells from the acknowledgements (§5.4.3) when a server has stopped
// reading, which the kernel's buffers on both sides hide for seconds. Servers
// that acknowledge never, or once, are not watched; those with a window of
// their own are measured by it.
type watch struct {
	acks     uint32
	unacked  int       // bytes sent since the last acknowledgement was noticed; the sender adds to it
	interval int       // the most that was sent between two
	over     time.Time // since when unacked is more than a server that reads leaves open
}

// stalled takes the acknowledgements so far.
func (w *watch) stalled(acks uint32, now time.Time, timeout time.Duration) bool {
	switch {
	case acks != w.acks:
		if w.acks > 0 {
			w.interval = max(w.interval, w.unacked, windowSize)
		}
		w.acks, w.unacked, w.over = acks, 0, time.Time{}
		return false
	case w.interval == 0 || w.unacked < 2*w.interval:
		return false
	case w.over.IsZero():
		w.over = now
	}
	return now.Sub(w.over) >= timeout
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
