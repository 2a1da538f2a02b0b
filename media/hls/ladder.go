package hls

import (
	"context"
	"slices"
	"strings"
	"time"

	"camrelay/media/hls/playlist"
)

// ladderParameter is the query that names the ladder on which a player watches
// a stream: its session is that of the stream which has the ladder.
const ladderParameter = "via"

// Ladder makes the multivariant playlist of the stream of that name list these
// streams, in that order; name is one of them as a rule. None takes the ladder
// away. A stream of which nothing is packaged is left out as long as that is so.
//
// Whoever may watch name may watch the others as well while Package packages
// them, without another session. The others are opened like any stream.
func (s *Server) Ladder(name string, renditions []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(renditions) == 0 {
		delete(s.ladders, name)
		return
	}
	s.ladders[name] = slices.Clone(renditions)
}

// ladder returns the streams of the multivariant playlist of name.
func (s *Server) ladder(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.ladders[name]; all != nil {
		return all
	}
	return []string{name}
}

// packaged returns what packages the stream of that name whether it has viewers
// or not; nil if nothing does.
func (s *Server) packaged(name string) *packaging {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.running[product{name, fragmented}]; p != nil && p.muxer != nil && !p.auto {
		return p
	}
	return nil
}

// shown returns what packages the stream that the viewer looks at, which need
// not be the one of its session.
func (s *Server) shown(ctx context.Context, ss *session, v visit) (*packaging, error) {
	if v.req.Path != v.name {
		if p := s.packaged(v.name); p != nil {
			return p, nil
		}
		return nil, errEmpty
	}
	return s.packaging(ctx, ss.sub.Stream, v.form)
}

// relative returns the URI of a playlist of another stream, or of the same one,
// as seen from those of name.
func relative(name, other, file string) string {
	if name == other {
		return file
	}
	return strings.Repeat("../", strings.Count(name, "/")+1) + other + "/" + file
}

// others are the streams of the viewer's ladder but the one that it looks at.
func (s *Server) others(v visit) []string {
	all := s.ladder(v.via)
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == v.name })
}

// muxers returns the Muxers of those of the streams that are packaged and have
// something to show, in that order.
func (s *Server) muxers(names []string) (found []*Muxer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		p := s.running[product{name, fragmented}]
		if p == nil || p.muxer == nil {
			continue
		}
		select {
		case <-p.muxer.ready:
			found = append(found, p.muxer)
		default:
		}
	}
	return found
}

// kin returns the other streams that are on a ladder with the one of that name.
func (s *Server) kin(name string) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for head, ladder := range s.ladders {
		if head != name && !slices.Contains(ladder, name) {
			continue
		}
		for _, other := range ladder {
			if other != name && !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all
}

// settle fixes what the playlists of m promise. All variants of a ladder promise
// the same (rfc8216bis §6.2.4), whichever is asked for first.
func (s *Server) settle(m *Muxer) {
	t, settled := m.terms()
	if settled {
		return
	}
	all := []*Muxer{m}
	if m.form == fragmented {
		all = append(all, s.muxers(s.kin(m.stream.Name()))...)
	}
	for _, o := range all {
		theirs, _ := o.terms()
		t.target, t.part = max(t.target, theirs.target), max(t.part, theirs.part)
	}
	for _, o := range all {
		o.settle(t)
	}
}

// reports returns what the playlist of the viewer's stream tells of the others
// of its ladder.
func (s *Server) reports(v visit) (all []playlist.Report) {
	for _, m := range s.muxers(s.others(v)) {
		name := m.stream.Name()
		if sequence, n, ok := m.newest(); ok {
			all = append(all, playlist.Report{
				URI: relative(v.name, name, livePlaylist) + v.suffix(name), Sequence: sequence, Part: n,
			})
		}
	}
	return all
}

// patience is how long a multivariant playlist waits for a stream that is not
// the one it was asked of.
const patience = 2 * time.Second

// multivariant returns the multivariant playlist of the viewer's stream, which
// m packages.
func (s *Server) multivariant(ctx context.Context, v visit, m *Muxer) ([]byte, error) {
	list := playlist.Multivariant{Independent: true}
	for _, name := range s.ladder(v.name) {
		o := m
		if name != v.name {
			if o = s.call(ctx, v, name); o == nil {
				continue
			}
		}
		variant, independent, err := o.variant()
		if err != nil {
			continue
		}
		variant.URI = relative(v.name, name, livePlaylist) + v.suffix(name)
		list.Variants = append(list.Variants, variant)
		list.Independent = list.Independent && independent
	}
	if len(list.Variants) == 0 {
		return nil, errEmpty
	}
	return list.Text(), nil
}

// call returns the Muxer of another stream of the viewer's ladder; nil if it has
// nothing to show or is not for the viewer. One that is packaged for viewers
// alone is opened for this one.
func (s *Server) call(ctx context.Context, v visit, name string) *Muxer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p := s.packaged(name)
	if p == nil {
		v.req.Path = name
		ss, err := s.enter(ctx, v, v.key())
		if err != nil {
			return nil
		}
		defer s.leave(ss)
		if p, err = s.packaging(ctx, ss.sub.Stream, v.form); err != nil {
			return nil
		}
	}
	ctx, begun := context.WithDeadline(ctx, p.began.Add(patience))
	defer begun()
	if p.wait(ctx, nil, nil) != nil {
		return nil
	}
	return p.muxer
}
