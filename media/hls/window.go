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
)

// Names of playlists.
const (
	multivariantName = "index.m3u8"
	mediaPlaylist    = "hls.m3u8"
)

// reserve is the share by which segments may still grow once the target
// duration is fixed.
const reserve = 1.2

// errEmpty says that there is no segment to be listed now.
var errEmpty = errors.New("no segment is available")

// cache holds the media playlist of one version, without a suffix. It is shared
// with those who send it.
type cache struct {
	version uint64
	media   []byte
}

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

// limit returns how long a segment may be, whether a key frame comes or not.
func (m *Muxer) limit() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.numbers.target == 0 {
		return maxSegment
	}
	return m.targetDuration() + 490*time.Millisecond
}

// wanted returns the length from which on a key frame ends a segment. The very
// first one is short if it can be: somebody may be waiting for it.
func (m *Muxer) wanted() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.segments) == 0 {
		return m.cfg.Segment / 2
	}
	return time.Duration(float64(m.cfg.Segment) * early)
}

// measure takes bit rates and the frame rate from the segments in the
// playlist. mu is held.
func (m *Muxer) measure() {
	var size int64
	var duration time.Duration
	peak, frames := 0, 0
	for _, s := range m.listed() {
		if s.gap || s.duration < m.cfg.Segment/2 {
			continue
		}
		peak = max(peak, bitrate(s.size, s.duration))
		size += s.size
		duration += s.duration
		frames += s.frames
	}
	if duration > 0 {
		m.peak, m.average = peak, bitrate(size, duration)
		m.rate = float64(frames) / duration.Seconds()
	}
}

func bitrate(size int64, d time.Duration) int { return int(math.Ceil(float64(size) * 8 / d.Seconds())) }

// playlist returns the playlist of that file name and the target duration.
func (m *Muxer) playlist(file, suffix string) ([]byte, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.listed()) == 0 {
		return nil, 0, errEmpty
	}
	if m.cache.version != m.version {
		m.cache = cache{version: m.version}
	}
	td := m.targetDuration()
	if file == multivariantName {
		text, err := m.multivariant(suffix)
		return text, td, err
	}
	m.numbers.target = int(td / time.Second)
	return m.media(suffix), td, nil
}

// media returns the media playlist. suffix is appended to each URI. mu is held.
func (m *Muxer) media(suffix string) []byte {
	if suffix == "" && m.cache.media != nil {
		return m.cache.media
	}
	segments := m.listed()
	head := segments[0]
	pl := playlist.Media{
		TargetDuration: m.numbers.target, Sequence: head.sequence, DiscontinuitySequence: head.number,
		Independent: !m.mixed, Suffix: suffix, Segments: make([]playlist.Segment, len(segments)),
	}
	if head.discontinuity {
		pl.DiscontinuitySequence--
	}
	for i, s := range segments {
		pl.Segments[i] = playlist.Segment{
			URI: s.name, Map: s.init.name, Duration: s.duration, DateTime: s.wall,
			Discontinuity: s.discontinuity, Gap: s.gap,
		}
	}
	text := pl.AppendTo(make([]byte, 0, 256+160*len(segments)))
	if suffix == "" {
		m.cache.media = text
	}
	return text
}

// multivariant returns the multivariant playlist. mu is held.
func (m *Muxer) multivariant(suffix string) ([]byte, error) {
	if m.peak == 0 {
		return nil, errEmpty
	}
	segments := m.listed()
	v := describe(segments[len(segments)-1].init.tracks, m.rate)
	v.URI, v.Bandwidth, v.Average = mediaPlaylist+suffix, m.peak, m.average
	return (&playlist.Multivariant{Independent: !m.mixed, Variants: []playlist.Variant{v}}).AppendTo(nil), nil
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
	known := slices.ContainsFunc(m.segments, func(s *segment) bool {
		return s.name == name && !s.gap || s.init.name == name && s.init.written
	})
	m.mu.Unlock()
	if !known {
		return nil, os.ErrNotExist
	}
	return m.store.open(name)
}

// handOver returns the numbers with which another Muxer of the stream goes on.
func (m *Muxer) handOver() numbers {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.numbers
}

// Status is what is known of a Muxer.
type Status struct {
	Name            string
	Segments        int           // on disk
	Listed          int           // in the playlist
	Bytes           int64         // on disk
	Sequence        uint64        // of the next segment
	TargetDuration  time.Duration // 0 until it is fixed
	Bandwidth       int           // bit/s, peak
	Gaps            uint64        // segments that could not be written
	Discontinuities uint64
	Lost            uint64 // units missed by being slow
	Viewers         int    // sessions; set by Server.Status
	Err             error  // why the newest segment could not be written; nil if it could
}

// Status returns the figures as of now.
func (m *Muxer) Status() Status {
	used := m.budget.usedBy(&m.share)
	m.mu.Lock()
	defer m.mu.Unlock()
	return Status{
		Name: m.stream.Name(), Segments: len(m.segments), Listed: len(m.listed()), Bytes: used,
		Sequence: m.numbers.sequence, TargetDuration: time.Duration(m.numbers.target) * time.Second,
		Bandwidth: m.peak, Gaps: m.counts.gaps, Discontinuities: m.counts.discontinuities,
		Lost: m.counts.lost, Err: m.counts.err,
	}
}
