package rtmp

import "time"

// watch tells from the acknowledgements (§5.4.3) when a server has stopped
// reading, which the kernel's buffers on both sides hide for seconds. Servers
// that acknowledge never, or once, are not watched; those with a window of
// their own are measured by it.
type watch struct {
	acks     uint32
	unacked  int       // bytes sent since the last acknowledgement was noticed; the sender adds to it
	interval int       // the most that was sent between two
	over     time.Time // since when unacked is more than a server that reads leaves open
}

// stalled takes the acknowledgements so far.
func (w *watch) stalled(acks uint32, now time.Time, timeout time.Duration) bool {
	switch {
	case acks != w.acks:
		if w.acks > 0 {
			w.interval = max(w.interval, w.unacked, windowSize)
		}
		w.acks, w.unacked, w.over = acks, 0, time.Time{}
		return false
	case w.interval == 0 || w.unacked < 2*w.interval:
		return false
	case w.over.IsZero():
		w.over = now
	}
	return now.Sub(w.over) >= timeout
}
