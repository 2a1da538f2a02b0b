package hls

import (
	"container/list"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// page is the unit in which a tmpfs takes memory.
const page = 4096

// pages returns n rounded up to whole pages.
func pages(n int64) int64 { return (n + page - 1) / page * page }

// Budget bounds the bytes in files, counted in whole pages: for each stream,
// for all together, and by what the file system has left. It is asked before a
// write; to make room the oldest segments go, of the stream that is over its
// own bound or of them all. While there are viewers, segments leave the
// playlists some time before their files go.
type Budget struct {
	perStream, whole int64
	room             func() int64  // that the file system has left; nil: not asked for
	hold             time.Duration // how long what was in a playlist for a viewer is kept, come what may

	mu      sync.Mutex // guards what follows and the fields of each share
	total   int64      // whole, or less while memory is short
	used    int64
	pending int64     // of used, perhaps not in files yet
	retired int64     // of used, in segments that have left the playlists for want of room
	told    time.Time // when a playlist was made for a viewer
	oldest  list.List // of *segment: complete ones, in the order of their completion
}

// share is the part of a Budget that one stream uses.
type share struct{ used, retired int64 }

// Bounds of what is kept for viewers, and for others.
const (
	// defaultHold is long enough for whoever asks at once for what he was told of.
	defaultHold = 500 * time.Millisecond
	// ahead is the share of the room, one in so many, that segments which have
	// left the playlists may take.
	ahead = 3
	// watched is how long after a playlist was asked for somebody is taken to watch.
	watched = 10 * time.Second
	// leeway is the share of a file system, one in so many, that is left free, for
	// others write to it too, but maxLeeway at most.
	leeway    = 16
	maxLeeway = 8 << 20
)

// NewBudget returns a Budget of bytes per stream and in total, both > 0.
func NewBudget(perStream, total int64) *Budget {
	return &Budget{perStream: min(perStream, total), whole: total, total: total, hold: defaultHold}
}

// Shrink lets all streams together use one part in so many of what they might;
// Shrink(1) takes that back. What is beyond it goes with the next writes.
func (b *Budget) Shrink(parts int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total = b.whole / parts
}

// Beware makes b leave some of the file system of root free, whoever fills it.
// It is called before b is used.
func (b *Budget) Beware(root *os.Root) *Budget {
	b.room = func() int64 {
		var st unix.Statfs_t
		if unix.Statfs(root.Name(), &st) != nil {
			return 1 << 62 // writing will tell
		}
		return int64(st.Bavail)*st.Bsize - min(int64(st.Blocks)*st.Bsize/leeway, maxLeeway)
	}
	return b
}

// Used returns the bytes in use and the bound for all streams.
func (b *Budget) Used() (used, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.total
}

// reserve takes n bytes for o, to be written now. If they are not there, or
// hardly, it returns the segment that must go first, which is the caller's to
// retire, or, if retired tells so, to drop; nil if there is none.
func (b *Budget) reserve(o *share, n int64) (victim *segment, retired, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, left := time.Now(), b.left()
	if now.Sub(b.told) < watched {
		if s := b.tight(o, n, left); s != nil {
			return s, false, false
		}
	}
	switch {
	case o.used+n > b.perStream:
		victim, retired = b.takeOldest(o, now)
	case b.used+n > b.total, n > left:
		victim, retired = b.takeOldest(nil, now)
	default:
		b.used += n
		b.pending += n
		o.used += n
		return nil, false, true
	}
	return victim, retired, false
}

// left returns the bytes that the file system has left, once what is reserved
// has been written. mu is held.
func (b *Budget) left() int64 {
	if b.room == nil {
		return b.total
	}
	return b.room() - b.pending
}

// tight returns a segment to be retired if n bytes more for o leave too little
// for those that are retired. mu is held.
func (b *Budget) tight(o *share, n, left int64) *segment {
	if used := o.used - o.retired; used+n > b.perStream-b.perStream/ahead {
		if s := b.oldestIn(o); s != nil {
			return s
		}
	}
	used, total := b.used-b.retired, b.total
	if b.room != nil {
		total = min(total, b.used+left) // what others have is not ours to share out
	}
	if used+n > total-total/ahead {
		return b.oldestIn(nil)
	}
	return nil
}

// oldestIn marks the oldest segment of o, or of all if o is nil, that is in a
// playlist as one that leaves it, and returns it. mu is held.
func (b *Budget) oldestIn(o *share) *segment {
	for e := b.oldest.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*segment); !s.leaving && (o == nil || s.owner.share == o) {
			b.leave(s)
			return s
		}
	}
	return nil
}

// leave marks s as one that leaves the playlist. mu is held.
func (b *Budget) leave(s *segment) {
	s.leaving, s.until = true, time.Time{}
	b.retired += s.reserved
	s.owner.share.retired += s.reserved
}

// retire notes that s has left the playlist, in which a viewer may have seen it
// last at that time.
func (b *Budget) retire(s *segment, seen time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.until = seen.Add(b.hold + 1) // never the zero time
}

// evict returns the oldest segment of all, which is the caller's to drop or to
// retire, as reserve; nil if there is none.
func (b *Budget) evict() (victim *segment, retired bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.takeOldest(nil, time.Now())
}

// takeOldest returns the oldest segment of o, or of all if o is nil, that may
// go: one that has left its playlist long enough ago, which it unlists, or else
// one that is to leave it. mu is held.
func (b *Budget) takeOldest(o *share, now time.Time) (s *segment, retired bool) {
	for e := b.oldest.Front(); e != nil; e = e.Next() {
		s := e.Value.(*segment)
		if o != nil && s.owner.share != o || !s.leaving || s.until.IsZero() || s.until.After(now) {
			continue
		}
		b.unlist(s)
		return s, true
	}
	return b.oldestIn(o), false
}

// unlist takes s off the list. mu is held.
func (b *Budget) unlist(s *segment) {
	b.oldest.Remove(s.listed)
	s.listed = nil
	if s.leaving {
		b.retired -= s.reserved
		s.owner.share.retired -= s.reserved
	}
}

// written tells that n reserved bytes are in files, or never will be.
func (b *Budget) written(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending -= n
}

// adopt takes n bytes for o that are in files already, if there is room for them.
func (b *Budget) adopt(o *share, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o.used+n > b.perStream || b.used+n > b.total {
		return false
	}
	b.used += n
	o.used += n
	return true
}

// release gives n bytes back.
func (b *Budget) release(o *share, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	o.used -= n
}

// tell notes that a playlist was made for a viewer.
func (b *Budget) tell(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = now
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
	b.unlist(s)
	return true
}

// usedBy returns the bytes of o.
func (b *Budget) usedBy(o *share) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return o.used
}
