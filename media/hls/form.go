package hls

import (
	"time"

	"camrelay/media"
	"camrelay/media/fmp4"
)

// form is a format of segments. A stream is packaged in each on its own.
type form uint8

// The formats.
const (
	fragmented form = iota // CMAF
	transport              // MPEG-TS, without parts and init segments
)

// product is a stream in one format.
type product struct {
	name string
	form form
}

// forms returns all formats.
func forms() [2]form { return [...]form{fragmented, transport} }

// state returns the name of the state file.
func (f form) state() string {
	if f == transport {
		return transportState
	}
	return stateName
}

// journal returns the name of the journal.
func (f form) journal() string {
	if f == transport {
		return transportJournal
	}
	return journalName
}

// mux makes the bytes of parts.
type mux interface {
	// Add takes a unit, and tells whether it did.
	Add(u *media.Unit) bool
	// Flush appends what was taken since the last Flush, before next if known.
	Flush(dst [][]byte, next *media.Unit) (bufs [][]byte, size int)
	// Frame returns the usual duration of a unit of the leading track.
	Frame(id int) time.Duration
	// End returns the media time at which all is over that was ever flushed; 0 if
	// what is flushed has no media time.
	End() time.Duration
}

// format is what a packager knows of its form.
type format interface {
	// carries tells whether a track can be packaged.
	carries(t *media.Track) bool
	// describe returns what stands for tracks: other bytes mean that players
	// must be told.
	describe(tracks []*media.Track) ([]byte, error)
	// start returns what makes the segments of tracks from now on, whose media
	// time is later than stream time by shift. same is what did so until now if
	// the tracks are described by the same bytes, else nil.
	start(tracks []*media.Track, shift time.Duration, same mux) mux
}

// fragments is the format of CMAF.
type fragments struct{}

func (fragments) carries(t *media.Track) bool { return fmp4.Check(t) == nil }

func (fragments) describe(tracks []*media.Track) ([]byte, error) { return fmp4.Init(tracks) }

func (fragments) start(tracks []*media.Track, shift time.Duration, same mux) mux {
	m, ok := same.(*fmp4.Muxer)
	if !ok {
		m = fmp4.NewMuxer(tracks)
	}
	m.Shift = shift
	return m
}
