package hub

import (
	"context"
	"io"

	"camrelay/media"
)

// ViewRecipe says how a view is made: a stream whose units and tracks are made
// of those of another.
type ViewRecipe struct {
	Name   string         // one view of this name runs per stream
	Tracks []*media.Track // of the view to begin with; nil if not known yet
	About  any            // what View.About returns
	// Run fills view.Units and calls view.SetTracks until ctx is done or the
	// stream ends. It returns how the units are to end, nil for io.EOF; a panic
	// ends them with a *media.PanicError.
	Run func(ctx context.Context, view *Stream) error
}

// viewing is a view while it has users.
type viewing struct {
	view *Stream
	use
}

// View returns the view of that name, which runs from the first user to the
// last. Its packets, clocks and meter are those of s, its name too; it may be
// read and derived from like any stream. release must be called once the caller
// is done.
func View(s *Stream, r ViewRecipe) (view *Stream, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, _ := s.derived[r.Name].(*viewing)
	if d == nil {
		ctx, u := newUse()
		d = &viewing{viewOf(s, &r), u}
		s.derived[r.Name] = d
		s.loops.Go(func() {
			defer close(d.done)
			err := look(ctx, d.view, r.Run)
			d.cancel()
			s.mu.Lock()
			s.unlist(r.Name, d) // whoever comes now gets a view that is fresh
			s.mu.Unlock()
			d.view.end(err)
		})
	}
	return d.view, d.enter(s, r.Name, d)
}

// viewOf returns a stream that has everything but its units from s, whose mu is held.
func viewOf(s *Stream, r *ViewRecipe) *Stream {
	v := NewStream(s.name)
	v.Packets, v.Meter = s.Packets, s.Meter
	v.parent, v.about = s, r.About
	v.tracks = r.Tracks
	return v
}

// look runs a view and returns how its units are to end.
func look(ctx context.Context, view *Stream, run func(context.Context, *Stream) error) (err error) {
	defer media.Contain(&err)
	if err = run(ctx, view); err == nil {
		err = io.EOF
	}
	return err
}

// About returns what the maker of a view says of it, nil for a stream that is
// no view.
func (s *Stream) About() any { return s.about }

// views returns the views that are in use.
func (s *Stream) views() (all []*Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.derived {
		if v, ok := d.(*viewing); ok {
			all = append(all, v.view)
		}
	}
	return all
}
