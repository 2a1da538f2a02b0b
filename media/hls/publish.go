package hls

import (
	"slices"
	"time"

	"camrelay/media"
)

// newInit returns an init segment, to be written with the first segment that
// needs it.
func (m *Muxer) newInit(tracks []*media.Track, data []byte) *initSegment {
	in := &initSegment{tracks: tracks, data: data, refs: 1}
	if m.form == fragmented {
		m.inits++
		in.name = initName(m.session, m.inits)
	}
	return in
}

// begin opens s, the next segment. Its file is made with its first part.
func (m *Muxer) begin(s *segment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.owner = m
	s.sequence = m.numbers.sequence
	s.name = mediaName(m.session, s.sequence)
	if m.form == transport { // the number may be given back, a name never is
		m.inits++
		s.name = transportName(m.session, m.inits)
	}
	if s.discontinuity {
		m.numbers.discontinuity++
		m.counts.discontinuities++
	}
	s.number = m.numbers.discontinuity
	m.numbers.sequence++
	m.numbers.used = true
	m.mixed = m.mixed || !s.independent
	s.init.refs++
	m.current = s
}

// part appends size bytes in bufs to the open segment. A segment of which a
// part cannot be written becomes a gap; its file stays if it was in a playlist,
// for those who are about to ask for the parts before. The last part of a segment
// is published by end: until then nobody could tell that no other follows.
func (m *Muxer) part(s *segment, bufs [][]byte, size int64, p part, last bool) {
	var err error
	if !s.gap {
		err = m.write(s, bufs, size)
	}
	if err != nil {
		m.failed(err)
		if !m.keep(s) {
			m.discard(s)
		}
	}
	m.remember()
	switch {
	case err != nil:
		m.forget() // a gap is shown, too, but nobody can go on with it
	case !s.gap:
		p.offset, p.size = s.size, size
		m.note(s, p)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case s.gap:
	case err != nil:
		s.gap = true
		if !s.kept {
			s.size = 0
		}
		m.counts.gaps++
		m.counts.err = err
	default:
		s.size += size
	}
	if last {
		m.tail = &p
		return
	}
	m.append(s, p)
	m.changed()
}

// append adds a part to what the open segment shows. mu is held.
func (m *Muxer) append(s *segment, p part) {
	s.duration += p.duration
	s.frames += p.frames
	s.second += p.second
	s.parts = append(s.parts, p)
}

// changed wakes all who wait for the low-latency playlist to change. mu is
// held.
func (m *Muxer) changed() {
	m.live++
	if m.wake != nil {
		close(m.wake)
		m.wake = nil
	}
}

// remember saves what a later session must know of what is about to be
// published: no number is ever used for two things.
func (m *Muxer) remember() {
	m.mu.Lock()
	n := m.numbers
	m.mu.Unlock()
	if n == m.saved {
		return
	}
	if err := m.store.save(n); err != nil {
		m.failed(err)
		return
	}
	m.saved = n
}

// end closes the open segment, which lasts for duration in all, and puts it
// into the playlist. It tells false if the segment is left out, so that the next
// one does not continue the last one there.
func (m *Muxer) end(s *segment, duration time.Duration) bool {
	if s.file != nil {
		if err := s.file.Close(); err != nil {
			m.failed(err)
		}
		s.file = nil
	}
	if s.gap && m.form == transport {
		m.forgo(s)
		m.noteAll()
		return false
	}
	gone := m.list(s, duration)
	if !s.gap {
		m.recovered()
	}
	if s.stored() {
		m.budget.add(s)
	}
	for _, g := range gone {
		if !g.stored() || m.budget.claim(g) {
			m.drop(g)
		}
	}
	m.noteEnd(s)
	m.show()
	return true
}

// forgo takes the open segment back: players of MPEG-TS know no gaps. No
// playlist has shown its numbers.
func (m *Muxer) forgo(s *segment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tail, m.current = nil, nil
	m.numbers.sequence = s.sequence
	if s.discontinuity {
		m.numbers.discontinuity--
		m.counts.discontinuities--
	}
	s.init.refs--
}

// list appends a segment to the playlist. It returns the segments whose files
// may go.
func (m *Muxer) list(s *segment, duration time.Duration) (gone []*segment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tail != nil {
		m.append(s, *m.tail)
		m.tail = nil
	}
	s.duration = duration
	m.current = nil
	if !s.gap {
		m.counts.err = nil
	}
	m.segments = append(m.segments, s)
	m.longest = max(m.longest, duration)
	gone = m.slide(time.Now())
	m.measure()
	m.version++
	m.changed()
	return gone
}

// slide takes segments off the head of the playlist as long as enough remains
// (RFC 8216 §6.2.2) and returns those whose files may go now. mu is held.
func (m *Muxer) slide(now time.Time) (gone []*segment) {
	var total time.Duration
	for _, s := range m.listed() {
		total += s.duration
	}
	least := max(m.cfg.Window, 3*m.targetDuration())
	whole := total
	for _, s := range m.listed() {
		if total-s.duration < least {
			break
		}
		total -= s.duration
		s.expires = now.Add(s.duration + whole)
		m.behead(s.sequence+1, now)
	}
	for _, s := range m.segments {
		if s.sequence < m.first && (!s.stored() || !s.expires.After(now)) {
			gone = append(gone, s)
		}
	}
	return gone
}

// drop removes a segment that is not in the budget's list, and whatever
// precedes it from the playlist. Called from any goroutine.
func (m *Muxer) drop(s *segment) {
	m.mu.Lock()
	m.behead(s.sequence+1, time.Now())
	if i := slices.Index(m.segments, s); i >= 0 {
		m.segments = slices.Delete(m.segments, i, i+1)
	}
	in := s.init
	last := m.unref(in)
	m.mu.Unlock()

	if s.stored() {
		m.unlink(s.name, s.reserved)
	}
	if last {
		m.unlink(in.name, pages(int64(len(in.data))))
	}
}

// behead makes first the first segment in the playlist, unless it is already. mu
// is held.
func (m *Muxer) behead(first uint64, now time.Time) {
	if first <= m.first {
		return
	}
	listed := m.listed()
	var whole time.Duration
	for _, s := range listed {
		whole += s.duration
	}
	for _, s := range listed {
		if s.sequence >= first {
			break
		}
		s.left = now
		if s.expires.IsZero() {
			s.expires = now.Add(s.duration + whole)
		}
	}
	m.first = first
	m.version++
	m.changed()
}

// unref gives up one reference and tells whether the file is to be removed.
// mu is held.
func (m *Muxer) unref(in *initSegment) (last bool) {
	in.refs--
	last = in.refs == 0 && in.written
	if last {
		in.written = false
	}
	return last
}

// release gives up one reference to an init segment.
func (m *Muxer) release(in *initSegment) {
	m.mu.Lock()
	last := m.unref(in)
	m.mu.Unlock()
	if last {
		m.unlink(in.name, pages(int64(len(in.data))))
	}
}
