package hub

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/media"
)

// Bounds of the logs of one stream. The newest group of pictures stays whole
// in both as long as it fits; a 10 s GOP at 16 Mbit/s does.
const (
	maxBytes   = 24 << 20
	maxEntries = 1 << 15
	keep       = 2 * time.Second
	// lead is how much media a new RTSP viewer gets at least: FFmpeg shows
	// nothing before it has 20 pictures.
	lead = time.Second
)

// Stream is one camera's media for everybody who wants it. It outlives the
// camera's connections: after an outage the logs go on, marked with a Gap.
type Stream struct {
	// Packets is what RTSP viewers read: packets as the camera sent them.
	Packets *Log[media.Packets]
	// Units is what everything else reads. Its writer fills it only while it
	// has readers; a new reader finds the newest group of pictures soon after.
	Units *Log[*media.Unit]
	// Meter counts what arrives.
	Meter *Meter

	name   string
	video  atomic.Bool // there is a video track
	parent *Stream     // of a view; nil for a stream of its own
	about  any         // a view's

	mu      sync.Mutex // guards what follows
	tracks  []*media.Track
	clocks  map[int]Clock // by track ID
	changed chan struct{} // closed and replaced when tracks change
	closed  bool
	derived map[string]deriving // by name
	loops   sync.WaitGroup      // of the derivations and views
}

// NewStream returns an empty stream. name is the path under which viewers ask
// for it.
func NewStream(name string) *Stream {
	lim := Limits{Entries: maxEntries, Bytes: maxBytes, Keep: keep}
	withLead := lim
	withLead.Lead = lead
	s := &Stream{
		name:  name,
		Meter: &Meter{},
		Packets: NewLog(withLead,
			func(p media.Packets) int { return len(p.Wire) },
			func(p media.Packets) bool { return p.Key }),
		Units: NewLog(lim,
			(*media.Unit).Size,
			func(u *media.Unit) bool { return u.Key }),
		clocks:  make(map[int]Clock),
		changed: make(chan struct{}),
		derived: make(map[string]deriving),
	}
	// Viewers take sound with the next picture: half the wake-ups for a few
	// milliseconds.
	s.Packets.minor = func(p media.Packets) bool { return p.Track.Kind != media.KindVideo && s.video.Load() }
	return s
}

// Name returns the stream's path.
func (s *Stream) Name() string { return s.name }

// SetTracks publishes the track list: when a camera has described itself and
// whenever parameter sets change. Index equals Track.ID. The slice is the
// stream's from then on.
func (s *Stream) SetTracks(tracks []*media.Track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracks = tracks
	s.video.Store(slices.ContainsFunc(tracks, func(t *media.Track) bool { return t.Kind == media.KindVideo }))
	close(s.changed)
	s.changed = make(chan struct{})
}

// Tracks returns the track list, nil before a camera has described itself, and
// a channel that is closed when it changes or the stream ends. The slice is
// shared and must not be written to.
func (s *Stream) Tracks() (tracks []*media.Track, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tracks, s.changed
}

// Clock ties the RTP time stamps of one track to the box's clock: what is
// stamped RTP, as in Packets, was captured at Wall. The clocks of all tracks of
// a stream share one error, so that audio and video stay together.
type Clock struct {
	RTP  uint32
	Wall time.Time
}

// SetClock notes what the camera has reported of a track.
func (s *Stream) SetClock(trackID int, c Clock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clocks[trackID] = c
}

// Clock returns the newest relation of a track, false if its camera reports none.
func (s *Stream) Clock(trackID int) (Clock, bool) {
	if s.parent != nil {
		return s.parent.Clock(trackID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clocks[trackID]
	return c, ok
}

// WaitTracks returns the track list as soon as there is one in which every
// track that has units is described well enough for a container.
func (s *Stream) WaitTracks(ctx context.Context) ([]*media.Track, error) {
	for {
		tracks, changed := s.Tracks()
		if Ready(tracks) {
			return tracks, nil
		}
		if s.Closed() {
			return nil, ErrEnded
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Ready tells whether tracks are known and each of them is ready.
func Ready(tracks []*media.Track) bool {
	for _, t := range tracks {
		if !t.Ready() {
			return false
		}
	}
	return len(tracks) > 0
}

// Forget is called when a camera is about to connect: what the logs hold of
// the time before is for those who were there, not for new readers.
func (s *Stream) Forget() {
	s.Packets.Forget()
	s.Units.Forget()
	for _, v := range s.views() {
		v.Units.Forget()
	}
	s.Meter.Connect(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.clocks)
}

// Closed tells whether Close was called.
func (s *Stream) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close ends the stream: all readers get io.EOF after what is left, all
// derived logs end too. It waits until their loops have returned.
//
// A view ends with its stream or its last user and is not to be closed.
func (s *Stream) Close() {
	if s.parent != nil {
		panic("hub: internal error: Close of a view")
	}
	s.end(io.EOF)
}

// end ends the stream, its units with err, and what is derived from them.
func (s *Stream) end(err error) {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.changed)
		s.changed = make(chan struct{})
	}
	s.mu.Unlock()
	if s.parent == nil {
		s.Packets.Close()
	}
	s.Units.fail(err)
	s.loops.Wait()
}
