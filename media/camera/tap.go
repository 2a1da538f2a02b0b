package camera

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// beat is how often a socket is read while nobody waits for every packet. All
// cameras share its phase, so that their timers fire together.
const beat = 40 * time.Millisecond

// wantedBuffer is how much of a socket may come between two beats: more than a
// beat of the largest key frame.
const wantedBuffer = 1 << 20

// tap is the connection that gortsplib works on. It takes the media out of
// what the camera sends, and passes on the rest.
type tap struct {
	net.Conn
	epoch  time.Time       // of the beat
	raw    syscall.RawConn // nil where the kernel's socket cannot be reached: TLS
	low    int             // SO_RCVLOWAT as it was set last
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
	t := &tap{Conn: c, epoch: epoch, low: 1, timer: time.NewTimer(0), closed: make(chan struct{})}
	if sc, ok := c.(syscall.Conn); ok {
		// Without it the socket is read like any other.
		t.raw, _ = sc.SyscallConn()
	}
	return t
}

// lowat sets how many bytes must have come before the kernel wakes anybody.
// Raising it also grows the receive buffer, without switching the kernel's own
// tuning off.
func (t *tap) lowat(n int) {
	if t.raw == nil || t.low == n {
		return
	}
	t.low = n
	// Where it does not work the socket wakes us more often, and that is all.
	_ = t.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) })
}

// read fills p with what has come. relaxed says that nobody waits: it takes what
// is there, perhaps nothing, without ever waking up for a single packet.
func (t *tap) read(p []byte, relaxed bool) (n int, err error) {
	if !relaxed || t.raw == nil {
		t.lowat(1)
		return t.Conn.Read(p)
	}
	t.lowat(wantedBuffer)
	if e := t.raw.Read(func(fd uintptr) bool {
		n, err = unix.Read(int(fd), p)
		return true
	}); e != nil {
		return 0, e
	}
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// relaxed tells whether the next beat is soon enough.
func (t *tap) relaxed(r *route) bool {
	select {
	case <-t.closed:
		return false
	default:
		return r != nil && !r.in.stream.Packets.Urgent()
	}
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
	relaxed := t.relaxed(r)
	n, err := t.read(room, relaxed)
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
	if relaxed && n < len(room) && len(t.up) == 0 {
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
