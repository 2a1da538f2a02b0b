package hls

import (
	"bytes"
	"io"
	"slices"
	"time"

	"camrelay/media/fmp4"
)

// inherit lists again what another process has listed until it was killed, so
// that players find what they know. It returns the numbers with which to go on.
// Nothing is inherited by other settings, or if the files are not what they
// should be.
func (m *Muxer) inherit(n numbers) numbers {
	if !n.used || n.target == 0 {
		return n
	}
	now := time.Now()
	all, first := m.store.left(now)
	if len(all) == 0 {
		return n
	}
	// What was begun last may be in the state file only: nobody has seen it.
	last := all[len(all)-1]
	if next := last.sequence + 1; next != n.sequence && next+1 != n.sequence {
		return n
	}
	for i, s := range slices.Backward(all) {
		if !m.adopt(s, n) {
			all = all[i+1:]
			break
		}
	}
	if len(all) == 0 {
		return n
	}
	n.sequence, n.discontinuity = last.sequence+1, last.number
	m.segments, m.first, m.shown = all, max(first, all[0].sequence), n.sequence
	var whole time.Duration
	for _, s := range m.listed() {
		whole += s.duration
	}
	for _, s := range all {
		if s.sequence < m.first { // whoever was told of it last may ask for it yet
			s.left, s.expires = now, now.Add(s.duration+whole)
		}
		m.longest = max(m.longest, s.duration)
		m.mixed = m.mixed || !s.independent
		m.budget.add(s)
	}
	return n
}

// adopt takes the file of s, and that of its init segment, over into the
// budget. It tells false if one is missing or there is no room for it.
func (m *Muxer) adopt(s *segment, n numbers) bool {
	if time.Duration(n.target)*time.Second+time.Second/2 <= s.duration {
		return false
	}
	f, err := m.store.open(s.name)
	if err != nil {
		return false
	}
	defer f.Close() // it is only looked at
	st, err := f.Stat()
	if err != nil || st.Size() < s.size || !m.budget.adopt(m.share, pages(st.Size())) {
		return false
	}
	if !m.adoptInit(s.init) {
		m.budget.release(m.share, pages(st.Size()))
		return false
	}
	s.init.refs++
	if !m.follow(s, f) {
		m.budget.release(m.share, pages(st.Size()))
		if m.unref(s.init) {
			m.unlink(s.init.name, pages(int64(len(s.init.data))))
		}
		return false
	}
	s.owner, s.reserved = m, pages(st.Size())
	s.odd = slices.ContainsFunc(s.parts, func(p part) bool { return p.duration > n.part })
	return true
}

// follow lets nothing begin before s, which lies in f, has been shown. It tells
// false if what is in the file makes no sense.
func (m *Muxer) follow(s *segment, f io.ReaderAt) bool {
	if !m.epoch.inherited() {
		return true
	}
	end := s.from + s.duration
	if s.init.tracks != nil {
		last, err := fmp4.End(f, s.size, s.init.tracks) // sound may go on for longer than pictures
		if err != nil {
			return false
		}
		end = max(end, last)
	}
	m.past = max(m.past, end)
	return true
}

func (m *Muxer) adoptInit(in *initSegment) bool {
	if in.name == "" || in.written {
		return true
	}
	f, err := m.store.open(in.name)
	if err != nil {
		return false
	}
	defer f.Close() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxInit))
	if err != nil || len(b) == 0 || !m.budget.adopt(m.share, pages(int64(len(b)))) {
		return false
	}
	in.data, in.written = b, true
	if told, err := fmp4.Init(in.tracks); err != nil || !bytes.Equal(told, b) || !m.epoch.inherited() {
		in.tracks = nil // DASH does without: it goes by media time
	}
	return true
}

// maxInit is more than any init segment has.
const maxInit = 1 << 20
