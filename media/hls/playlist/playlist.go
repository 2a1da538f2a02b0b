// Package playlist formats HLS playlists from plain values. It decides
// nothing, reads no clock and no file: what may change between two versions of
// a playlist is the caller's duty.
//
// All functions are pure and may be called from any goroutine.
//
// Specification: RFC 8216, and draft-pantos-hls-rfc8216bis for EXT-X-GAP and
// all that makes latency low.
package playlist

import (
	"slices"
	"strconv"
	"time"
)

// EXT-X-VERSION: lengths that are no whole seconds came with 3, fragmented MP4
// with 7, EXT-X-GAP needs 8 and EXT-X-SKIP 9 (rfc8216bis §8). Players may refuse
// what is above their own, so the higher ones are told only then.
const (
	versionOld = 3
	version    = 7
	versionGap = 8
	versionLow = 9
)

// Media is a media playlist.
type Media struct {
	TargetDuration        int    // seconds, ≥ each segment's duration rounded to the nearest
	Sequence              uint64 // number of the first segment
	DiscontinuitySequence uint64 // of the first segment, without its own Discontinuity
	Independent           bool   // every segment begins with a key frame
	Segments              []Segment
	Skipped               int  // so many of the first Segments are left out (EXT-X-SKIP)
	Low                   *Low // nil: the playlist is plain
}

// Low is what a low-latency playlist has in addition.
type Low struct {
	PartTarget time.Duration // ≥ each part's duration
	Open       *Segment      // grows yet; only its parts are listed. nil: it has none
	Hint       string        // URI of the part that comes next
}

// Segment is one media segment.
type Segment struct {
	URI           string
	Map           string // URI of its init segment; empty if it does not need one
	Duration      time.Duration
	DateTime      time.Time // of its first sample; zero if not known
	Discontinuity bool      // it does not continue the segment before
	Gap           bool      // it has no media and is not to be loaded
	Parts         []Part    // in order; none if they are not offered
}

// Part is one partial segment.
type Part struct {
	URI         string
	Duration    time.Duration
	Independent bool // begins with a key frame
	Gap         bool // it has no media and is not to be loaded
}

// Text is the text of a playlist that many viewers share, although each wants
// a suffix of its own, such as a query with its question mark, at all URIs.
// Nobody may write to what it holds.
type Text struct {
	text []byte
	ends []int // of the URIs in text
}

// With returns the text with suffix appended to each URI. Without a suffix it
// is shared; room is what the caller will append to the text otherwise.
func (t *Text) With(suffix string, room int) []byte {
	if suffix == "" {
		return slices.Clip(t.text)
	}
	b := make([]byte, 0, len(t.text)+len(t.ends)*len(suffix)+room)
	from := 0
	for _, end := range t.ends {
		b = append(b, t.text[from:end]...)
		b = append(b, suffix...)
		from = end
	}
	return append(b, t.text[from:]...)
}

// uri appends a URI.
func (t *Text) uri(uri string) {
	t.text = append(t.text, uri...)
	t.ends = append(t.ends, len(t.text))
}

// put appends strings.
func (t *Text) put(all ...string) {
	for _, s := range all {
		t.text = append(t.text, s...)
	}
}

// seconds appends a duration as a decimal number.
func (t *Text) seconds(d time.Duration) {
	t.text = strconv.AppendFloat(t.text, d.Seconds(), 'f', 5, 64)
}

// line appends a tag with a number.
func (t *Text) line(tag string, n uint64) {
	t.put(tag)
	t.text = strconv.AppendUint(t.text, n, 10)
	t.put("\n")
}

