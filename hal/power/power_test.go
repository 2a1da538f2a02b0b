package power

import (
	"slices"
	"strings"
	"testing"
)

func TestParseThrottled(t *testing.T) {
	for text, want := range map[string]Firmware{
		"0\n":       {},
		"50005\n":   {UnderVoltage: true, Throttled: true, UnderVoltageSeen: true, ThrottledSeen: true},
		"0x50000":   {UnderVoltageSeen: true, ThrottledSeen: true},
		"80008":     {SoftLimit: true, ThrottledSeen: true},
		"20002\n\n": {Capped: true, ThrottledSeen: true},
	} {
		if got, ok := parseThrottled([]byte(text)); !ok || got != want {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "throttled=0x0", "-1", "100000000"} {
		if got, ok := parseThrottled([]byte(text)); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func FuzzParseThrottled(f *testing.F) {
	f.Add([]byte("50005\n"))
	f.Add([]byte("0x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, ok := parseThrottled(b); !ok && got != (Firmware{}) {
			t.Errorf("%q: %+v", b, got)
		}
	})
}

func TestJudge(t *testing.T) {
	for _, row := range []struct {
		name string
		s    State
		want string
	}{
		{"nothing is known", State{}, ""},
		{"all is well", State{Firmware: &Firmware{}, Alarms: []Alarm{{"rpi_volt in0", false}}}, ""},
		{"too low a voltage", State{Firmware: &Firmware{UnderVoltage: true, UnderVoltageSeen: true}}, "under_voltage"},
		{"it was too low", State{Firmware: &Firmware{UnderVoltageSeen: true}}, "under_voltage_seen"},
		{"a monitor has an alarm", State{Alarms: []Alarm{{"rpi_volt in0", true}}}, "under_voltage"},
		{"the firmware slows down", State{Firmware: &Firmware{SoftLimit: true}}, "throttled"},
		{"the mains are out", State{Supplies: []Supply{{Type: "Battery", Status: "Discharging"}}}, "on_battery"},
		{"a battery is charged", State{Supplies: []Supply{{Type: "Battery", Status: "Charging"}}}, ""},
	} {
		var got []string
		for _, f := range Judge(row.s) {
			got = append(got, f.Name)
		}
		if !slices.Equal(got, strings.Fields(row.want)) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}
