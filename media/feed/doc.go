// Package feed keeps the logs that several protocols share: a stream as MPEG-TS
// chunks and as FLV tags, muxed once however many readers there are. It neither
// muxes nor sends; it knows what a reader of either container needs to begin.
//
// A log exists from its first user to the last. All functions may be called
// from any goroutine.
package feed

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/mpegts"
)

// limits are those of both logs: what the log of units holds, which is up to
// 24 MiB, and the containers' own bytes.
func limits() hub.Limits {
	return hub.Limits{Entries: 1 << 15, Bytes: 26 << 20, Keep: 2 * time.Second}
}

// TS returns the transport stream of s. tracks are what AwaitTS returned: the
// first user's count, and what they do not tell the stream shows in time. The
// caller calls release when it is done with log.
func TS(s *hub.Stream, tracks []*media.Track) (log *hub.Log[mpegts.Chunk], release func()) {
	return hub.Derive(s, hub.Recipe[mpegts.Chunk]{
		Name:   "mpegts",
		Limits: limits(),
		Size:   func(c mpegts.Chunk) int { return len(c.Data) },
		Start:  func(c mpegts.Chunk) bool { return c.Key },
		New: func() func(*media.Unit, []mpegts.Chunk) []mpegts.Chunk {
			return mpegts.New(tracks).Chunks
		},
	})
}

// AwaitTS returns the tracks of s as soon as there is media to send as MPEG-TS.
// awake is the caller's own reader, which keeps the stream making units until
// the caller reads the log of TS. A stream of which MPEG-TS carries nothing is
// a failure of media.ClassUnsupported that names its codecs.
func AwaitTS(ctx context.Context, s *hub.Stream, awake *hub.Reader[*media.Unit]) ([]*media.Track, error) {
	return await(ctx, s, awake, func(tracks []*media.Track) string {
		if slices.ContainsFunc(tracks, mpegts.Carries) {
			return ""
		}
		var names []string
		for _, t := range tracks {
			names = append(names, t.Codec.String())
		}
		return "MPEG-TS cannot carry " + strings.Join(names, " and ")
	})
}

// AwaitFLV is AwaitTS for FLV and readers that take those extras.
func AwaitFLV(
	ctx context.Context, s *hub.Stream, awake *hub.Reader[*media.Unit], takes flv.Extras,
) ([]*media.Track, error) {
	return await(ctx, s, awake, func(tracks []*media.Track) string {
		video, audio, omitted := flv.Choose(tracks, takes)
		if video != nil || audio != nil {
			return ""
		}
		var reasons []string
		for _, o := range omitted {
			reasons = append(reasons, o.String())
		}
		return strings.Join(reasons, "; ")
	})
}

// await is AwaitTS where refuse tells why the tracks cannot be carried, empty
// if they can.
func await(
	ctx context.Context, s *hub.Stream, awake *hub.Reader[*media.Unit], refuse func([]*media.Track) string,
) ([]*media.Track, error) {
	tracks, err := s.WaitTracks(ctx)
	if err != nil {
		return nil, err
	}
	if why := refuse(tracks); why != "" {
		return nil, media.Fail(media.ClassUnsupported, errors.New(why))
	}
	_, _, err = awake.Next(ctx)
	return tracks, err
}
