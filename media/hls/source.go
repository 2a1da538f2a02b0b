package hls

import (
	"slices"

	"camrelay/media"
	"camrelay/media/hub"
)

// View returns a stream as it is to be packaged: itself, or a view of it in
// which the sound is such as segments can carry. It is called again when the
// tracks of the stream are others. release is called when the view is no longer
// read.
type View func(s *hub.Stream) (view *hub.Stream, release func())

// whole is the View of a Server that was given none.
func whole(s *hub.Stream) (*hub.Stream, func()) { return s, func() {} }

// source is what a Muxer packages of its stream. It belongs to one goroutine.
type source struct {
	stream  *hub.Stream
	view    View
	of      []*media.Track // those of the stream when shown was chosen
	shown   *hub.Stream    // nil until follow
	release func()
}

// follow chooses anew if the stream has other tracks, and tells whether shown
// is another one.
func (s *source) follow() bool {
	tracks, _ := s.stream.Tracks()
	if s.shown != nil && slices.Equal(tracks, s.of) {
		return false
	}
	was := s.shown
	shown, release := s.view(s.stream)
	s.close()
	s.of, s.shown, s.release = tracks, shown, release
	return shown != was
}

func (s *source) close() {
	if s.release != nil {
		s.release()
		s.release = nil
	}
}
