package hlscheck

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// List is a media playlist as a player understands it.
type List struct {
	Version               int
	Target                time.Duration
	PartTarget            time.Duration
	Control               map[string]string // attributes of EXT-X-SERVER-CONTROL
	Sequence              uint64
	DiscontinuitySequence uint64
	Skipped               int
	Independent           bool
	Segments              []Segment // complete ones; the first Skipped are empty until Merge
	Open                  Segment   // with the parts of the one that grows; without, nothing is known of it
	Hint                  string    // URI of the part that comes next
	Reports               []Report

	control string // as it stands in the playlist
}

// Segment is one media segment.
type Segment struct {
	URI, Map           string
	Duration           time.Duration
	DateTime           time.Time
	Discontinuity, Gap bool
	Parts              []Part
}

// Part is a partial segment.
type Part struct {
	URI              string
	Duration         time.Duration
	Independent, Gap bool
	Offset, Length   int64 // of the byte range; Length is 0 if it is the whole resource
}

// Report is what a playlist tells of another rendition.
type Report struct {
	URI      string
	Sequence uint64
	Part     int
}

// maxSkipped is more than any live playlist holds.
const maxSkipped = 1 << 12

// parser reads a playlist line by line.
type parser struct {
	list   List
	next   Segment // what applies to the segment that comes
	faults []string
	seen   map[string]bool
	end    int64 // of the last byte range
}

func (p *parser) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

// Parse reads the text of a live media playlist and tells what is wrong in it
// by itself.
func Parse(text []byte) (*List, []string) {
	p := &parser{seen: make(map[string]bool)}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if lines[0] != "#EXTM3U" {
		p.fault("it begins with %q, not with #EXTM3U", lines[0])
	}
	for _, line := range lines[1:] {
		p.line(line)
	}
	p.next.URI = ""
	p.list.Open = p.next
	if p.next.Duration != 0 {
		p.fault("an EXTINF is followed by no URI")
	}
	p.judge()
	return &p.list, p.faults
}

func (p *parser) line(line string) {
	tag, value, _ := strings.Cut(line, ":")
	once := true
	switch tag {
	case "#EXT-X-VERSION":
		p.list.Version = int(p.number(line, value))
	case "#EXT-X-TARGETDURATION":
		p.list.Target = time.Duration(p.number(line, value)) * time.Second
	case "#EXT-X-MEDIA-SEQUENCE":
		p.list.Sequence = p.number(line, value)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		p.list.DiscontinuitySequence = p.number(line, value)
	case "#EXT-X-INDEPENDENT-SEGMENTS":
		p.list.Independent = true
	case "#EXT-X-SERVER-CONTROL":
		p.list.Control, p.list.control = attributes(value), value
	case "#EXT-X-PART-INF":
		p.list.PartTarget = p.seconds(line, attributes(value)["PART-TARGET"])
	case "#EXT-X-SKIP":
		n := p.number(line, attributes(value)["SKIPPED-SEGMENTS"])
		if len(p.list.Segments) > 0 || n == 0 || n > maxSkipped {
			p.fault("strange skip %s", line)
			return
		}
		p.list.Skipped = int(n)
		p.list.Segments = make([]Segment, n)
	case "#EXT-X-PRELOAD-HINT":
		a := attributes(value)
		if p.list.Hint = a["URI"]; a["TYPE"] != "PART" || a["URI"] == "" {
			p.fault("strange hint %s", line)
		}
	default:
		once = false
		p.segment(line, tag, value)
	}
	if once && p.seen[tag] {
		p.fault("%s comes twice", tag)
	}
	p.seen[tag] = true
}

// segment reads what belongs to one segment.
func (p *parser) segment(line, tag, value string) {
	switch tag {
	case "#EXT-X-MAP":
		p.next.Map = attributes(value)["URI"]
	case "#EXT-X-DISCONTINUITY":
		p.next.Discontinuity = true
	case "#EXT-X-GAP":
		p.next.Gap = true
	case "#EXT-X-PROGRAM-DATE-TIME":
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			p.fault("strange time %s", line)
		}
		p.next.DateTime = t
	case "#EXT-X-PART":
		p.part(line, attributes(value))
	case "#EXT-X-RENDITION-REPORT":
		a := attributes(value)
		p.list.Reports = append(p.list.Reports, Report{
			URI: a["URI"], Sequence: p.number(line, a["LAST-MSN"]), Part: int(p.number(line, a["LAST-PART"])),
		})
	case "#EXTINF":
		p.next.Duration = p.seconds(line, strings.TrimSuffix(value, ","))
	default:
		if strings.HasPrefix(line, "#") || line == "" {
			p.fault("line %q has no place in a live playlist", line)
			return
		}
		p.next.URI = line
		if p.next.Duration == 0 {
			p.fault("%s has no EXTINF", line)
		}
		p.list.Segments = append(p.list.Segments, p.next)
		p.next = Segment{Map: p.next.Map}
	}
}

func (p *parser) part(line string, a map[string]string) {
	part := Part{
		URI: a["URI"], Duration: p.seconds(line, a["DURATION"]),
		Independent: a["INDEPENDENT"] == "YES", Gap: a["GAP"] == "YES",
	}
	if span, ok := a["BYTERANGE"]; ok {
		length, offset, given := strings.Cut(span, "@")
		part.Length, part.Offset = int64(p.number(line, length)), p.end
		if given {
			part.Offset = int64(p.number(line, offset))
		}
		p.end = part.Offset + part.Length
	}
	if part.URI == "" {
		p.fault("%s has no URI", line)
	}
	p.next.Parts = append(p.next.Parts, part)
}

func (p *parser) number(line, s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		p.fault("%q is no number in %s", s, line)
	}
	return n
}

func (p *parser) seconds(line, s string) time.Duration {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f <= 0 || f > 1e6 {
		p.fault("%q is no duration in %s", s, line)
		return 0
	}
	return time.Duration(math.Round(f*1e6)) * time.Microsecond
}

// attributes parses an attribute list (RFC 8216 §4.2).
func attributes(s string) map[string]string {
	all := make(map[string]string)
	for s != "" {
		var name, value string
		name, s, _ = strings.Cut(s, "=")
		if rest, quoted := strings.CutPrefix(s, `"`); quoted {
			value, s, _ = strings.Cut(rest, `"`)
			s = strings.TrimPrefix(s, ",")
		} else {
			value, s, _ = strings.Cut(s, ",")
		}
		all[name] = value
	}
	return all
}
