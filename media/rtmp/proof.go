package rtmp

import (
	"net"
	"sync"
	"time"

	"camrelay/media"
	"camrelay/media/upstream"
)

// proof holds back what is reported until the server is known to read what it
// has accepted: a push is not active because a kernel has taken bytes. The
// server's first acknowledgement proves it; of one that never acknowledges, an
// open window after settle, by when what nobody reads has shut it.
type proof struct {
	progress *media.Progress
	settle   time.Duration

	mu    sync.Mutex // guards what follows, and the calls of progress
	shown bool
	began time.Time // of the media, zero before
	bytes int
	units int
	lost  uint64
}

// sent is told of what has been written to conn.
func (p *proof) sent(conn net.Conn, bytes, units int, lost uint64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		p.progress.Sent(bytes, units, lost)
		return
	}
	p.bytes, p.units, p.lost = p.bytes+bytes, p.units+units, p.lost+lost
	switch {
	case p.began.IsZero():
		p.began = now
	case now.Sub(p.began) >= p.settle && upstream.Unsent(conn) == 0:
		p.show()
	}
}

// acknowledged is told that the server reads.
func (p *proof) acknowledged() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.shown && p.units > 0 {
		p.show()
	}
}

// show reports what was held back. mu is held.
func (p *proof) show() {
	p.shown = true
	p.progress.Sent(p.bytes, p.units, p.lost)
}
