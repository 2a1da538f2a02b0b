//go:build cgo

package srt

import (
	"context"
	"slices"

	"camrelay/media"
	"camrelay/media/feed"
	"camrelay/media/hub"
	"camrelay/media/mpegts"
)

// ready waits until s has media to send. It goes on having some as long as the
// reader is open that is returned.
func ready(ctx context.Context, s *hub.Stream) (awake *hub.Reader[*media.Unit], tracks []*media.Track, err error) {
	awake = s.Units.Reader("srt", hub.LastStart)
	awake.Relax()
	if tracks, err = feed.AwaitTS(ctx, s, awake); err != nil {
		awake.Close()
		return nil, nil, err
	}
	return awake, tracks, nil
}

// attach waits until s has media to send, and returns a reader of its transport
// stream. release gives it back.
func attach(ctx context.Context, s *hub.Stream) (r *hub.Reader[mpegts.Chunk], release func(), err error) {
	awake, tracks, err := ready(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	defer awake.Close()
	chunks, drop := feed.TS(s, tracks)
	r = chunks.Reader("srt", hub.LastStart)
	r.Relax()
	return r, func() { r.Close(); drop() }, nil
}

// carried tells whether s has anything that can be sent, as far as is known.
func carried(s *hub.Stream) bool {
	tracks, _ := s.Tracks()
	return len(tracks) == 0 || slices.ContainsFunc(tracks, mpegts.Carries)
}
