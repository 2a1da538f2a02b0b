package health

import (
	"slices"
	"testing"
)

// TestBox looks every ten seconds.
func TestBox(t *testing.T) {
	fault := func(name Name, severity string) Fault { return Fault{name, severity, "it is " + string(name)} }
	hot, tooHot, battery := fault("hot", "warn"), fault("too_hot", "grave"), fault("on_battery", "warn")
	var b Box
	for _, row := range []struct {
		name            string
		at              float64
		seen            []Fault
		raised, cleared []Name
		shown           []Name
	}{
		{"a fault is seen", 0, []Fault{hot}, nil, nil, nil},
		{"it was a blip", 10, nil, nil, nil, nil},
		{"it is seen again", 20, []Fault{hot}, nil, nil, nil},
		{"and again", 30, []Fault{hot}, nil, nil, nil},
		{"it lasts", 40, []Fault{hot}, []Name{"hot"}, nil, []Name{"hot"}},
		{"another comes", 50, []Fault{battery, hot}, nil, nil, []Name{"hot"}},
		{"then a graver one", 70, []Fault{tooHot, battery, hot}, []Name{"on_battery"}, nil, []Name{"on_battery"}},
		{"the cause is told instead", 90, []Fault{tooHot, hot}, []Name{"too_hot"}, nil, []Name{"too_hot", "on_battery"}},
		{"they are gone for a moment", 100, nil, nil, []Name{"on_battery"}, []Name{"too_hot"}},
		{"for good", 120, nil, nil, []Name{"hot", "too_hot"}, nil},
	} {
		raised, cleared := b.Look(at(row.at), row.seen)
		for what, pair := range map[string][2][]Name{
			"raised": {names(raised), row.raised}, "cleared": {names(cleared), row.cleared},
			"shown": {names(b.Conditions()), row.shown},
		} {
			if !slices.Equal(pair[0], pair[1]) {
				t.Errorf("%s: %s %q, want %q", row.name, what, pair[0], pair[1])
			}
		}
	}
}

func names(all []BoxCondition) (list []Name) {
	for _, c := range all {
		list = append(list, c.Name)
	}
	return list
}
