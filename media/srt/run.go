//go:build cgo

package srt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/haivision/srtgo"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mpegts"
)

// Run pushes s to the listener until something ends it, and returns why; when
// ctx is done it is ctx's error, at the latest connectTimeout after. p is told
// of what the peer's transport has taken.
func Run(ctx context.Context, spec Spec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
	if err := spec.Validate(); err != nil {
		return media.Fail(media.ClassUnsupported, err)
	}
	if spec.Timeout == 0 {
		spec.Timeout = defaultStall
	}
	all, err := s.WaitTracks(ctx)
	if err != nil {
		return err
	}
	tracks, err := tracksOf(all)
	if err != nil {
		return err
	}
	quiet()
	sock, err := dial(ctx, spec)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(sock) // its finalizer would close it under us
	defer sock.Close()
	log.Info("connected")
	out, release := hub.Derive(s, recipe(tracks))
	defer release()
	r := out.Reader("srt", hub.LastStart)
	defer r.Close()
	r.Relax()
	return (&sender{sock: sock, spec: spec, progress: p, buf: make([]byte, 0, payload)}).run(ctx, r)
}

// dial tries the addresses of the host one after the other.
func dial(ctx context.Context, spec Spec) (*srtgo.SrtSocket, error) {
	addrs, err := spec.resolve(ctx)
	if err != nil {
		return nil, err
	}
	var last error
	for _, addr := range addrs {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		sock := srtgo.NewSrtSocket(addr, spec.Port, spec.options())
		if sock == nil {
			return nil, media.Fail(media.ClassUnsupported, errors.New("libsrt refuses the settings"))
		}
		if err := sock.Connect(); err == nil {
			return sock, nil
		}
		last = rejection(sock)
		sock.Close()
		runtime.KeepAlive(sock)
	}
	if last == nil {
		last = errors.New("the host has no address")
	}
	return nil, last
}

// sender writes the transport stream of one connection.
type sender struct {
	sock     *srtgo.SrtSocket
	spec     Spec
	progress *media.Progress
	buf      []byte // up to one payload that is not full yet
	checked  time.Time
	acked    int64     // of libsrt's counters: packets that have left the sender's buffer
	moved    time.Time // when acked rose last
	dropped  int64
}

// run sends until the reader or the connection ends.
func (w *sender) run(ctx context.Context, r *hub.Reader[mpegts.Chunk]) error {
	var in [64]mpegts.Chunk
	w.checked, w.moved = time.Now(), time.Now()
	for {
		n, lost, err := r.Read(ctx, in[:])
		if err != nil {
			return errors.Join(err, w.goodbye())
		}
		bytes := 0
		for _, c := range in[:n] {
			if err := w.write(c.Data); err != nil {
				return err
			}
			bytes += len(c.Data)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		clear(in[:n])
		dropped, err := w.check()
		if err != nil {
			return err
		}
		w.progress.Sent(bytes, n, lost+uint64(dropped))
	}
}

// write sends whole payloads, and keeps the rest for the next.
func (w *sender) write(b []byte) error {
	for len(w.buf)+len(b) >= payload {
		k := payload - len(w.buf)
		msg := b[:k:k]
		if len(w.buf) > 0 {
			w.buf = append(w.buf, msg...)
			msg = w.buf
		}
		if err := w.send(msg); err != nil {
			return err
		}
		w.buf, b = w.buf[:0], b[k:]
	}
	w.buf = append(w.buf, b...)
	return nil
}

func (w *sender) send(msg []byte) error {
	if _, err := w.sock.Write(msg); err != nil {
		return fmt.Errorf("the connection is lost: %w", err)
	}
	return nil
}

// maxLinger bounds how long a push that ends lets the peer have what was sent.
const maxLinger = time.Second

// goodbye sends what is left and waits until the peer has acknowledged it and
// its latency has passed: with the connection a receiver drops what it has not
// handed out yet.
func (w *sender) goodbye() error {
	if err := w.flush(); err != nil {
		return err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var empty time.Time
	for began := time.Now(); time.Since(began) < maxLinger; <-tick.C {
		st, err := w.sock.Stats()
		if err != nil {
			return fmt.Errorf("the connection is lost: %w", err)
		}
		if st.PktSndBuf > 0 {
			continue
		}
		if empty.IsZero() {
			empty = time.Now()
		}
		if time.Since(empty) > time.Duration(st.MsSndTsbPdDelay)*time.Millisecond+lingerMargin {
			return nil
		}
	}
	return nil
}

// lingerMargin is for the peer's own delays.
const lingerMargin = 50 * time.Millisecond

// flush sends what is left, filled up with null packets.
func (w *sender) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	for len(w.buf) < payload {
		w.buf = mpegts.AppendNull(w.buf)
	}
	defer func() { w.buf = w.buf[:0] }()
	return w.send(w.buf)
}

// errStalled ends a push whose peer acknowledges nothing.
var errStalled = errors.New("the upstream takes no data")

// check looks at libsrt's counters once a second: packets dropped as too late,
// and whether the peer acknowledges any.
func (w *sender) check() (dropped int64, err error) {
	now := time.Now()
	if now.Sub(w.checked) < time.Second {
		return 0, nil
	}
	w.checked = now
	st, err := w.sock.Stats()
	if err != nil {
		return 0, fmt.Errorf("the connection is lost: %w", err)
	}
	total := int64(st.PktSndDropTotal)
	dropped, w.dropped = total-w.dropped, total
	if acked := st.PktSentTotal - int64(st.PktSndBuf) - total; acked > w.acked || st.PktSndBuf == 0 {
		w.acked, w.moved = acked, now
	}
	if now.Sub(w.moved) > w.spec.Timeout {
		return dropped, errStalled
	}
	return dropped, nil
}
