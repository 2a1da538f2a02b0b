// Package power reads whether the board gets the power that it needs, where it
// can tell. It switches nothing.
package power

import (
	"fmt"
	"strconv"
	"strings"

	"camrelay/hal"
)

// State is what the board tells of its power.
type State struct {
	// Firmware is what the firmware of a Raspberry Pi says, nil elsewhere.
	Firmware *Firmware `json:"firmware,omitempty"`
	Alarms   []Alarm   `json:"alarms,omitempty"`   // that monitors of voltage and current have, on or off
	Supplies []Supply  `json:"supplies,omitempty"` // mains and batteries
}

// Firmware is the answer of the mailbox's call "get throttled".
// Specification: Raspberry Pi documentation, vcgencmd get_throttled.
type Firmware struct {
	UnderVoltage bool `json:"under_voltage"` // now, below 4.63 V
	Capped       bool `json:"capped"`        // the frequency is limited now
	Throttled    bool `json:"throttled"`     // now
	SoftLimit    bool `json:"soft_limit"`    // it is as warm as it may get, now

	UnderVoltageSeen bool `json:"under_voltage_seen"` // since boot
	ThrottledSeen    bool `json:"throttled_seen"`     // by heat or power, since boot
}

// Alarm is a limit that a monitor watches.
type Alarm struct {
	Name string `json:"name"` // of the monitor and its input: rpi_volt in0
	On   bool   `json:"on"`
}

// Supply is a source of power.
type Supply struct {
	Name    string `json:"name"`
	Type    string `json:"type"`              // Mains, Battery, UPS, USB
	Online  *bool  `json:"online,omitempty"`  // of mains
	Status  string `json:"status,omitempty"`  // of batteries: Charging, Discharging, Full
	Percent *int64 `json:"percent,omitempty"` // of batteries
}

// Read reads all of it.
//
// Files: /sys/devices/platform/soc/soc:firmware/get_throttled (Raspberry Pi up to 4; the
// 5 has the alarm of rpi_volt),
// /sys/class/hwmon/hwmon*/{name,in*_lcrit_alarm,in*_min_alarm},
// /sys/class/power_supply/*; https://docs.kernel.org/hwmon/sysfs-interface.html.
func Read(b *hal.Board) State {
	var s State
	if text, err := b.Sys.Read("devices/platform/soc/soc:firmware/get_throttled"); err == nil {
		if f, ok := parseThrottled(text); ok {
			s.Firmware = &f
		}
	}
	const monitors = "class/hwmon/"
	for _, dir := range b.Sys.List(monitors) {
		for _, file := range b.Sys.List(monitors + dir) {
			input, kind, ok := strings.Cut(file, "_")
			if !ok || !strings.HasPrefix(input, "in") || kind != "lcrit_alarm" && kind != "min_alarm" {
				continue
			}
			if on := b.Sys.Int(monitors + dir + "/" + file); on != nil {
				s.Alarms = append(s.Alarms, Alarm{b.Sys.Line(monitors+dir+"/name") + " " + input, *on != 0})
			}
		}
	}
	const supplies = "class/power_supply/"
	for _, dir := range b.Sys.List(supplies) {
		p := Supply{
			Name: dir, Type: b.Sys.Line(supplies + dir + "/type"), Status: b.Sys.Line(supplies + dir + "/status"),
			Percent: b.Sys.Int(supplies + dir + "/capacity"),
		}
		if n := b.Sys.Int(supplies + dir + "/online"); n != nil {
			p.Online = new(*n != 0)
		}
		if p.Type != "" {
			s.Supplies = append(s.Supplies, p)
		}
	}
	return s
}

// parseThrottled reads the bits, which are hexadecimal without a prefix, or with.
func parseThrottled(b []byte) (f Firmware, ok bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(string(b)), "0x"), 16, 32)
	if err != nil {
		return f, false
	}
	bit := func(i int) bool { return n>>i&1 != 0 }
	return Firmware{
		UnderVoltage: bit(0), Capped: bit(1), Throttled: bit(2), SoftLimit: bit(3),
		UnderVoltageSeen: bit(16), ThrottledSeen: bit(17) || bit(18) || bit(19),
	}, true
}

// Judge tells what is wrong: under_voltage, under_voltage_seen, throttled, on_battery.
func Judge(s State) []hal.Fault {
	var all []hal.Fault
	add := func(name string, severity hal.Severity, text string) {
		all = append(all, hal.Fault{Name: name, Severity: severity, Text: text})
	}
	low := ""
	for _, a := range s.Alarms {
		if a.On {
			low = a.Name
		}
	}
	f := s.Firmware
	switch {
	case f != nil && f.UnderVoltage:
		add("under_voltage", hal.Grave, "the power supply is too weak: the board has too low a voltage")
	case low != "":
		add("under_voltage", hal.Grave, "the power supply is too weak: "+low+" is below its limit")
	case f != nil && f.UnderVoltageSeen:
		add("under_voltage_seen", hal.Warn, "the power supply is weak: the voltage was too low since the board started")
	}
	if f != nil && (f.Throttled || f.Capped || f.SoftLimit) {
		add("throttled", hal.Warn, "the firmware slows the processor down, because of heat or a weak power supply")
	}
	for _, p := range s.Supplies {
		if (p.Type == "Battery" || p.Type == "UPS") && p.Status == "Discharging" {
			text := p.Name + " is being discharged: the mains are out"
			if p.Percent != nil {
				text += fmt.Sprintf(", %d %% are left", *p.Percent)
			}
			add("on_battery", hal.Warn, text)
		}
	}
	return all
}
