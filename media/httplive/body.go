package httplive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"camrelay/media/hub"
)

// gathered is how much is written at once, and what a viewer must take within
// the WriteTimeout.
const gathered = 64 << 10

// Parts of a chunk (RFC 9112 §7.1): its size is written with as many digits as
// a full one needs.
const (
	chunkHead = "00000\r\n"
	chunkTail = "\r\n"
	lastChunk = "0\r\n\r\n"
)

// errWrite is that the viewer's connection takes no more.
var errWrite = errors.New("cannot write to the viewer")

// body is the response to a viewer. What is added goes out with flush, or
// when it is enough.
type body struct {
	w       http.ResponseWriter
	control *http.ResponseController
	sub     *hub.Subscription
	timeout time.Duration
	chunked bool
	over    atomic.Bool // nothing is to be written any more
	buf     []byte      // begins with room for the chunk's head if chunked
}

// newBody sends the headers.
//
// net/http makes three system calls of a chunk: it ends a buffer of 4 KiB, then
// comes the rest, then the end of the line. So it is told that the body is not
// chunked, by the canonical name of the header, and the viewer is told by
// another spelling that it is.
func newBody(w http.ResponseWriter, r *http.Request, f form, sub *hub.Subscription, timeout time.Duration) *body {
	b := &body{
		w: w, control: http.NewResponseController(w), sub: sub, timeout: timeout,
		chunked: r.ProtoMajor == 1 && r.ProtoMinor >= 1 && r.Method != http.MethodHead,
	}
	head := w.Header()
	head.Set("Content-Type", f.mime)
	head.Set("X-Accel-Buffering", "no") // a proxy must not wait for more
	if b.chunked {
		head.Set("Transfer-Encoding", "identity")
		head["transfer-encoding"] = []string{"chunked"}
		b.buf = append(b.buf, chunkHead...)
	}
	w.WriteHeader(http.StatusOK)
	return b
}

// add copies p. It writes what does not wait for flush.
func (b *body) add(p []byte) error {
	for len(p) > 0 {
		if len(b.buf) >= gathered {
			if err := b.flush(); err != nil {
				return err
			}
		}
		n := min(len(p), gathered-len(b.buf))
		b.buf = append(b.buf, p[:n]...)
		p = p[n:]
	}
	return nil
}

// flush hands everything to the kernel with one call.
func (b *body) flush() error {
	if !b.chunked {
		err := b.write(b.buf)
		b.buf = b.buf[:0]
		return err
	}
	n := len(b.buf) - len(chunkHead)
	if n == 0 {
		return nil
	}
	const digits = "0123456789abcdef"
	for i, at := n, len(chunkHead)-len(chunkTail)-1; at >= 0; i, at = i>>4, at-1 {
		b.buf[at] = digits[i&15]
	}
	err := b.write(append(b.buf, chunkTail...))
	b.buf = b.buf[:len(chunkHead)]
	return err
}

// end tells the viewer that nothing follows.
func (b *body) end() {
	if b.chunked {
		_ = b.write([]byte(lastChunk)) // who has gone need not know
	}
}

// interrupt makes a write fail that is under way when ctx is done. The caller
// calls done behind the last one.
func (b *body) interrupt(ctx context.Context) (done func()) {
	set := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(set)
		b.over.Store(true)
		_ = b.control.SetWriteDeadline(time.Now())
	})
	return func() {
		if !stop() {
			<-set
		}
	}
}

func (b *body) write(p []byte) error {
	begin := time.Now()
	// A writer that knows no deadline is one of a test.
	_ = b.control.SetWriteDeadline(begin.Add(b.timeout))
	if b.over.Load() {
		return errWrite
	}
	n, err := b.w.Write(p)
	b.sub.Sent.Add(uint64(n))
	if err == nil {
		err = b.control.Flush()
	}
	switch {
	case err == nil:
		return nil
	case time.Since(begin) >= b.timeout: // HTTP/2 tells of no deadline
		return errSlow
	}
	return fmt.Errorf("%w: %w", errWrite, err)
}