// head appends what each playlist begins with.
func (t *Text) head(version uint64, independent bool) {
	t.put("#EXTM3U\n")
	t.line("#EXT-X-VERSION:", version)
	if independent {
		t.put("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
}

// Text returns the text of the playlist. EXT-X-MAP is written where Map
// changes, after each discontinuity and after skipped segments.
func (m *Media) Text() *Text {
	t := &Text{text: make([]byte, 0, 512+200*len(m.Segments)), ends: make([]int, 0, 3*len(m.Segments)+32)}
	t.head(m.version(), m.Independent)
	t.line("#EXT-X-TARGETDURATION:", uint64(m.TargetDuration))
	if m.Low != nil {
		m.control(t)
	}
	t.line("#EXT-X-MEDIA-SEQUENCE:", m.Sequence)
	if m.DiscontinuitySequence > 0 {
		t.line("#EXT-X-DISCONTINUITY-SEQUENCE:", m.DiscontinuitySequence)
	}
	if m.Skipped > 0 {
		t.line("#EXT-X-SKIP:SKIPPED-SEGMENTS=", uint64(m.Skipped))
	}
	current := ""
	for i := m.Skipped; i < len(m.Segments); i++ {
		s := &m.Segments[i]
		current = t.segment(s, current)
		t.put("#EXTINF:")
		t.seconds(s.Duration)
		t.put(",\n")
		t.uri(s.URI)
		t.put("\n")
	}
	if m.Low != nil {
		if m.Low.Open != nil {
			t.segment(m.Low.Open, current)
		}
		t.put(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="`)
		t.uri(m.Low.Hint)
		t.put("\"\n")
	}
	return t
}

func (m *Media) version() uint64 {
	if m.Low != nil {
		return versionLow
	}
	least := uint64(versionOld)
	for i := range m.Segments {
		switch {
		case m.Segments[i].Gap:
			return versionGap
		case m.Segments[i].Map != "":
			least = version
		}
	}
	return least
}

// SkipBoundary returns how far from the end of a playlist of that target
// duration segments may be skipped (CAN-SKIP-UNTIL).
func SkipBoundary(target time.Duration) time.Duration { return 6 * target }

// control appends what a low-latency player plans with. All bounds are the
// least that rfc8216bis §4.4.3.8 allows or, of PART-HOLD-BACK, advises.
func (m *Media) control(t *Text) {
	target := time.Duration(m.TargetDuration) * time.Second
	t.put("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=")
	t.seconds(3 * m.Low.PartTarget)
	t.put(",HOLD-BACK=")
	t.seconds(3 * target)
	t.put(",CAN-SKIP-UNTIL=")
	t.seconds(SkipBoundary(target))
	t.put("\n#EXT-X-PART-INF:PART-TARGET=")
	t.seconds(m.Low.PartTarget)
	t.put("\n")
}

// segment appends all of s but its duration and its URI, and returns the URI of
// the init segment that rules now.
func (t *Text) segment(s *Segment, current string) string {
	if s.Discontinuity {
		t.put("#EXT-X-DISCONTINUITY\n")
		current = ""
	}
	if s.Map != current && s.Map != "" {
		t.put(`#EXT-X-MAP:URI="`)
		t.uri(s.Map)
		t.put("\"\n")
	}
	if s.Gap {
		t.put("#EXT-X-GAP\n")
	}
	if !s.DateTime.IsZero() {
		t.put("#EXT-X-PROGRAM-DATE-TIME:")
		t.text = s.DateTime.UTC().AppendFormat(t.text, "2006-01-02T15:04:05.000Z")
		t.put("\n")
	}
	for i := range s.Parts {
		t.part(&s.Parts[i])
	}
	if s.Map == "" {
		return current
	}
	return s.Map
}

func (t *Text) part(p *Part) {
	t.put("#EXT-X-PART:DURATION=")
	t.seconds(p.Duration)
	t.put(`,URI="`)
	t.uri(p.URI)
	t.put(`"`)
	if p.Independent {
		t.put(",INDEPENDENT=YES")
	}
	if p.Gap {
		t.put(",GAP=YES")
	}
	t.put("\n")
}

// Report is what one low-latency playlist tells of another of the same
// multivariant playlist.
type Report struct {
	URI      string // relative
	Sequence uint64 // of the segment that has the newest part
	Part     int    // index of that part in its segment
}

// AppendReport appends an EXT-X-RENDITION-REPORT to the text of a playlist.
func AppendReport(b []byte, r Report) []byte {
	b = append(b, `#EXT-X-RENDITION-REPORT:URI="`...)
	b = append(b, r.URI...)
	b = append(b, `",LAST-MSN=`...)
	b = strconv.AppendUint(b, r.Sequence, 10)
	b = append(b, ",LAST-PART="...)
	b = strconv.AppendInt(b, int64(r.Part), 10)
	return append(b, '\n')
}
