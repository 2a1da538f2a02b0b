// Package dash serves the segments that a packager keeps as MPEG-DASH: a dynamic
// manifest at /NAME/manifest.mpd and, of each segment, the part of each track.
// It packages nothing, opens no stream and knows no user: that is its Source's.
//
//	/NAME/manifest.mpd
//	/NAME/dash-SESSION-BASE-TIME-TRACK.m4s  one track of the segment at BASE+TIME
//	/NAME/dash-SESSION-initN-TRACK.mp4      init segment of that track
//
// A Handler may be used from any goroutine.
//
// # Why
//
// Segments are kept once, with all tracks, as HLS wants them; DASH players want
// one track per representation. So a track is taken out when it is asked for,
// and only viewers by DASH pay. The segment that grows is in the manifest with
// the length that it will have if it is like the one before: a player that asks
// for it gets each part as it is written.
//
// Media time 0 is the same moment for all streams, and it is the manifest's
// availabilityStartTime: presentation times stay true across outages and from
// rung to rung of a ladder. In the segments, times are made relative to the
// Period when a track is taken out, and need next to no presentationTimeOffset.
// Where the Source keeps that moment and its segments over a restart, a player finds
// what it knows in the same Period, and the rest in a later one.
//
// GStreamer reads manifests with faults of its own and gets one of another form,
// over the same segments: flat.go.
//
// Specification: ISO/IEC 23009-1, DASH-IF IOP v5 part 4 (low latency).
package dash

import (
	"context"
	"io"
	"net/http"

	"camrelay/media"
	"camrelay/media/cmaf"
)

// Source admits players and has the segments.
type Source interface {
	// Enter admits the player that shows itself by r to the stream of that
	// name. first tells that the answer tells a new player its session, by the
	// query of the windows. Its errors wrap those of package hub.
	Enter(r *http.Request, name string, first bool) (Visit, error)
}

// Visit is one request of a player, and ends with Leave.
type Visit interface {
	// Windows returns what is kept of the streams between which the player may
	// choose, the one that it asked for among them.
	Windows(ctx context.Context) []cmaf.Window
	// Tracks returns the tracks of the init segment of that number, nil if nothing
	// that is kept needs it.
	Tracks(session string, number int64) []*media.Track
	// Open opens the segment of the stream that was asked for that begins at
	// start, in ticks of cmaf.Scale. The error is os.ErrNotExist if there is none.
	Open(ctx context.Context, session string, start int64) (Segment, error)
	// Leave counts the bytes sent. told tells that the player has the answer.
	Leave(sent uint64, told bool)
}

// Segment is an open segment, which may grow yet.
type Segment interface {
	io.ReaderAt
	io.Closer
	// Tracks have the track_IDs 1, 2, …
	Tracks() []*media.Track
	// Size waits for more than after bytes, or for the end of the segment, and
	// returns how many there are: whole fragments.
	Size(ctx context.Context, after int64) (size int64, complete bool, err error)
}
