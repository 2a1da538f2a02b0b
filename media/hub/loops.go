package hub

import (
	"maps"
	"slices"
)

// Loop is how far a loop has come that reads a log and waits for nobody else, so
// that one that is behind and does not move hangs.
type Loop struct {
	ID     any    // comparable, and of no other loop: two may have the same name
	Name   string // of its reader, behind that of what it reads: "mpegts/hls"
	At     uint64 // entry that it reads next
	Behind bool   // there is more for it now
}

// Watch makes Stream.Loops tell of this reader until it is closed.
func (r *Reader[T]) Watch() {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if !r.closed && !slices.Contains(r.log.watched, r) {
		r.log.watched = append(r.log.watched, r)
	}
}

// unwatch is the end of Watch. The log's mu is held.
func (r *Reader[T]) unwatch() {
	r.log.watched = slices.DeleteFunc(r.log.watched, func(w *Reader[T]) bool { return w == r })
}

// deriving is what a stream has that is made of it: a *derivation[T] or a *viewing.
type deriving interface{ loops() []Loop }

func (l *Log[T]) loops() []Loop {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Loop, len(l.watched))
	for i, r := range l.watched {
		behind := r.pos < l.next
		if r.needStart {
			behind = l.hasStart && l.lastStart >= r.pos
		}
		all[i] = Loop{ID: r, Name: r.name, At: r.pos, Behind: behind}
	}
	return all
}

func (d *derivation[T]) loops() []Loop { return d.log.loops() }

func (d *viewing) loops() []Loop { return d.view.Loops() }

// Loops returns the watched readers of the stream's units and of what is derived
// from them.
func (s *Stream) Loops() []Loop {
	s.mu.Lock()
	derived := maps.Clone(s.derived)
	s.mu.Unlock()
	all := s.Units.loops()
	for name, d := range derived {
		for _, loop := range d.loops() {
			loop.Name = name + "/" + loop.Name
			all = append(all, loop)
		}
	}
	return all
}
