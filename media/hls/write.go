package hls

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

var errBudget = errors.New("no room is left on the file system or in the byte budget")

// write appends size bytes in bufs to the segment's file, at the cost of older
// segments if there is no room.
func (m *Muxer) write(s *segment, bufs [][]byte, size int64) error {
	err := m.describe(s.init)
	grow := pages(s.size+size) - pages(s.size)
	if err == nil {
		err = m.reserve(grow)
	}
	if err != nil {
		return fmt.Errorf("cannot write segment: %w", err)
	}
	defer m.budget.written(grow)
	s.reserved += grow
	for at := s.size; ; {
		if s.file == nil {
			s.file, err = m.store.create(s.name)
		}
		if err == nil {
			var n int64
			n, bufs, err = writeAt(s.file, bufs, at)
			at += n
		}
		if err == nil {
			return nil
		}
		if !isFull(err) || !m.evict() {
			return fmt.Errorf("cannot write segment: %w", err)
		}
		err = nil
	}
}

// keep tells whether parts of the open segment have been in a playlist: then what
// there is of it stays.
func (m *Muxer) keep(s *segment) bool {
	m.mu.Lock()
	s.kept = m.shown > s.sequence && s.size > 0
	size := s.size
	m.mu.Unlock()
	if !s.kept || s.file.Truncate(size) != nil {
		return s.kept
	}
	spare := s.reserved - pages(size)
	m.budget.release(m.share, spare)
	s.reserved -= spare
	return true
}

// discard gives up the file of the open segment.
func (m *Muxer) discard(s *segment) {
	if s.file != nil {
		s.file.Close() // it is removed
		s.file = nil
	}
	m.unlink(s.name, s.reserved)
	s.reserved = 0
}

// describe writes the init segment unless it is there.
func (m *Muxer) describe(in *initSegment) error {
	m.mu.Lock()
	written := in.written || in.name == ""
	m.mu.Unlock()
	if written {
		return nil
	}
	if err := m.reserve(pages(int64(len(in.data)))); err != nil {
		return err
	}
	defer m.budget.written(pages(int64(len(in.data))))
	for {
		err := m.writeInit(in)
		if err == nil {
			break
		}
		if !isFull(err) || !m.evict() {
			m.budget.release(m.share, pages(int64(len(in.data))))
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	in.written = true
	return nil
}

// redescribe gives the open segment another init segment, unless a playlist
// has shown the one that it has. It tells whether it did.
func (m *Muxer) redescribe(s *segment, in *initSegment) bool {
	if m.inPlaylist(s.init, s.sequence) || !s.gap && m.describe(in) != nil {
		return false
	}
	m.mu.Lock()
	was := s.init
	s.init = in
	in.refs++
	m.mu.Unlock()
	m.release(was)
	return true
}

// inPlaylist tells whether in was in a playlist for another segment or for that
// one.
func (m *Muxer) inPlaylist(in *initSegment, sequence uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shown > sequence || slices.ContainsFunc(m.segments, func(s *segment) bool { return s.init == in })
}

func (m *Muxer) writeInit(in *initSegment) error {
	f, err := m.store.create(in.name)
	if err != nil {
		return err
	}
	_, err = f.Write(in.data)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = m.store.remove(in.name) // the next try or the next session removes it
	}
	return err
}

// reserve takes n bytes of the budget, at the cost of older segments.
func (m *Muxer) reserve(n int64) error {
	for {
		victim, retired, ok := m.budget.reserve(m.share, n)
		switch {
		case ok:
			return nil
		case victim == nil:
			return errBudget
		case retired:
			victim.owner.drop(victim)
		default:
			victim.owner.retire(victim)
		}
	}
}

// evict removes the oldest segment of all streams that may go, and tells
// whether there was one.
func (m *Muxer) evict() bool {
	for {
		victim, retired := m.budget.evict()
		switch {
		case victim == nil:
			return false
		case retired:
			victim.owner.drop(victim)
			return true
		}
		victim.owner.retire(victim)
	}
}

// retire takes a segment, and whatever precedes it, off the playlist, for its
// file is to go soon. Called from any goroutine.
func (m *Muxer) retire(s *segment) {
	m.mu.Lock()
	m.behead(s.sequence+1, time.Now())
	seen := s.left
	if m.told.Before(seen) {
		seen = m.told
	}
	m.mu.Unlock()
	m.budget.retire(s, seen)
}

// unlink removes a file and gives the bytes reserved for it back.
func (m *Muxer) unlink(name string, reserved int64) {
	if err := m.store.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("cannot remove HLS segment", "err", err)
	}
	m.budget.release(m.share, reserved)
}

// failed notes and logs that writing has begun to fail.
func (m *Muxer) failed(err error) {
	if !m.failing {
		m.log.Warn("cannot write HLS segments", "err", err)
	}
	m.failing = true
}

// recovered logs that writing succeeds again.
func (m *Muxer) recovered() {
	if m.failing {
		m.log.Info("HLS segments are written again")
	}
	m.failing = false
}
