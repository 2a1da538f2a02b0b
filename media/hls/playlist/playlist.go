// Package playlist formats HLS playlists from plain values. It decides
// nothing, reads no clock and no file: what may change between two versions of
// a playlist is the caller's duty.
//
// All functions are pure and may be called from any goroutine.
//
// Specification: RFC 8216, and draft-pantos-hls-rfc8216bis for EXT-X-GAP.
package playlist

import (
	"strconv"
	"time"
)

// EXT-X-VERSION: fragmented MP4 came with 7, and EXT-X-GAP needs 8 (rfc8216bis
// §8). Players may refuse what is above their own, so 8 is told only then.
const (
	version    = 7
	versionGap = 8
)

// Media is a media playlist.
type Media struct {
	TargetDuration        int    // seconds, ≥ each segment's duration rounded to the nearest
	Sequence              uint64 // number of the first segment
	DiscontinuitySequence uint64 // of the first segment, without its own Discontinuity
	Independent           bool   // every segment begins with a key frame
	Segments              []Segment
	Suffix                string // appended to each URI, such as a query with its question mark
}

// Segment is one media segment.
type Segment struct {
	URI           string
	Map           string // URI of its init segment
	Duration      time.Duration
	DateTime      time.Time // of its first sample; zero if not known
	Discontinuity bool      // it does not continue the segment before
	Gap           bool      // it has no media and is not to be loaded
	Parts         []Part    // in order; none if they are not offered
}

// Part is one partial segment: a range of bytes of its segment.
type Part struct {
	Duration     time.Duration
	Offset, Size int64
	Independent  bool // begins with a key frame
}

// AppendTo appends the text of the playlist to b and returns the longer slice.
// EXT-X-MAP is written where Map changes and after each discontinuity.
func (m *Media) AppendTo(b []byte) []byte {
	v := uint64(version)
	for i := range m.Segments {
		if m.Segments[i].Gap {
			v = versionGap
		}
	}
	b = appendHead(b, v, m.Independent)
	b = appendInt(b, "#EXT-X-TARGETDURATION:", uint64(m.TargetDuration))
	b = appendInt(b, "#EXT-X-MEDIA-SEQUENCE:", m.Sequence)
	if m.DiscontinuitySequence > 0 {
		b = appendInt(b, "#EXT-X-DISCONTINUITY-SEQUENCE:", m.DiscontinuitySequence)
	}
	current := ""
	for i := range m.Segments {
		s := &m.Segments[i]
		if s.Discontinuity {
			b = append(b, "#EXT-X-DISCONTINUITY\n"...)
			current = ""
		}
		if s.Map != current {
			b = append(b, `#EXT-X-MAP:URI="`...)
			b = append(b, s.Map...)
			b = append(b, m.Suffix...)
			b = append(b, "\"\n"...)
			current = s.Map
		}
		b = m.appendSegment(b, s)
	}
	return b
}

func (m *Media) appendSegment(b []byte, s *Segment) []byte {
	if s.Gap {
		b = append(b, "#EXT-X-GAP\n"...)
	}
	if !s.DateTime.IsZero() {
		b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
		b = s.DateTime.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
		b = append(b, '\n')
	}
	b = append(b, "#EXTINF:"...)
	b = strconv.AppendFloat(b, s.Duration.Seconds(), 'f', 5, 64)
	b = append(b, ",\n"...)
	b = append(b, s.URI...)
	b = append(b, m.Suffix...)
	return append(b, '\n')
}

// Multivariant is a multivariant playlist.
type Multivariant struct {
	Independent bool // every segment of every variant begins with a key frame
	Variants    []Variant
}

// Variant is one variant stream.
type Variant struct {
	URI           string
	Bandwidth     int     // bit/s, peak over the segments
	Average       int     // bit/s, over the segments
	Codecs        string  // RFC 6381, separated by commas
	Width, Height int     // pixels, 0 without video
	FrameRate     float64 // pictures per second, 0 if not known
}

// AppendTo appends the text of the playlist to b and returns the longer slice.
func (m *Multivariant) AppendTo(b []byte) []byte {
	b = appendHead(b, version, m.Independent)
	for _, v := range m.Variants {
		b = append(b, "#EXT-X-STREAM-INF:BANDWIDTH="...)
		b = strconv.AppendInt(b, int64(v.Bandwidth), 10)
		b = append(b, ",AVERAGE-BANDWIDTH="...)
		b = strconv.AppendInt(b, int64(v.Average), 10)
		b = append(b, `,CODECS="`...)
		b = append(b, v.Codecs...)
		b = append(b, '"')
		if v.Width > 0 && v.Height > 0 {
			b = append(b, ",RESOLUTION="...)
			b = strconv.AppendInt(b, int64(v.Width), 10)
			b = append(b, 'x')
			b = strconv.AppendInt(b, int64(v.Height), 10)
		}
		if v.FrameRate > 0 {
			b = append(b, ",FRAME-RATE="...)
			b = strconv.AppendFloat(b, v.FrameRate, 'f', 3, 64)
		}
		b = append(b, '\n')
		b = append(b, v.URI...)
		b = append(b, '\n')
	}
	return b
}

func appendHead(b []byte, version uint64, independent bool) []byte {
	b = append(b, "#EXTM3U\n"...)
	b = appendInt(b, "#EXT-X-VERSION:", version)
	if independent {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	return b
}

func appendInt(b []byte, tag string, n uint64) []byte {
	b = append(b, tag...)
	b = strconv.AppendUint(b, n, 10)
	return append(b, '\n')
}
