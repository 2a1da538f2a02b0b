package hlscheck

import (
	"math"
	"strconv"
	"time"
)

// slack is what sums of rounded lengths may be off by.
const slack = 50 * time.Millisecond

// drift is how far EXT-X-PROGRAM-DATE-TIME may be from what EXTINF makes it:
// clocks are corrected in small steps.
const drift = 100 * time.Millisecond

// leastPart is the share of PART-TARGET that a part lasts for at least.
const leastPart = 0.85

// judge applies the rules that one playlist has to keep by itself.
func (p *parser) judge() {
	l := &p.list
	if l.Target < time.Second {
		p.fault("no EXT-X-TARGETDURATION")
	}
	if len(l.Segments) == 0 {
		p.fault("no segments")
	}
	if l.Skipped > 0 && l.Version < 9 || l.Version < 6 {
		p.fault("EXT-X-VERSION is %d", l.Version)
	}
	p.judgeControl()
	for i := range l.Segments[min(l.Skipped, len(l.Segments)):] {
		p.judgeSegment(&l.Segments[l.Skipped+i])
	}
	p.judgeParts(l.Open.Parts, "the open segment")
	p.judgeWindow()
	p.judgeTime()
}

func (p *parser) judgeControl() {
	l := &p.list
	if l.Control == nil || l.Control["CAN-BLOCK-RELOAD"] != "YES" {
		p.fault("no CAN-BLOCK-RELOAD")
	}
	if l.PartTarget == 0 {
		p.fault("no PART-TARGET")
	}
	if l.Hint == "" {
		p.fault("no EXT-X-PRELOAD-HINT")
	}
	p.atLeast("PART-HOLD-BACK", 3*l.PartTarget)
	p.atLeast("HOLD-BACK", 3*l.Target)
	p.atLeast("CAN-SKIP-UNTIL", 6*l.Target)
}

// atLeast judges an attribute of EXT-X-SERVER-CONTROL.
func (p *parser) atLeast(name string, least time.Duration) {
	got, err := strconv.ParseFloat(p.list.Control[name], 64)
	if err != nil || got < least.Seconds()-1e-6 {
		p.fault("%s is %q, %v at least is wanted", name, p.list.Control[name], least)
	}
}

func (p *parser) judgeSegment(s *Segment) {
	if rounded := time.Duration(math.Round(s.Duration.Seconds())) * time.Second; rounded > p.list.Target {
		p.fault("%s lasts %v, the target duration is %v", s.URI, s.Duration, p.list.Target)
	}
	if s.Map == "" && !s.Gap {
		p.fault("%s has no EXT-X-MAP", s.URI)
	}
	if s.DateTime.IsZero() {
		p.fault("%s has no EXT-X-PROGRAM-DATE-TIME", s.URI)
	}
	if p.list.Independent && len(s.Parts) > 0 && !s.Parts[0].Independent {
		p.fault("segments are independent, but %s is not", s.Parts[0].URI)
	}
	p.judgeParts(s.Parts, s.URI)
	var sum time.Duration
	for i := range s.Parts {
		sum += s.Parts[i].Duration
	}
	if len(s.Parts) > 0 && (sum-s.Duration).Abs() > slack {
		p.fault("the parts of %s last %v, itself %v", s.URI, sum, s.Duration)
	}
}

// judgeParts applies rfc8216bis §4.4.4.9. The last part may be short: it is, or
// may be, the last of its segment.
func (p *parser) judgeParts(parts []Part, where string) {
	for i := range parts {
		part := &parts[i]
		if part.Duration > p.list.PartTarget {
			p.fault("%s lasts %v, PART-TARGET is %v", part.URI, part.Duration, p.list.PartTarget)
		}
		free := part.Independent || part.Gap || i+1 == len(parts) || parts[i+1].Gap
		if !free && part.Duration.Seconds() < leastPart*p.list.PartTarget.Seconds()-1e-6 {
			p.fault("%s in %s lasts %v, less than 85 %% of PART-TARGET %v", part.URI, where, part.Duration, p.list.PartTarget)
		}
		if part.URI == p.list.Hint {
			p.fault("%s is there and hinted at", part.URI)
		}
	}
}

// judgeWindow tells whether parts are listed where they have to be: within
// three target durations of the end, from some segment on without exception.
func (p *parser) judgeWindow() {
	l := &p.list
	var after time.Duration
	for i := range l.Open.Parts {
		after += l.Open.Parts[i].Duration
	}
	seen := make(map[string]bool)
	without := "" // a later segment without parts
	for i := len(l.Segments) - 1; i >= l.Skipped; i-- {
		s := &l.Segments[i]
		after += s.Duration
		switch {
		case len(s.Parts) > 0 && without != "":
			p.fault("%s has no parts, %s before it has", without, s.URI)
		case len(s.Parts) == 0 && !s.Gap:
			without = s.URI
		}
		if after > 3*l.Target+l.PartTarget && len(s.Parts) > 0 {
			p.fault("%s has parts, %v from the end", s.URI, after)
		}
		if seen[s.URI] {
			p.fault("%s is listed twice", s.URI)
		}
		seen[s.URI] = true
	}
}

// judgeTime holds the times of day of segments against their lengths.
func (p *parser) judgeTime() {
	l := &p.list
	for i := l.Skipped; i < len(l.Segments); i++ {
		next := &l.Open
		if i+1 < len(l.Segments) {
			next = &l.Segments[i+1]
		}
		if next.DateTime.IsZero() || next.Discontinuity {
			continue
		}
		s := &l.Segments[i]
		if off := next.DateTime.Sub(s.DateTime) - s.Duration; off.Abs() > drift {
			p.fault("what follows %s is dated %v off", s.URI, off)
		}
	}
}

// total returns how long the playlist is.
func (l *List) total() (d time.Duration) {
	for i := range l.Segments {
		d += l.Segments[i].Duration
	}
	return d
}

// Edge returns which part comes next: the number of its segment and its index.
func (l *List) Edge() (sequence uint64, part int) {
	return l.Sequence + uint64(len(l.Segments)), len(l.Open.Parts)
}

// number returns the discontinuity sequence number of segment i; i may be that
// of the open one.
func (l *List) number(i int) uint64 {
	n := l.DiscontinuitySequence
	for j := range l.Segments[:min(i+1, len(l.Segments))] {
		if l.Segments[j].Discontinuity {
			n++
		}
	}
	if i == len(l.Segments) && l.Open.Discontinuity {
		n++
	}
	return n
}
