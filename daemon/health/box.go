package health

import (
	"slices"
	"time"
)

// Fault is something about the box that is not as it should be, as it is seen at
// one look.
type Fault struct {
	Name     Name
	Severity string // notice, warn or grave
	Text     string // for people
}

// BoxCondition is a fault that has lasted.
type BoxCondition struct {
	Fault

	Since time.Time // when it was seen first
}

// How long a fault must last before it is told, and be gone before it is taken
// back: a sensor at its limit would otherwise tell of nothing else.
const (
	raiseAfter = 15 * time.Second
	clearAfter = 30 * time.Second
)

// consequence maps a fault to those that bring it about and are told instead.
func consequences() map[Name][]Name {
	return map[Name][]Name{
		"hot":                {"too_hot"},
		"under_voltage_seen": {"under_voltage"},
		"clock_not_synced":   {"no_link", "clock_wrong"},
	}
}

// Box remembers the faults of the box from one look to the next. The zero value
// has seen nothing. It belongs to one goroutine.
type Box struct {
	seen []*lasting
}

// lasting is one fault that was seen.
type lasting struct {
	BoxCondition

	last   time.Time // when it was seen last
	raised bool
}

// Look takes what is seen at now, and returns what is news: conditions that are
// raised, and those that are cleared.
func (b *Box) Look(now time.Time, faults []Fault) (raised, cleared []BoxCondition) {
	for _, f := range faults {
		i := slices.IndexFunc(b.seen, func(l *lasting) bool { return l.Name == f.Name })
		if i < 0 {
			b.seen = append(b.seen, &lasting{BoxCondition: BoxCondition{f, now}})
			i = len(b.seen) - 1
		}
		b.seen[i].Fault, b.seen[i].last = f, now
	}
	b.seen = slices.DeleteFunc(b.seen, func(l *lasting) bool {
		gone := now.Sub(l.last) >= clearAfter || !l.raised && !l.last.Equal(now)
		if gone && l.raised {
			cleared = append(cleared, l.BoxCondition)
		}
		return gone
	})
	for _, l := range b.seen {
		if !l.raised && l.last.Equal(now) && now.Sub(l.Since) >= raiseAfter && !b.explained(l.Name) {
			l.raised = true
			raised = append(raised, l.BoxCondition)
		}
	}
	return raised, cleared
}

// explained tells whether another fault that is there brings this one about.
func (b *Box) explained(name Name) bool {
	causes := consequences()[name]
	return slices.ContainsFunc(b.seen, func(l *lasting) bool { return slices.Contains(causes, l.Name) })
}

// Conditions returns what is wrong, the gravest first.
func (b *Box) Conditions() []BoxCondition {
	var all []BoxCondition
	for _, severity := range []string{"grave", "warn", "notice"} {
		for _, l := range b.seen {
			if l.raised && l.Severity == severity && !b.explained(l.Name) {
				all = append(all, l.BoxCondition)
			}
		}
	}
	return all
}
