// Package cmaf has the nouns in which a packager tells what it keeps to whoever
// makes a manifest of it: fragmented segments of all tracks of a stream, on one
// time line. Values are copies; the tracks are shared
// and never change.
package cmaf

import (
	"time"

	"camrelay/media"
)

// Window is what is kept of a stream now.
type Window struct {
	Name      string        // of the stream
	Base      string        // relative URI of its directory, empty or ending in a slash
	Query     string        // for all URIs of the viewer, empty or beginning with ?
	Epoch     time.Time     // media time 0, that of all streams
	Target    time.Duration // no segment lasts longer by more than half a second
	Part      time.Duration // greatest length of the runs in which a segment grows
	Length    time.Duration // least length of what is kept, once there is that much
	Bandwidth []int         // bit/s, peak of each track; zero where it is not known
	FrameRate float64       // measured
	Segments  []Segment     // in order, those that could not be written left out
}

// Scale is the number of ticks per second in which the start of a segment is its
// name.
const Scale = 90000

// Ticks returns the start of the segment.
func (s *Segment) Ticks() int64 { return media.ToTicks(s.Start, Scale) }

// Segment is one segment.
type Segment struct {
	Session     string         // with Start its name for good
	Run         uint64         // rises where a segment does not continue the one before; of one init segment
	RunStart    time.Duration  // Start of the first one of the run
	Init        int            // number of the init segment in its session
	Tracks      []*media.Track // with the track_IDs 1, 2, …
	Start       time.Duration  // media time of its first picture
	Duration    time.Duration  // so far, of the open one
	Independent bool           // it begins with a key frame
	Open        bool           // it grows yet; only the last one
}
