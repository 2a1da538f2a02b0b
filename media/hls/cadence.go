package hls

import "time"

// leastPart is the share of PART-TARGET that each part but the last of a
// segment has to have (rfc8216bis §4.4.4.9).
const leastPart = 0.85

// bounds is what rules where segments and parts end.
type bounds struct {
	wanted time.Duration // length from which on a key frame ends a segment
	limit  time.Duration // length that a segment does not exceed, whether a key frame comes or not
	part   time.Duration // length that a part does not exceed
}

// bounds returns what rules now. frame is the usual duration of a frame of the
// leading track.
func (m *Muxer) bounds(frame time.Duration) bounds {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.frame = frame
	b := bounds{wanted: time.Duration(float64(m.cfg.Segment) * early), limit: maxSegment, part: m.numbers.part}
	if len(m.segments) == 0 { // short if it can be: somebody may be waiting for it
		b.wanted = m.cfg.Segment / 2
	}
	if m.numbers.target > 0 {
		b.limit = m.targetDuration() + 490*time.Millisecond
	}
	if b.part == 0 {
		b.part = partTarget(m.cfg.Part, frame)
	}
	return b
}

// partTarget returns the length for parts that whole frames fill well although
// their distances jitter: want if frames are short against it.
func partTarget(want, frame time.Duration) time.Duration {
	if frame <= want*12/100 {
		return want
	}
	n := max(1, (want+slack)/frame)
	return (n*frame*106/100 + time.Millisecond).Truncate(time.Millisecond)
}

// terms is what playlists promise and must keep.
type terms struct{ target, part time.Duration }

// terms returns what the playlists would promise now, and whether they do so
// already.
func (m *Muxer) terms() (t terms, settled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t = terms{m.targetDuration(), m.numbers.part}
	if t.part == 0 {
		frame := m.frame
		if m.rate > 0 {
			frame = time.Duration(float64(time.Second) / m.rate) // of many, so that one odd one does not count
		}
		t.part = partTarget(m.cfg.Part, frame)
		if m.current != nil {
			t.part = fit(t.part, m.current.parts)
		}
	}
	return t, m.numbers.target > 0 && m.numbers.part > 0
}

// fit changes a PART-TARGET so that it holds for parts that are there.
func fit(target time.Duration, parts []part) time.Duration {
	for i := range parts {
		if d := parts[i].duration; !parts[i].independent {
			target = min(target, time.Duration(float64(d)/leastPart))
		}
	}
	for i := range parts {
		target = max(target, parts[i].duration)
	}
	return target
}

// fits tells whether the parts of a complete segment may be listed.
func fits(target time.Duration, s *segment) bool {
	rest := s.duration
	for i := range s.parts {
		p := &s.parts[i]
		short := !p.independent && i+1 < len(s.parts) && float64(p.duration) < leastPart*float64(target)
		if short || p.duration > target {
			return false
		}
		rest -= p.duration
	}
	return rest.Abs() < target/10
}

// settle makes t what playlists promise, except where they promise already.
// Parts that were made before may break the promise; they are not listed.
func (m *Muxer) settle(t terms) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.numbers.target == 0 {
		m.numbers.target = int(t.target / time.Second)
	}
	if m.numbers.part > 0 {
		return
	}
	m.numbers.part = t.part
	for _, s := range m.segments {
		s.odd = !fits(t.part, s)
	}
}
