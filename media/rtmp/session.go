package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"camrelay/media"
)

// linger is how long goodbye may take; a write that was going on before it has
// half of that.
const linger = time.Second

// session is one publication.
type session struct {
	sender
	door         *door
	proof        proof
	video, audio *media.Track           // as in the newest units
	move         atomic.Pointer[string] // tcUrl to move to, once the server asked for it
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
			c.batch.stream, c.batch.script = c.door.stream, setDataFrame
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
var errClosed = media.EndedBy(media.ErrPeerClosed, "the server closed the connection")

// early is how soon after a publication began the end of the connection means
// that it was not wanted: some servers accept it before they look who asks.
const early = 3 * time.Second

func busy(text string) error { return media.Fail(media.ClassBusy, errors.New(text)) }

// closed tells whether err means that the other side closed the connection.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// answer sends what the door has to say, and passes on what it has learnt.
func (c *session) answer() error {
	err := c.say(c.door.reply)
	c.door.reply = c.door.reply[:0]
	if c.door.moveTo != nil {
		c.move.Store(c.door.moveTo)
	}
	if n := uint32(c.door.acks); n != c.acks.Load() {
		c.acks.Store(n)
		c.proof.acknowledged()
	}
	return err
}

// listen reads what the server says until the connection ends, and answers.
func (c *session) listen() (err error) {
	defer media.Contain(&err)
	begin := time.Now()
	buf := make([]byte, readSize)
	for {
		var n int
		n, err = c.conn.Read(buf)
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
