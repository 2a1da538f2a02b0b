package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Keep is when a camera runs.
type Keep string

// The values of keep.
const (
	KeepWarm     Keep = "warm"     // always
	KeepOnDemand Keep = "ondemand" // while there is a reader
	KeepHours    Keep = "hours"    // in the windows of the schedule, else as KeepOnDemand
)

// OnIdle is what becomes of a camera without readers.
type OnIdle string

// The values of on_idle.
const (
	IdleClose OnIdle = "close" // it is closed after idle_after
	IdleKeep  OnIdle = "keep"  // once started it goes on
	IdleAsk   OnIdle = "ask"   // the hook on_none_reader decides, again after each idle_after
)

// MaxWindows is the greatest number of windows in a schedule.
const MaxWindows = 16

// Schedule is the hours at which a camera is kept warm. It is comparable.
type Schedule struct {
	Windows [MaxWindows]Window // those with days count; they come first
	Zone    string             // name in the IANA time zone database; empty: the box's local time
}

// String returns the windows as they are written in a file, separated by "; ".
func (s Schedule) String() string {
	var all []string
	for _, w := range s.Windows {
		if w.Days != 0 {
			all = append(all, w.String())
		}
	}
	return strings.Join(all, "; ")
}

// Window is a span of hours on some days of the week.
type Window struct {
	Days     Days // on which it begins; 0: there is no window
	From, To int  // minutes after midnight by the clock on the wall, To up to 1440; To < From: on the next day
}

// String returns the window as it is written in a file.
func (w Window) String() string {
	hours := fmt.Sprintf("%02d:%02d-%02d:%02d", w.From/60, w.From%60, w.To/60, w.To%60)
	if w.Days == everyDay {
		return hours
	}
	var days []string
	for n, name := range weekdays {
		if w.Days.Has(time.Weekday(n)) {
			days = append(days, name)
		}
	}
	return strings.Join(days, ",") + " " + hours
}

// Days is a set of days of the week: bit n is time.Weekday(n).
type Days uint8

// everyDay is all seven.
const everyDay Days = 1<<7 - 1

// Has tells whether the day is in the set.
func (d Days) Has(day time.Weekday) bool { return d&(1<<day) != 0 }

// keep takes warm, ondemand, or hours of the day.
func keep(dst *Keep, schedule *Schedule) func(value) {
	hours := func(v value) {
		v.decode(fields{
			"warm":     func(v value) { windows(v, &schedule.Windows) },
			"timezone": zone(&schedule.Zone),
		})
		v.d.require(v, "warm")
	}
	return func(v value) {
		if v.either(word(dst, KeepWarm, KeepOnDemand), hours) {
			return
		}
		*schedule = Schedule{}
		if _, ok := v.node.(ast.MapNode); !ok {
			word(dst, KeepWarm, KeepOnDemand)(v)
			return
		}
		*dst = KeepHours
		hours(v)
	}
}

// windows takes one window or a list of them.
func windows(v value, dst *[MaxWindows]Window) {
	if v.either(func(v value) { v.describes("string") }, func(v value) { v.describeItems()[0].describes("string") }) {
		return
	}
	all := []value{v}
	if _, ok := v.node.(*ast.SequenceNode); ok {
		all = v.items()
	}
	if len(all) == 0 || len(all) > MaxWindows {
		v.failf("want 1 to %d windows", MaxWindows)
		return
	}
	for i, item := range all {
		s, ok := item.text()
		if !ok {
			continue
		}
		if dst[i], ok = parseWindow(s); !ok {
			item.fail("want hours of the day", `for example "06:00-22:00", or "mon-fri 22:00-06:00" over midnight`)
		}
	}
}

var (
	window = regexp.MustCompile(`^(?:([a-z,-]+) +)?([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])$`)
	// weekdays are in the order of time.Weekday.
	weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
)

// parseWindow reads "06:00-22:00" or "mon-fri,sun 22:00-06:00".
func parseWindow(s string) (Window, bool) {
	m := window.FindStringSubmatch(s)
	if m == nil {
		return Window{}, false
	}
	w := Window{Days: everyDay, From: minutes(m[2], m[3]), To: minutes(m[4], m[5])}
	if m[1] != "" {
		var ok bool
		if w.Days, ok = parseDays(m[1]); !ok {
			return Window{}, false
		}
	}
	const day = 24 * 60
	return w, w.From < day && w.To <= day && w.To != w.From
}

// minutes adds up two pairs of digits.
func minutes(hours, minutes string) int {
	n := func(s string) int { return 10*int(s[0]-'0') + int(s[1]-'0') }
	return 60*n(hours) + n(minutes)
}

// parseDays reads "mon-fri,sun". A range may go on over the end of the week.
func parseDays(s string) (Days, bool) {
	var days Days
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if from < 0 || to < 0 {
			return 0, false
		}
		for n := from; ; n = (n + 1) % 7 {
			days |= 1 << n
			if n == to {
				break
			}
		}
	}
	return days, true
}

// zone takes the name of a time zone that this box knows.
func zone(dst *string) func(value) {
	return func(v value) {
		var s string
		if str(&s, 64)(v); s == "" {
			return
		}
		if _, err := time.LoadLocation(s); err != nil || s == "Local" {
			v.fail("this box knows no such time zone", "for example Europe/Berlin, as in /usr/share/zoneinfo")
			return
		}
		*dst = s
	}
}

// askWhoIsThere makes a hook that is to be asked the default of on_idle.
func (d *decoder) askWhoIsThere() {
	if _, hooked := d.cfg.Hooks[HookNoneReader]; hooked && !d.has("defaults.on_idle") {
		d.cfg.Defaults.OnIdle = IdleAsk
	}
}

// checkIdle finds cameras that would ask nobody, and a hook that nobody asks.
func (d *decoder) checkIdle() {
	_, hooked := d.cfg.Hooks[HookNoneReader]
	asked := d.cfg.Defaults.OnIdle == IdleAsk
	told := make(map[string]bool)
	for _, name := range keysOf(d.cfg.Cameras) {
		if d.cfg.Cameras[name].OnIdle != IdleAsk {
			continue
		}
		if asked = true; hooked {
			break
		}
		// A sub stream may have it from its main stream, and that from the defaults.
		keys := []string{d.at["cameras."+name].key + ".on_idle", "cameras." + d.cfg.Cameras[name].SubOf + ".on_idle"}
		if v := d.place(append(keys, "defaults.on_idle")...); !told[v.key] {
			told[v.key] = true
			v.fail("there is no hook "+HookNoneReader+" to ask", "add it under hooks, or say close or keep")
		}
	}
	if hooked && !asked {
		d.place("hooks."+HookNoneReader).warn("no camera asks it", "defaults: {on_idle: ask} makes them ask")
	}
}
