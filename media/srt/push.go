//go:build cgo

package srt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"camrelay/media"
	"camrelay/media/feed"
	"camrelay/media/hub"
	"camrelay/media/mpegts"
)

// Run pushes s to the listener until something ends it, and returns why; for
// ctx that is its cause, at the latest a second after. It connects once there
// is media to send, begins with a key frame that is new, and stays connected
// while the camera is out. p is told of media once the peer acknowledges it.
// Errors carry a class and hold no secret.
func (c *Caller) Run(ctx context.Context, spec Spec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
	if err := spec.Validate(); err != nil {
		return media.Fail(media.ClassUnsupported, err)
	}
	awake := s.Units.Reader("srt", hub.LastStart) // the stream makes units while somebody reads them
	awake.Relax()
	defer awake.Close()
	tracks, err := feed.AwaitTS(ctx, s, awake)
	if err != nil {
		return ended(ctx, err)
	}
	l, hangUp, err := c.dial(ctx, spec)
	if err != nil {
		return ended(ctx, fmt.Errorf("cannot connect: %w", err))
	}
	defer hangUp()
	chunks, release := feed.TS(s, tracks)
	defer release()
	r := chunks.Reader("srt", hub.LastStart)
	defer r.Close()
	r.Relax()
	awake.Close()
	log.Info("connected")
	w := newSender(l, spec.timeout(), p)
	err = ended(ctx, w.run(ctx, r))
	log.Info("disconnected", "rtt", w.quality.rtt, "retransmitted", w.quality.retransmitted, "dropped", w.quality.dropped)
	return err
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

const (
	// fresh is how old a key frame may be for a push to begin with it: what
	// has come since goes out in one burst, of which a narrow line would lose
	// what does not arrive within the latency.
	fresh = 500 * time.Millisecond
	// patience is how long the last packets of a picture wait for the next
	// ones to fill a message with.
	patience = 100 * time.Millisecond
	// checkEvery is how often the connection is looked after, more often until
	// the first acknowledgement.
	checkEvery, firstCheck = time.Second, 100 * time.Millisecond
	// backlog is how much a line may fall behind, or three quarters of the
	// latency if that is longer. libsrt drops messages at 1 s or the latency.
	backlog = 500 * time.Millisecond
)

// errStalled ends a push whose peer acknowledges nothing.
var errStalled = errors.New("the upstream takes no data")

// sender writes the transport stream of one connection.
type sender struct {
	link     *link
	timeout  time.Duration
	progress *media.Progress
	cutter   cutter
	quality  quality

	begun   bool
	skip    bool          // until the next fresh key frame
	limit   time.Duration // of span; beyond, libsrt would drop out of the middle of pictures
	span    time.Duration // of what the peer has not acknowledged
	written int           // messages
	acked   int           // of them
	checked time.Time
	moved   time.Time // when acked rose last, or there was nothing to acknowledge
	mark    int       // written at that time

	bytes, units int // since the last report to progress
	lost         uint64
}

func newSender(l *link, timeout time.Duration, p *media.Progress) *sender {
	now := time.Now()
	return &sender{link: l, timeout: timeout, progress: p, skip: true, limit: backlog, checked: now, moved: now}
}

// run sends until the reader or the connection ends.
func (w *sender) run(ctx context.Context, r *hub.Reader[mpegts.Chunk]) error {
	var in [64]mpegts.Chunk
	for {
		n, lost, err := w.read(ctx, r, in[:])
		if err == nil {
			w.lost += lost
			err = w.send(in[:n])
			clear(in[:n])
		} else if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = w.cutter.pad(w.write)
		} else {
			w.leave()
			return err
		}
		if err == nil {
			err = w.check(time.Now())
		}
		if err != nil {
			return err
		}
	}
}

// read reads chunks for as long as nothing else is to be done.
func (w *sender) read(ctx context.Context, r *hub.Reader[mpegts.Chunk], in []mpegts.Chunk) (int, uint64, error) {
	wait := checkEvery
	if len(w.cutter.rest) > 0 || !w.begun || w.acked == 0 {
		wait = patience
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return r.Read(ctx, in)
}

// send sends chunks. Where the line cannot keep up it leaves out everything
// until a key frame, instead of letting libsrt drop messages out of pictures.
func (w *sender) send(chunks []mpegts.Chunk) error {
	_, w.span = w.link.queued()
	if w.begun && w.span > w.limit {
		w.skip = true
	}
	for _, c := range chunks {
		if w.skip && (!c.Key || w.span > w.limit/2 || time.Since(c.Wall) > max(fresh, w.limit)) {
			if w.begun {
				w.lost++
			}
			continue
		}
		w.skip, w.begun = false, true
		err := w.cutter.cut(c.Data, w.write)
		switch {
		case errors.Is(err, errFull):
			w.skip = true
			w.lost++
			w.cutter.rest = w.cutter.rest[:0]
		case err != nil:
			return err
		default:
			w.units++
			w.bytes += len(c.Data)
		}
	}
	return nil
}

func (w *sender) write(msg []byte) error {
	err := w.link.write(msg)
	if err == nil {
		w.written++
	}
	return err
}

// check looks after the connection: what libsrt dropped as too late, what the
// peer acknowledged, and whether it is there at all.
func (w *sender) check(now time.Time) error {
	every := checkEvery
	if w.acked == 0 {
		every = firstCheck
	}
	if now.Sub(w.checked) < every {
		return nil
	}
	w.checked = now
	if !w.link.alive() {
		return errLost
	}
	queued, _ := w.link.queued() // before the drops: acked must not be too high
	q, err := w.link.quality()
	if err != nil {
		return err
	}
	w.lost += uint64(q.dropped - w.quality.dropped)
	w.quality = q
	w.limit = max(q.latency*3/4, backlog)
	acked := w.written - queued - q.dropped
	if acked > w.acked || w.written == w.mark && queued == 0 {
		w.moved, w.mark = now, w.written
	}
	if acked > w.acked {
		w.acked = acked
		w.progress.Sent(w.bytes, w.units, w.lost)
		w.bytes, w.units, w.lost = 0, 0, 0
	}
	if now.Sub(w.moved) > w.timeout {
		return errStalled
	}
	return nil
}

const (
	// maxLinger bounds how long a push that ends lets the peer have what was
	// sent.
	maxLinger = 900 * time.Millisecond
	// lingerMargin is for the peer's own delays.
	lingerMargin = 50 * time.Millisecond
)

// leave sends what is left and waits until the peer has acknowledged it and
// the latency has passed: with the connection a receiver drops what it has not
// handed out yet. What goes wrong no longer matters.
func (w *sender) leave() {
	if w.cutter.pad(w.write) != nil {
		return
	}
	latency := defaultLatency
	if q, err := w.link.quality(); err == nil {
		w.quality, latency = q, q.latency
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	began := time.Now()
	empty := began
	for time.Since(began) < maxLinger && w.link.alive() {
		if queued, _ := w.link.queued(); queued > 0 {
			empty = time.Now()
		}
		if time.Since(empty) > latency+lingerMargin {
			return
		}
		<-tick.C
	}
}
