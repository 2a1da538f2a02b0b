package camera

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"camrelay/media"
)

// beat is how often a socket is read while nobody waits for every packet. It
// is the wall clock's, so that the timers of all cameras fire together.
const beat = 40 * time.Millisecond

// Bounds of a goodbye: together they are well below a second.
const (
	writeTimeout   = 2 * time.Second
	goodbyeTimeout = 300 * time.Millisecond // for the TEARDOWN to leave, and then for its answer
)

// tap is the connection that gortsplib works on. It takes the media out of
// what the camera sends, answers the camera's own requests, and passes on
// whole answers.
type tap struct {
	net.Conn // plain or TLS, above sock
	sock     *socket
	timer    *time.Timer
	closing  chan struct{} // closed by Close
	once     sync.Once
	media    atomic.Pointer[route]  // nil until PLAY is about to be sent
	playing  atomic.Bool            // PLAY has been answered
	farewell atomic.Pointer[string] // CSeq of the TEARDOWN, once it was sent

	mu     sync.Mutex // guards what follows; Read holds it while it runs
	slab   slab
	split  splitter
	need   int    // length of what is cut off at the end of the slab, as far as known
	up     []byte // for gortsplib, aliases slab
	beats  bool   // read at the beat
	more   bool   // the last read did not take all that there was
	closed bool
}

// route is where the media of a session goes.
type route struct {
	channels channels
	in       *ingest
}

func newTap(c net.Conn, s *socket) *tap {
	return &tap{Conn: c, sock: s, timer: time.NewTimer(time.Hour), closing: make(chan struct{})}
}

// play makes media go to r from now on.
func (t *tap) play(r *route) { t.media.Store(r) }

// SetReadDeadline, SetWriteDeadline and SetDeadline do nothing: the tap keeps
// time itself.
func (t *tap) SetReadDeadline(time.Time) error  { return nil }
func (t *tap) SetWriteDeadline(time.Time) error { return nil }
func (t *tap) SetDeadline(time.Time) error      { return nil }

// Write sends a request or a report. A camera that takes nothing does not
// hold up whoever closes the session.
func (t *tap) Write(p []byte) (int, error) {
	limit := writeTimeout
	if bytes.HasPrefix(p, []byte("TEARDOWN ")) {
		limit = goodbyeTimeout
		cseq, _ := field(p, "CSeq")
		t.farewell.Store(&cseq)
	}
	_ = t.sock.SetWriteDeadline(time.Now().Add(limit))
	return t.Conn.Write(p)
}

// Read gives gortsplib the camera's answers. It is called by one goroutine,
// gortsplib's reader, which by it does all the work of a TCP session.
func (t *tap) Read(p []byte) (n int, err error) {
	defer media.Contain(&err) // this goroutine is gortsplib's: nobody else would
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.up) == 0 {
		if err := t.fill(); err != nil {
			return 0, err
		}
	}
	n = copy(p, t.up)
	t.up = t.up[n:]
	return n, nil
}

// fill reads what the socket holds, publishes the media in it, and stops at
// the first answer.
func (t *tap) fill() error {
	if t.closed {
		return net.ErrClosed
	}
	r := t.media.Load()
	if t.slab.r == t.slab.w || t.need > 0 {
		if t.beats && !t.more {
			t.rest()
		}
		if err := t.receive(); err != nil {
			return err
		}
	}
	if r == nil {
		_, err := t.parse(&route{}, time.Time{})
		return err
	}
	err := t.publish(r, time.Now())
	if t.playing.Load() {
		t.beats = !r.in.stream.Packets.Urgent()
		t.sock.hoard(t.beats)
	}
	return err
}

// publish appends the media that has come to the logs.
func (t *tap) publish(r *route, now time.Time) error {
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	_, err := t.parse(r, now)
	r.in.publish(now)
	return err
}

// rest waits for the next beat.
func (t *tap) rest() {
	t.timer.Reset(beat - time.Duration(time.Now().UnixNano()%int64(beat)))
	select {
	case <-t.timer.C:
	case <-t.closing:
	}
}

