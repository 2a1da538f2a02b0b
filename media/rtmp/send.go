package rtmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/upstream"
)

const maxWrite = 128 << 10 // bytes gathered for one write, one message more or less

// maxWaiting bounds the words that wait while media is written.
const maxWaiting = 64 << 10

// outlet is a session that has media sent.
type outlet interface {
	// take returns the unit to send in the place of u, nil for none.
	take(u *media.Unit) (*media.Unit, error)
	// sent is told of what has been written: bytes, units in them, units lost
	// before them.
	sent(bytes, units int, lost uint64) error
}

// sender writes to one connection: media from one goroutine, words from any.
type sender struct {
	conn    net.Conn
	timeout time.Duration // without progress
	acks    atomic.Uint32 // acknowledgements received
	batch   batch
	out     net.Buffers // what a write has left of the batch
	lost    uint64      // units not reported yet
	watch   watch

	writing sync.Mutex // guards the connection's output, so that messages stay whole

	mu      sync.Mutex // guards what follows
	waiting []byte     // words for whoever writes next
}

// pour writes units until ctx is done, the stream ends or a write fails.
func (s *sender) pour(ctx context.Context, units *hub.Reader[*media.Unit], mux *flv.Muxer, to outlet) error {
	s.batch.copies = worthCopying
	if _, plain := s.conn.(*net.TCPConn); !plain {
		s.batch.copies = 1 << 30 // one write makes one record
	}
	var in [64]*media.Unit
	var tags []flv.Tag
	for {
		n, lost, err := units.Read(ctx, in[:])
		if err != nil {
			if err := s.sendTags(ctx, mux.Flush(nil), to); err != nil {
				return err
			}
			return ended(ctx, err) // the cause of ctx may be what the reader beside it returned
		}
		s.lost += lost
		tags, err = mixed(mux, to, in[:n], lost > 0, tags[:0])
		if err != nil {
			return errors.Join(s.sendTags(ctx, mux.Flush(tags), to), err)
		}
		clear(in[:n])
		err = s.sendTags(ctx, tags, to)
		clear(tags)
		if err != nil {
			return err
		}
	}
}

// mixed appends the tags of units, behind a loss if lost.
func mixed(mux *flv.Muxer, to outlet, units []*media.Unit, lost bool, tags []flv.Tag) ([]flv.Tag, error) {
	for i, u := range units {
		u, err := to.take(u)
		if err != nil {
			return tags, err
		}
		if u == nil {
			continue
		}
		if i == 0 && lost {
			u = gap(u)
		}
		tags = mux.Tags(u, tags)
	}
	return tags, nil
}

// gap returns u marked as the first after a loss.
func gap(u *media.Unit) *media.Unit {
	if u.Gap {
		return u
	}
	g := *u
	g.Gap = true
	return &g
}

// sendTags writes tags with as few calls as their size allows.
func (s *sender) sendTags(ctx context.Context, tags []flv.Tag, to outlet) error {
	for i := range tags {
		s.batch.add(&tags[i])
		if s.batch.size >= maxWrite || i == len(tags)-1 {
			if err := s.flush(ctx, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes the batch and counts it as sent.
func (s *sender) flush(ctx context.Context, to outlet) error {
	s.out = s.batch.buffers()
	if s.unread() {
		return fmt.Errorf("cannot send media: %w", errStalled)
	}
	if err := s.write(ctx); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			err = errStalled
		}
		return fmt.Errorf("cannot send media: %w", stalled(err))
	}
	s.watch.unacked += s.batch.size
	bytes, units, lost := s.batch.size, s.batch.units, s.lost
	s.lost = 0
	s.batch.reset()
	return to.sent(bytes, units, lost)
}

// unread tells whether the other side has stopped reading. Some stop to
// acknowledge and read on: then the kernel has nothing left to send.
func (s *sender) unread() bool {
	return s.watch.stalled(s.acks.Load(), time.Now(), s.timeout) && upstream.Unsent(s.conn) > 0
}

// write writes s.out. It fails when nothing moved within the timeout, however
// long all of it takes, or soon after ctx is done.
func (s *sender) write(ctx context.Context) error {
	s.writing.Lock()
	err := s.writeAll(ctx)
	s.writing.Unlock()
	if err != nil {
		return err
	}
	return s.drain()
}

// writeAll writes s.out. writing is held.
func (s *sender) writeAll(ctx context.Context) error {
	if _, plain := s.conn.(*net.TCPConn); !plain {
		return s.writePieces(ctx)
	}
	for {
		if err := s.extend(ctx); err != nil {
			return err
		}
		acks := s.acks.Load()
		n, err := s.out.WriteTo(s.conn)
		if err == nil {
			return s.conn.SetWriteDeadline(time.Time{}) // words may follow at any time later
		}
		moved := n > 0 || acks != s.acks.Load()
		if !moved || ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded) || s.unread() {
			return err
		}
	}
}

// writePieces is writeAll for TLS, where a write that has timed out cannot be
// taken up again.
func (s *sender) writePieces(ctx context.Context) error {
	const piece = 32 << 10
	for len(s.out) > 0 {
		b := s.out[0]
		n := min(len(b), piece)
		if err := s.extend(ctx); err != nil {
			return err
		}
		if _, err := s.conn.Write(b[:n]); err != nil {
			return err
		}
		if s.out[0] = b[n:]; n == len(b) {
			s.out = s.out[1:]
		}
	}
	return s.conn.SetWriteDeadline(time.Time{})
}

// extend gives the next write its time, a short one once ctx is done.
func (s *sender) extend(ctx context.Context) error {
	if ctx.Err() == nil {
		begin := time.Now()
		if !s.watch.over.IsZero() && s.watch.acks == s.acks.Load() {
			begin = s.watch.over
		}
		if err := s.conn.SetWriteDeadline(begin.Add(s.timeout)); err != nil {
			return err
		}
	}
	if ctx.Err() != nil { // also if that happened between the two
		return s.conn.SetWriteDeadline(time.Now().Add(linger / 2))
	}
	return nil
}

// say sends whole messages, which may be from any goroutine. It does not wait
// for media that is being written: then the words follow that.
func (s *sender) say(words []byte) error {
	if len(words) == 0 {
		return nil
	}
	s.mu.Lock()
	s.waiting = append(s.waiting, words...)
	n := len(s.waiting)
	s.mu.Unlock()
	if n > maxWaiting {
		return errFlood
	}
	return s.drain()
}

// drain writes the words that wait, unless somebody is writing who will.
func (s *sender) drain() error {
	for s.pending() && s.writing.TryLock() {
		s.mu.Lock()
		words := s.waiting
		s.waiting = nil
		s.mu.Unlock()
		_, err := s.conn.Write(words)
		s.writing.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting) > 0
}

// leave says the last words and gives the other side a moment to close the
// connection, which ends whoever reads from it.
func (s *sender) leave(words []byte) {
	_ = s.conn.SetDeadline(time.Now().Add(linger))
	s.writing.Lock()
	defer s.writing.Unlock()
	if len(s.out) > 0 { // a message is cut short: nothing can follow it
		_ = s.conn.Close()
		return
	}
	if _, err := s.conn.Write(words); err != nil {
		_ = s.conn.Close()
		return
	}
	if h, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite()
	}
}

// errStalled is the end of a session whose other side took nothing any more.
var errStalled = errors.New("the server does not take data")

// stalled makes errStalled of the kernel's word for it (TCP_USER_TIMEOUT),
// which only one of two calls on a connection gets.
func stalled(err error) error {
	if errors.Is(err, syscall.ETIMEDOUT) {
		return errStalled
	}
	return err
}
