//go:build cgo

package srt

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mpegts"
)

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
	// burst is how many messages are on their way at a time while a viewer gets
	// what is held already. A receiver's socket takes so many by default.
	burst = 150
)

var errFull = errors.New("the send buffer is full")

// Why connections end; who the peer is goes before.
var (
	errLeft    = media.EndedBy(media.ErrPeerClosed, "closed the connection")
	errSilent  = errors.New("stopped answering")
	errLost    = media.EndedBy(media.ErrPeerClosed, "closed the connection or stopped answering")
	errStalled = errors.New("takes no data")
)

// sender writes the transport stream of one connection.
type sender struct {
	link    *link
	peer    string                              // who it is, for people
	timeout time.Duration                       // without progress
	fresh   time.Duration                       // how old the first key frame may be; 0: any
	report  func(bytes, units int, lost uint64) // of what the peer has acknowledged since the last time
	cutter  cutter
	quality quality
	rtt     atomic.Int64 // of quality, for others

	begun   bool
	skip    bool          // until the next key frame that will do
	limit   time.Duration // of span; beyond, libsrt would drop out of the middle of pictures
	span    time.Duration // of what the peer has not acknowledged
	written int           // messages
	acked   int           // of them
	checked time.Time     // when the connection was there last
	moved   time.Time     // when acked rose last, or there was nothing to acknowledge
	mark    int           // written at that time
	wrote   time.Time     // when media was written last

	bytes, units int // since the last report
	lost         uint64
}

// newSender returns a sender for a link that has just come about.
func newSender(l *link, peer string, timeout time.Duration, report func(bytes, units int, lost uint64)) *sender {
	now := time.Now()
	return &sender{
		link: l, peer: peer, timeout: timeout, report: report, skip: true, limit: backlog,
		checked: now, moved: now, wrote: now,
	}
}

// run sends until the reader or the connection ends.
func (w *sender) run(ctx context.Context, r *hub.Reader[mpegts.Chunk]) error {
	var in [64]mpegts.Chunk
	for {
		n, lost, err := w.read(ctx, r, in[:])
		if err == nil {
			w.lost += lost
			err = w.send(ctx, in[:n])
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
			return w.why(err, time.Now())
		}
	}
}

// why says in words why the connection has ended. libsrt does not tell: a peer that
// closes it has acknowledged what it was sent until then, one that is silent not.
func (w *sender) why(err error, now time.Time) error {
	const recent = idleTimeout * 2 / 5
	switch {
	case errors.Is(err, errStalled):
	case !errors.Is(err, errLost):
		return err
	case w.checked.Sub(w.moved) >= recent:
		err = errSilent
	case now.Sub(w.wrote) < recent: // a close is noticed with the next picture
		err = errLeft
	}
	return fmt.Errorf("%s %w", w.peer, err)
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
func (w *sender) send(ctx context.Context, chunks []mpegts.Chunk) error {
	_, w.span = w.link.queued()
	if w.begun && w.span > w.limit {
		w.skip = true
	}
	for _, c := range chunks {
		now := time.Now()
		if w.skip && !w.begins(c, now) {
			if w.begun {
				w.lost++
			}
			continue
		}
		w.skip, w.begun = false, true
		if w.fresh == 0 && now.Sub(c.Wall) > fresh {
			if err := w.drain(ctx); err != nil {
				return err
			}
		}
		if err := w.sendOne(c, now); err != nil {
			return err
		}
	}
	return nil
}

// begins tells whether the peer may begin with c, or go on after a loss.
func (w *sender) begins(c mpegts.Chunk, now time.Time) bool {
	return c.Key && w.span <= w.limit/2 && (w.fresh == 0 || now.Sub(c.Wall) <= max(w.fresh, w.limit))
}

func (w *sender) sendOne(c mpegts.Chunk, now time.Time) error {
	before := w.written
	err := w.cutter.cut(c.Data, w.write)
	if w.written > before {
		w.wrote = now
	}
	switch {
	case errors.Is(err, errFull):
		w.skip = true
		w.lost++
		w.cutter.rest = w.cutter.rest[:0]
		return nil
	case err == nil:
		w.units++
		w.bytes += len(c.Data)
	}
	return err
}

// drain waits until the line has taken most of what was sent before: a group of
// pictures that is held already goes out no faster than that.
func (w *sender) drain(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		var messages int
		if messages, w.span = w.link.queued(); messages <= burst && w.span <= w.limit/2 {
			return nil
		}
		if err := w.check(time.Now()); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil // the next read tells
		}
	}
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
	queued, _ := w.link.queued() // before the drops: acked must not be too high
	q, err := w.link.quality()
	if err != nil {
		return err
	}
	if !w.link.alive() { // nothing is queued then
		return errLost
	}
	w.checked = now
	w.lost += uint64(q.dropped - w.quality.dropped)
	w.quality = q
	w.rtt.Store(int64(q.rtt))
	w.limit = max(q.latency*3/4, backlog)
	acked := w.written - queued - q.dropped
	if acked > w.acked || w.written == w.mark && queued == 0 {
		w.moved, w.mark = now, w.written
	}
	if acked > w.acked {
		w.acked = acked
		w.report(w.bytes, w.units, w.lost)
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