// receive reads into the slab: once, or of a TLS connection at the beat, whose
// records come one by one, until there is no more.
func (t *tap) receive() error {
	room := t.slab.room(t.need, time.Now())
	_, plain := t.Conn.(*socket)
	for {
		n, err := t.Conn.Read(room)
		room = room[n:]
		if t.slab.w += n; n > 0 {
			t.need = 0
		}
		if t.more = len(room) == 0; errors.Is(err, nothing{}) {
			return nil
		}
		if err != nil || t.more || plain || !t.beats {
			return err
		}
	}
}

// parse takes the slab apart up to the first answer for gortsplib, or the
// first that answers the farewell.
func (t *tap) parse(r *route, now time.Time) (bye bool, err error) {
	for t.slab.r < t.slab.w {
		b := t.slab.unparsed()
		kind, n, err := t.split.next(&r.channels, b)
		if err != nil {
			return false, err
		}
		if kind == chunkPartial {
			t.need = n
			return false, nil
		}
		t.slab.r += n
		switch kind {
		case chunkRTP:
			r.in.packet(r.in.lanes[r.channels[b[1]].track], b[:n], now)
		case chunkRTCP:
			r.in.reports(r.in.lanes[r.channels[b[1]].track], b[frameHeader:n], now)
		case chunkMessage:
			if done, err := t.message(b[:n:n]); done || err != nil {
				return done, err
			}
		case chunkPartial, chunkJunk, chunkOther:
		}
	}
	t.need = 0
	return false, nil
}

// message takes an RTSP message. It is done with what is to be read when it
// was an answer to pass on.
func (t *tap) message(msg []byte) (done bool, err error) {
	if msg[0] != 'R' || msg[1] != 'T' {
		return false, t.request(msg)
	}
	if t.media.Load() != nil || t.playing.Load() {
		// An answer that gortsplib cannot read would end the session.
		var res base.Response
		if err := res.Unmarshal(bufio.NewReader(bytes.NewReader(msg))); err != nil {
			return false, nil
		}
	}
	t.up = msg
	return true, nil
}

// request answers a request of the camera's.
func (t *tap) request(msg []byte) error {
	method, _, _ := bytes.Cut(msg, []byte(" "))
	status := "501 Not Implemented"
	switch string(method) {
	case "OPTIONS", "GET_PARAMETER", "SET_PARAMETER":
		status = "200 OK"
	case "TEARDOWN", "REDIRECT":
		return fmt.Errorf("the camera has ended the session (%s)", method)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "RTSP/1.0 %s\r\n", status)
	if cseq, ok := field(msg, "CSeq"); ok {
		fmt.Fprintf(&b, "CSeq: %s\r\n", cseq)
	}
	b.WriteString("\r\n")
	_, err := t.Write([]byte(b.String()))
	return err
}

// Close takes leave: the TEARDOWN, if one was sent, reaches the camera before
// the connection ends. With unread media in the buffer a plain close would
// reset it, and what is on its way with it.
func (t *tap) Close() error {
	err := net.ErrClosed
	t.once.Do(func() {
		close(t.closing)
		t.sock.interrupt()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.closed = true
		if cseq := t.farewell.Load(); cseq != nil {
			t.leave(*cseq)
		}
		err = t.sock.Close() // TLS would take its time to say so
	})
	return err
}

// leave reads on until the TEARDOWN is answered, or the camera closes, or it
// has taken too long.
func (t *tap) leave(cseq string) {
	t.beats, t.split = false, splitter{}
	t.sock.hoard(false)
	t.sock.resume(goodbyeTimeout)
	for {
		bye, err := t.parse(&route{}, time.Time{})
		if err != nil {
			return
		}
		if bye {
			if got, ok := field(t.up, "CSeq"); !ok || got == cseq {
				return
			}
			continue
		}
		if t.receive() != nil {
			return
		}
	}
}
