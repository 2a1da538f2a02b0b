package hub

import (
	"sync"
	"time"
)

// window is the number of whole seconds over which rates are taken.
const window = 5

// Meter counts what a camera delivers. All methods may be called from any
// goroutine; times are those of arrival and carry a monotonic reading.
type Meter struct {
	mu      sync.Mutex // guards what follows
	st      Stats
	first   time.Time // arrival of the first packet
	seconds [window + 1]second
}

type second struct {
	t      int64 // whole seconds since the first arrival
	bytes  uint64
	frames uint64
}

// Stats is a snapshot of a Meter.
type Stats struct {
	Bytes       uint64        // RTP bytes since the stream began
	Packets     uint64        //
	Lost        uint64        // packets missing by sequence number
	Frames      uint64        // pictures
	Keys        uint64        // key frames
	Bitrate     float64       // bit/s over the last 5 s
	FrameRate   float64       // pictures per second over the last 5 s
	KeyInterval time.Duration // between the two newest key frames, 0 until then
	LastPacket  time.Time     // zero if none yet
	LastKey     time.Time     // zero if none yet
}

// Arrived counts packets of n bytes in all that came at t, and the packets
// found missing before them.
func (m *Meter) Arrived(t time.Time, packets, n, lost int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.st.Packets += uint64(packets)
	m.st.Bytes += uint64(n)
	m.st.Lost += uint64(lost)
	m.st.LastPacket = t
	m.at(t).bytes += uint64(n)
}

// Frame counts a picture that began at t.
func (m *Meter) Frame(t time.Time, key bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.st.Frames++
	m.at(t).frames++
	if !key {
		return
	}
	m.st.Keys++
	if !m.st.LastKey.IsZero() {
		m.st.KeyInterval = t.Sub(m.st.LastKey)
	}
	m.st.LastKey = t
}

func (m *Meter) at(t time.Time) *second {
	if m.first.IsZero() {
		m.first = t
	}
	n := int64(max(0, t.Sub(m.first))/time.Second) + 1
	s := &m.seconds[n%(window+1)]
	if s.t != n {
		*s = second{t: n}
	}
	return s
}

// Stats returns the figures as of now. Rates fall to 0 when nothing arrives.
func (m *Meter) Stats(now time.Time) Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.st
	n := int64(now.Sub(m.first)/time.Second) + 1
	var bytes, frames uint64
	for _, s := range m.seconds {
		if s.t < n && s.t >= n-window {
			bytes += s.bytes
			frames += s.frames
		}
	}
	secs := min(float64(window), max(1, now.Sub(m.first).Seconds()))
	st.Bitrate = float64(bytes) * 8 / secs
	st.FrameRate = float64(frames) / secs
	return st
}
