package hls

import (
	"container/list"
	"sync"
)

// page is the unit in which a tmpfs takes memory.
const page = 4096

// pages returns n rounded up to whole pages.
func pages(n int64) int64 { return (n + page - 1) / page * page }

// Budget bounds the bytes in files, counted in whole pages: for each stream
// and for all together. It is asked before a write; to make room the oldest
// segments go first, of the stream that is over its own bound or of them all.
type Budget struct {
	perStream, total int64

	mu     sync.Mutex // guards what follows and the fields of each share
	used   int64
	oldest list.List // of *segment: complete ones, in the order of their completion
}

// share is the part of a Budget that one stream uses.
type share struct{ used int64 }

// NewBudget returns a Budget of bytes per stream and in total, both > 0.
func NewBudget(perStream, total int64) *Budget {
	return &Budget{perStream: min(perStream, total), total: total}
}

// Used returns the bytes in use and the bound for all streams.
func (b *Budget) Used() (used, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.total
}

// reserve takes n bytes for o. If they are not there it returns the segment
// that must go first, which is the caller's to drop; nil if none is left.
func (b *Budget) reserve(o *share, n int64) (victim *segment, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case o.used+n > b.perStream:
		return b.takeOldest(o), false
	case b.used+n > b.total:
		return b.takeOldest(nil), false
	}
	b.used += n
	o.used += n
	return nil, true
}

// evict returns the oldest segment of all, which is the caller's to drop; nil
// if there is none.
func (b *Budget) evict() *segment {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.takeOldest(nil)
}

// takeOldest unlists the oldest segment of o, or of all if o is nil. mu is held.
func (b *Budget) takeOldest(o *share) *segment {
	for e := b.oldest.Front(); e != nil; e = e.Next() {
		if s, ok := e.Value.(*segment); ok && (o == nil || s.owner.share == o) {
			b.oldest.Remove(e)
			s.listed = nil
			return s
		}
	}
	return nil
}

// release gives n bytes back.
func (b *Budget) release(o *share, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	o.used -= n
}

// add lists a complete segment as one that may be taken.
func (b *Budget) add(s *segment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.listed = b.oldest.PushBack(s)
}

// claim unlists s for its owner. It tells false if s has been taken already:
// then somebody else drops it.
func (b *Budget) claim(s *segment) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.listed == nil {
		return false
	}
	b.oldest.Remove(s.listed)
	s.listed = nil
	return true
}

// usedBy returns the bytes of o.
func (b *Budget) usedBy(o *share) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return o.used
}
