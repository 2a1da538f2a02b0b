package hub

import (
	"slices"
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
	tracks  []TrackStats
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
	Connected   time.Time     // when the camera was about to connect last, zero if never
	Tracks      []TrackStats  // by track ID, since Connected; shorter than the track list at first
}

// TrackStats is what is known of one track since its camera has connected.
type TrackStats struct {
	Last  time.Time // arrival of the newest packet, zero if none yet
	Moved time.Time // when a packet with another time stamp came last, zero if none yet
	Stamp uint32    // its time stamp
}

// Heard is the newest packet of a track: when it came and how it is stamped.
type Heard struct {
	Track int // ID
	At    time.Time
	Stamp uint32
}

// Connect notes that the camera is about to connect: what is known of its
// tracks and of the distance of its key frames begins anew.
func (m *Meter) Connect(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.st.Connected = t
	m.tracks = nil
}

// Arrived counts packets of n bytes in all that came at t, and the packets
// found missing before them; heard is the newest of each track among them.
func (m *Meter) Arrived(t time.Time, packets, n, lost int, heard ...Heard) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.st.Packets += uint64(packets)
	m.st.Bytes += uint64(n)
	m.st.Lost += uint64(lost)
	m.st.LastPacket = t
	m.at(t).bytes += uint64(n)
	for _, h := range heard {
		m.heard(h)
	}
}

func (m *Meter) heard(h Heard) {
	for len(m.tracks) <= h.Track {
		m.tracks = append(m.tracks, TrackStats{})
	}
	tr := &m.tracks[h.Track]
	if tr.Moved.IsZero() || tr.Stamp != h.Stamp {
		tr.Moved, tr.Stamp = h.At, h.Stamp
	}
	tr.Last = h.At
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
	if m.st.LastKey.After(m.st.Connected) { // an outage is no distance
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

// Bytes returns the RTP bytes since the stream began.
func (m *Meter) Bytes() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.st.Bytes
}

// Stats returns the figures as of now. Rates fall to 0 when nothing arrives.
func (m *Meter) Stats(now time.Time) Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.st
	st.Tracks = slices.Clone(m.tracks)
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
