// Package thermal reads how warm the board is, and whether that slows it down.
// It cools nothing.
package thermal

import (
	"fmt"
	"strings"

	"camrelay/hal"
)

// State is what the kernel tells of heat.
type State struct {
	Zones   []Zone    `json:"zones,omitempty"`
	Cooling []Cooling `json:"cooling,omitempty"`
	Clocks  []Clock   `json:"clocks,omitempty"`
	// Throttles counts how often x86 processors were slowed down by heat since
	// boot; nil where that is not counted.
	Throttles *int64 `json:"throttles,omitempty"`
}

// Zone is a place that has a sensor. Temperatures are in °C, nil if not known.
type Zone struct {
	Name     string   `json:"name"` // type of the zone, unique by a number after it
	Celsius  *float64 `json:"celsius"`
	Passive  *float64 `json:"passive,omitempty"`  // from here on the kernel slows the board down
	Hot      *float64 `json:"hot,omitempty"`      // firmware is told
	Critical *float64 `json:"critical,omitempty"` // here it switches the board off
}

// Cooling is something that cools: a fan, or a processor that is slowed down.
type Cooling struct {
	Type string `json:"type"`
	Now  int64  `json:"now"`
	Max  int64  `json:"max"`
}

// Clock is the frequency of processors that share one.
type Clock struct {
	Name     string `json:"name"` // policy0
	KHz      int64  `json:"khz"`
	LimitKHz int64  `json:"limit_khz"` // at present
	MaxKHz   int64  `json:"max_khz"`   // of the hardware
}

// What no sensor on a board that runs can mean, in °C.
const coldest, hottest = -60, 200

// plausible drops what a broken sensor reports.
func plausible(celsius *float64) *float64 {
	if celsius == nil || *celsius < coldest || *celsius > hottest {
		return nil
	}
	return celsius
}

// Read reads all of it. What is not there is missing.
//
// Files: /sys/class/thermal/{thermal_zone*,cooling_device*}/*,
// /sys/devices/system/cpu/cpufreq/policy*/*, …/cpu*/thermal_throttle/core_throttle_count;
// https://docs.kernel.org/driver-api/thermal/sysfs-api.html, temperatures in
// thousandths of a degree.
func Read(b *hal.Board) State {
	var s State
	const class = "class/thermal/"
	seen := make(map[string]int)
	for _, dir := range b.Sys.List(class) {
		switch {
		case strings.HasPrefix(dir, "thermal_zone"):
			s.Zones = append(s.Zones, readZone(b.Sys, class+dir+"/", seen))
		case strings.HasPrefix(dir, "cooling_device"):
			c := Cooling{Type: b.Sys.Line(class + dir + "/type")}
			now, most := b.Sys.Int(class+dir+"/cur_state"), b.Sys.Int(class+dir+"/max_state")
			if now != nil && most != nil {
				c.Now, c.Max = *now, *most
				s.Cooling = append(s.Cooling, c)
			}
		}
	}
	const cpu = "devices/system/cpu/"
	for _, dir := range b.Sys.List(cpu + "cpufreq") {
		now, most := b.Sys.Int(cpu+"cpufreq/"+dir+"/scaling_cur_freq"), b.Sys.Int(cpu+"cpufreq/"+dir+"/cpuinfo_max_freq")
		limit := b.Sys.Int(cpu + "cpufreq/" + dir + "/scaling_max_freq")
		if now != nil && most != nil && limit != nil {
			s.Clocks = append(s.Clocks, Clock{dir, *now, *limit, *most})
		}
	}
	for _, dir := range b.Sys.List(cpu) {
		if n := throttles(b.Sys, cpu, dir); n != nil {
			if s.Throttles == nil {
				s.Throttles = new(int64)
			}
			*s.Throttles += *n
		}
	}
	return s
}

// throttles returns how often one processor was slowed down.
func throttles(sys *hal.Tree, dir, name string) *int64 {
	digits := strings.TrimPrefix(name, "cpu")
	if digits == name || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return nil
	}
	return sys.Int(dir + name + "/thermal_throttle/core_throttle_count")
}

func readZone(sys *hal.Tree, dir string, seen map[string]int) Zone {
	z := Zone{Name: sys.Line(dir + "type"), Celsius: plausible(sys.Milli(dir + "temp"))}
	if z.Name == "" {
		z.Name = "thermal"
	}
	if seen[z.Name]++; seen[z.Name] > 1 {
		z.Name = fmt.Sprintf("%s-%d", z.Name, seen[z.Name])
	}
	const trips = 12 // the kernel's own limit
	for i := range trips {
		trip := fmt.Sprintf("%strip_point_%d_", dir, i)
		at := plausible(sys.Milli(trip + "temp"))
		if at == nil || *at <= 0 {
			continue
		}
		switch sys.Line(trip + "type") {
		case "passive":
			z.Passive = lower(z.Passive, at)
		case "hot":
			z.Hot = lower(z.Hot, at)
		case "critical":
			z.Critical = lower(z.Critical, at)
		}
	}
	return z
}

func lower(a, b *float64) *float64 {
	if a == nil || *b < *a {
		return b
	}
	return a
}

// Where a zone says nothing of itself, in °C.
const warm = 85

// margin is how near, in °C, the end is told.
const margin = 5

// slows tells whether a cooling device slows the processor down: fans do not.
func (c Cooling) slows() bool {
	name := strings.ToLower(c.Type)
	return strings.Contains(name, "cpufreq") || strings.Contains(name, "processor") ||
		strings.Contains(name, "cpuidle") || strings.Contains(name, "powerclamp")
}

// Judge tells what is wrong: too_hot, throttled, hot.
func Judge(s State) []hal.Fault {
	var all []hal.Fault
	add := func(name string, severity hal.Severity, format string, args ...any) {
		all = append(all, hal.Fault{Name: name, Severity: severity, Text: fmt.Sprintf(format, args...)})
	}
	for _, z := range s.Zones {
		switch {
		case z.Celsius == nil:
		case z.Critical != nil && *z.Celsius >= *z.Critical-margin:
			add("too_hot", hal.Grave, "%s has %.0f °C; at %.0f °C the board switches off", z.Name, *z.Celsius, *z.Critical)
		case z.Passive != nil && *z.Celsius >= *z.Passive:
			add("hot", hal.Warn, "%s has %.0f °C; from %.0f °C on the board is slowed down", z.Name, *z.Celsius, *z.Passive)
		case z.Passive == nil && *z.Celsius >= warm:
			add("hot", hal.Warn, "%s has %.0f °C", z.Name, *z.Celsius)
		}
	}
	for _, c := range s.Cooling {
		if c.slows() && c.Now > 0 {
			add("throttled", hal.Warn, "the processor is slowed down to cool it: %s at %d of %d", c.Type, c.Now, c.Max)
		}
	}
	return all
}
