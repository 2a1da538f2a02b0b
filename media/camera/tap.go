package camera

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// beat is how often a socket is read while nobody waits for every packet. All
// cameras share its phase, so that their timers fire together.
const beat = 40 * time.Millisecond

// wantedBuffer is what a socket's receive buffer must be able to hold: more
// than a beat of the largest key frame.
const wantedBuffer = 1 << 20

// tap is the connection that gortsplib works on. It takes the media out of
// what the camera sends, and passes on the rest.
type tap struct {
	net.Conn
	epoch  time.Time // of the beat
	slab   slab
	up     []byte // for gortsplib, aliases slab
	timer  *time.Timer
	media  atomic.Pointer[route] // nil until PLAY is about to be sent
	closed chan struct{}
	once   sync.Once
}

// route is where the media of a session goes.
type route struct {
	channels channels
	tracks   [256]int // track ID by channel
	in       *ingest
}

func newTap(c net.Conn, epoch time.Time) *tap {
	t := &tap{Conn: c, epoch: epoch, timer: time.NewTimer(0), closed: make(chan struct{})}
	growBuffer(c)
	return t
}

// growBuffer lets the kernel hold wantedBuffer bytes without switching its own
// tuning off: raising SO_RCVLOWAT grows the buffer, and leaves it grown.
// Where that does not work the buffer is left as it is.
func growBuffer(c net.Conn) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, wantedBuffer/2)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1)
	})
}

// Read gives gortsplib what is not media, in stretches that end where the
// camera's messages do. It is called by one goroutine, gortsplib's reader.
func (t *tap) Read(p []byte) (int, error) {
	for len(t.up) == 0 {
		if err := t.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.up)
	t.up = t.up[n:]
	return n, nil
}

// fill reads once from the socket, publishes the media in what is there, and
// sets up what is left.
func (t *tap) fill() error {
	r := t.media.Load()
	if t.slab.r < t.slab.w { // a message was handed up, more may lie behind it
		if err := t.split(r); err != nil || len(t.up) > 0 {
			return err
		}
	}
	room := t.slab.room()
	n, err := t.Conn.Read(room)
	if err != nil {
		return err
	}
	t.slab.w += n
	if r == nil {
		t.up = t.slab.unparsed()
		t.slab.r = t.slab.w
		return nil
	}
	if err := t.split(r); err != nil {
		return err
	}
	if n < len(room) && len(t.up) == 0 && !r.in.stream.Packets.Urgent() {
		t.rest()
	}
	return nil
}

// rest waits for the next beat.
func (t *tap) rest() {
	t.timer.Reset(beat - time.Since(t.epoch)%beat)
	select {
	case <-t.timer.C:
	case <-t.closed:
	}
}

// split takes the slab apart up to the first message for gortsplib.
func (t *tap) split(r *route) error {
	if r == nil {
		t.up = t.slab.unparsed()
		t.slab.r = t.slab.w
		return nil
	}
	now := time.Now()
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	for t.slab.r < t.slab.w && len(t.up) == 0 {
		b := t.slab.buf[t.slab.r:t.slab.w]
		kind, n, err := r.channels.next(b)
		if err != nil {
			return err
		}
		if kind == chunkPartial {
			break
		}
		t.slab.r += n
		switch kind {
		case chunkMedia:
			// The capacity is the slab's: a run grows into its next packet.
			r.in.packet(r.tracks[b[1]], b[:n], now)
		case chunkControl:
			t.up = b[:n:n]
		}
	}
	r.in.publish(now)
	return nil
}

// play makes the media go to in from the next byte on.
func (t *tap) play(r *route) { t.media.Store(r) }

// Close says goodbye: what was written, a TEARDOWN, reaches the camera before
// the connection ends. With unread media in the buffer a plain close would
// reset it instead.
func (t *tap) Close() error {
	err := net.ErrClosed
	t.once.Do(func() {
		close(t.closed)
		err = t.close()
	})
	return err
}

func (t *tap) close() error {
	half, ok := t.Conn.(interface{ CloseWrite() error })
	if ok && half.CloseWrite() == nil && t.Conn.SetReadDeadline(time.Now().Add(goodbyeTimeout)) == nil {
		// It ends with the camera's side of the connection, or the deadline.
		_, _ = io.Copy(io.Discard, t.Conn)
	}
	err := t.Conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
