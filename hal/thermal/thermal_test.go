package thermal

import (
	"slices"
	"testing"

	"camrelay/hal"
)

// names returns the names of faults.
func names(all []hal.Fault) (list []string) {
	for _, f := range all {
		list = append(list, f.Name)
	}
	return list
}

func TestJudge(t *testing.T) {
	at := func(c float64) *float64 { return &c }
	for _, row := range []struct {
		name string
		s    State
		want []string
	}{
		{"nothing is known", State{}, nil},
		{"a sensor is silent", State{Zones: []Zone{{Name: "cpu", Critical: at(100)}}}, nil},
		{"it is cool", State{Zones: []Zone{{Name: "cpu", Celsius: at(60), Passive: at(85), Critical: at(115)}}}, nil},
		{
			"the kernel begins to cool",
			State{Zones: []Zone{{Name: "cpu", Celsius: at(85), Passive: at(85), Critical: at(115)}}},
			[]string{"hot"},
		},
		{"a zone without limits", State{Zones: []Zone{{Name: "cpu", Celsius: at(86)}}}, []string{"hot"}},
		{"it is near the end", State{Zones: []Zone{{Name: "cpu", Celsius: at(111), Critical: at(115)}}}, []string{"too_hot"}},
		{"a fan runs", State{Cooling: []Cooling{{"pwm-fan", 4, 4}}}, nil},
		{"the graphics is slowed down", State{Cooling: []Cooling{{"devfreq-fb000000.gpu", 2, 6}}}, nil},
		{"the processor is slowed down", State{Cooling: []Cooling{{"thermal-cpufreq-0", 1, 8}}}, []string{"throttled"}},
		{"ACPI slows the processor down", State{Cooling: []Cooling{{"Processor", 2, 10}}}, []string{"throttled"}},
	} {
		if got := names(Judge(row.s)); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestPlausible(t *testing.T) {
	for celsius, want := range map[float64]bool{-273.2: false, -40: true, 0: true, 105: true, 65535: false} {
		if got := plausible(&celsius) != nil; got != want {
			t.Errorf("%v °C: %v", celsius, got)
		}
	}
}
