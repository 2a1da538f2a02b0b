package hls

import (
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/hls/playlist"
	"camrelay/media/hub"
)

// Names of playlists.
const (
	multivariantName = "index.m3u8" // lists livePlaylist
	livePlaylist     = "live.m3u8"  // low latency
	plainPlaylist    = "hls.m3u8"
	tsPlaylist       = "ts.m3u8" // of MPEG-TS
)

// isPlaylist tells whether file is the name of a playlist.
func isPlaylist(file string) bool {
	return file == multivariantName || file == livePlaylist || file == plainPlaylist || file == tsPlaylist
}

// reserve is the share by which segments may still grow once the target
// duration is fixed.
const reserve = 1.2

// errEmpty says that there is no segment to be listed now.
var errEmpty = errors.New("no segment is available")

// listed returns the segments in the playlist. mu is held.
func (m *Muxer) listed() []*segment {
	i, _ := slices.BinarySearchFunc(m.segments, m.first, func(s *segment, n uint64) int {
		if s.sequence < n {
			return -1
		}
		return 1
	})
	return m.segments[i:]
}

// targetDuration returns what EXT-X-TARGETDURATION is or would be now. mu is
// held.
//
// Segments may be up to half a second longer, for the tag bounds rounded
// lengths (RFC 8216 §4.3.3.1); so rounding leaves at least the whole reserve.
func (m *Muxer) targetDuration() time.Duration {
	if m.numbers.target > 0 {
		return time.Duration(m.numbers.target) * time.Second
	}
	longest := max(m.longest, m.cfg.Segment)
	if m.current != nil {
		longest = max(longest, m.current.duration)
	}
	return max(1, time.Duration(math.Round(longest.Seconds()*reserve))) * time.Second
}

// target returns the target duration as it is or would be now.
func (m *Muxer) target() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.targetDuration()
}

// measure takes bit rates and the frame rate from the segments in the
// playlist. mu is held.
func (m *Muxer) measure() {
	var size int64
	var duration time.Duration
	peak, frames, tracks := 0, 0, [2]int{}
	m.keys = 0
	least := m.cfg.Segment / 2
	if !slices.ContainsFunc(m.listed(), func(s *segment) bool { return !s.gap && s.duration >= least }) {
		least = 1 // a camera that broke off has left nothing better
	}
	for _, s := range m.listed() {
		m.keys = max(m.keys, s.keys)
		if s.gap || s.duration < least {
			continue
		}
		peak = max(peak, bitrate(s.size, s.duration))
		for i, rate := range s.rates() {
			tracks[i] = max(tracks[i], rate)
		}
		size += s.size
		duration += s.duration
		frames += s.frames
	}
	if duration > 0 {
		m.peak, m.average, m.tracks = peak, bitrate(size, duration), tracks
		m.rate = float64(frames) / duration.Seconds()
	}
}

// rates returns the bit rates of the tracks of s. mu is held.
func (s *segment) rates() [2]int {
	if s.gap || s.duration <= 0 {
		return [2]int{}
	}
	second := int64(s.second)
	return [2]int{bitrate(s.size-second, s.duration), bitrate(second, s.duration)}
}

func bitrate(size int64, d time.Duration) int { return int(math.Ceil(float64(size) * 8 / d.Seconds())) }

// variant returns what a multivariant playlist tells of the stream, but for
// the URI, and whether every segment begins with a key frame.
func (m *Muxer) variant() (v playlist.Variant, independent bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	segments := m.listed()
	if len(segments) == 0 || m.peak == 0 {
		return v, false, errEmpty
	}
	v = describe(segments[len(segments)-1].init.tracks, m.rate)
	v.Bandwidth, v.Average = m.peak, m.average
	return v, !m.mixed, nil
}

// plain returns the plain playlist.
func (m *Muxer) plain() (*playlist.Text, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	segments := m.listed()
	if len(segments) == 0 && m.unfit != nil {
		return nil, hub.Refuse(hub.ErrUnavailable, m.unfit.Error())
	}
	if len(segments) == 0 {
		return nil, errEmpty
	}
	m.tell()
	return m.cache.plain.get(m.version, func() *playlist.Text {
		pl := m.media(segments)
		return pl.Text()
	}), nil
}

// tell notes that a viewer is told of what is listed. mu is held.
func (m *Muxer) tell() {
	m.told = time.Now()
	m.budget.tell(m.told)
}

// media returns the playlist of segments, of which there is one at least. mu
// is held.
func (m *Muxer) media(segments []*segment) playlist.Media {
	head := segments[0]
	pl := playlist.Media{
		TargetDuration: int(m.targetDuration() / time.Second), Sequence: head.sequence, DiscontinuitySequence: head.number,
		Independent: !m.mixed, Segments: make([]playlist.Segment, len(segments)),
	}
	if head.discontinuity {
		pl.DiscontinuitySequence--
	}
	for i, s := range segments {
		pl.Segments[i] = entryOf(s)
	}
	return pl
}

// entryOf returns what playlists tell of a segment, but for its parts. The init
// segment of a gap may never have been written.
func entryOf(s *segment) playlist.Segment {
	e := playlist.Segment{
		URI: s.name, Map: s.init.name, Duration: s.duration, DateTime: s.wall, Discontinuity: s.discontinuity, Gap: s.gap,
	}
	if s.gap && !s.init.written {
		e.Map = ""
	}
	return e
}

// cache holds the playlists that have been asked for since they changed.
type cache struct{ plain, live, delta made }

// made is a playlist of one version.
type made struct {
	version uint64
	text    *playlist.Text
}

// get returns the playlist of that version, which make makes if it is not
// there.
func (c *made) get(version uint64, make func() *playlist.Text) *playlist.Text {
	if c.text == nil || c.version != version {
		*c = made{version, make()}
	}
	return c.text
}

// describe returns what a multivariant playlist tells of tracks. rate is what
// was measured, for a track that does not tell.
func describe(tracks []*media.Track, rate float64) (v playlist.Variant) {
	var names []string
	for _, t := range tracks {
		if name := codec.String(t); name != "" {
			names = append(names, name)
		}
		if t.Kind != media.KindVideo {
			continue
		}
		v.Width, v.Height, v.FrameRate = t.Width, t.Height, t.FrameRate
		if v.FrameRate == 0 {
			v.FrameRate = math.Round(rate)
		}
	}
	v.Codecs = strings.Join(names, ",")
	return v
}

// openFile opens a complete segment or an init segment that is still held; the
// error is fs.ErrNotExist for any other name.
func (m *Muxer) openFile(name string) (*os.File, error) {
	m.mu.Lock()
	isInit := func(s *segment) bool { return s.init.name == name && s.init.written }
	known := m.current != nil && isInit(m.current) || slices.ContainsFunc(m.segments, func(s *segment) bool {
		return s.name == name && !s.gap || isInit(s)
	})
	m.mu.Unlock()
	if !known {
		return nil, os.ErrNotExist
	}
	return m.store.open(name)
}

// handOver returns the numbers with which another Muxer of the stream goes on once
// Run has ended.
func (m *Muxer) handOver() numbers {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.numbers
	n.past = max(m.past, m.sound)
	return n
}
