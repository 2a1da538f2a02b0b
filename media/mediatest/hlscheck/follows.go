package hlscheck

import "fmt"

// Merge fills what l skips from the playlist that the player has. It tells what
// does not fit.
func (l *List) Merge(had *List) (faults []string) {
	if l.Skipped == 0 {
		return nil
	}
	for i := range l.Skipped {
		at := l.Sequence + uint64(i) - had.Sequence
		if at >= uint64(len(had.Segments)) {
			faults = append(faults, fmt.Sprintf("segment %d is skipped, and was never listed", l.Sequence+uint64(i)))
			continue
		}
		l.Segments[i] = had.Segments[at]
		l.Segments[i].Parts = nil // none remains that far from the end
	}
	l.Skipped = 0
	return faults
}

// Follows tells what is wrong with b as a later version of a. Both are whole.
func Follows(a, b *List) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if a.Target != b.Target {
		fault("the target duration changed from %v to %v", a.Target, b.Target)
	}
	if a.PartTarget != b.PartTarget || a.control != b.control {
		fault("PART-TARGET or EXT-X-SERVER-CONTROL changed: %v %s, %v %s", a.PartTarget, a.control, b.PartTarget, b.control)
	}
	if b.Sequence < a.Sequence {
		fault("the media sequence went back from %d to %d", a.Sequence, b.Sequence)
		return faults
	}
	if b.DiscontinuitySequence < a.DiscontinuitySequence {
		fault("the discontinuity sequence went back from %d to %d", a.DiscontinuitySequence, b.DiscontinuitySequence)
	}
	as, ap := a.Edge()
	bs, bp := b.Edge()
	if bs < as || bs == as && bp < ap {
		fault("the newest part went back from %d.%d to %d.%d", as, ap, bs, bp)
	}
	if b.Sequence > a.Sequence && b.total() < 3*b.Target-slack {
		fault("segments were removed, and %v are left", b.total())
	}
	for i := range b.Segments {
		if n := b.Sequence + uint64(i) - a.Sequence; n <= uint64(len(a.Segments)) {
			faults = append(faults, a.kept(b, int(n), i)...)
		}
	}
	if as == bs && ap > 0 {
		faults = append(faults, became(&a.Open, &b.Open)...)
	}
	return append(faults, fulfilled(a, b)...)
}

// kept tells what is wrong with segment i of b, which is segment n of a; n may
// be that of the open one.
func (l *List) kept(b *List, n, i int) (faults []string) {
	was, is := &l.Open, &b.Segments[i]
	switch {
	case n < len(l.Segments):
		was = &l.Segments[n]
		if was.URI != is.URI || was.Duration != is.Duration || was.Gap != is.Gap {
			faults = append(faults, fmt.Sprintf("segment %s became %s, %v, gap %v", was.URI, is.URI, is.Duration, is.Gap))
		}
	case len(was.Parts) == 0:
		return nil
	}
	faults = append(faults, became(was, is)...)
	if got, want := b.number(i), l.number(n); got != want {
		faults = append(faults, fmt.Sprintf("the discontinuity number of %s became %d from %d", is.URI, got, want))
	}
	return faults
}

// became tells what is wrong with b as a later version of the same segment.
func became(a, b *Segment) (faults []string) {
	name := b.URI
	if name == "" {
		name = "the open segment"
	}
	if a.Map != b.Map && !b.Gap || a.Discontinuity != b.Discontinuity || !a.DateTime.Equal(b.DateTime) {
		faults = append(faults, fmt.Sprintf("%s changed: %v %v %v became %v %v %v", name,
			a.Map, a.Discontinuity, a.DateTime, b.Map, b.Discontinuity, b.DateTime))
	}
	if b.URI != "" && len(b.Parts) == 0 {
		return faults // so far from the end that they are removed
	}
	for i := range a.Parts {
		if i >= len(b.Parts) {
			return append(faults, fmt.Sprintf("%s lost %s", name, a.Parts[i].URI))
		}
		was, is := a.Parts[i], b.Parts[i]
		if is.Gap {
			was.Gap = true // it could not be kept
		}
		if was != is {
			faults = append(faults, fmt.Sprintf("a part of %s changed: %+v became %+v", name, was, is))
		}
	}
	return faults
}

// fulfilled tells whether the first part that b has more than a is the one that
// a hints at.
func fulfilled(a, b *List) []string {
	sequence, n := a.Edge()
	at := sequence - b.Sequence
	var parts []Part
	switch {
	case sequence < b.Sequence:
		return nil // long ago
	case at < uint64(len(b.Segments)):
		parts = b.Segments[at].Parts
		if len(parts) == 0 {
			return nil
		}
	default:
		parts = b.Open.Parts
	}
	switch {
	case n < len(parts) && parts[n].URI != a.Hint:
		return []string{fmt.Sprintf("%s was hinted at, and %s came", a.Hint, parts[n].URI)}
	case n >= len(parts) && at < uint64(len(b.Segments)) && b.broke(int(at)):
		return nil // the camera went away
	case n >= len(parts) && at < uint64(len(b.Segments)):
		return []string{fmt.Sprintf("%s was hinted at, and its segment ended without it", a.Hint)}
	}
	return nil
}

// broke tells whether what comes after segment i does not continue it, or is
// not known yet.
func (l *List) broke(i int) bool {
	if i+1 < len(l.Segments) {
		return l.Segments[i+1].Discontinuity
	}
	return l.Open.Discontinuity || len(l.Open.Parts) == 0
}
