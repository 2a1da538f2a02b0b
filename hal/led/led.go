// Package led shows how the box is by one of its LEDs, for people who stand before
// it. It knows patterns, not what they mean beyond their names; who drives it says
// which is due.
package led

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"camrelay/hal"
)

// LED is one LED of the board.
type LED struct {
	Name    string `json:"name"` // green:status, ACT
	Trigger string `json:"trigger"`
	Max     int64  `json:"max_brightness"`
}

// Read reads all LEDs of the board.
//
// Files: /sys/class/leds/*/{trigger,max_brightness};
// https://docs.kernel.org/leds/leds-class.html.
func Read(b *hal.Board) []LED {
	const class = "class/leds/"
	var all []LED
	for _, name := range b.Sys.List(class) {
		l := LED{Name: name, Max: 1}
		if text, err := b.Sys.Read(class + name + "/trigger"); err == nil {
			l.Trigger = parseTrigger(text)
		}
		if n := b.Sys.Int(class + name + "/max_brightness"); n != nil && *n > 0 {
			l.Max = *n
		}
		all = append(all, l)
	}
	return all
}

// parseTrigger returns the one that is chosen: it stands in brackets. None is "".
func parseTrigger(b []byte) string {
	for word := range strings.FieldsSeq(string(b)) {
		name, opened := strings.CutPrefix(word, "[")
		if name, closed := strings.CutSuffix(name, "]"); opened && closed && name != "none" {
			return hal.Line([]byte(name))
		}
	}
	return ""
}

// Names of LEDs that are there for what camrelay has to say, the best first.
func wanted() []string {
	return []string{"status", "user", "sys", "work", "heartbeat", "act", "led0", "usr"}
}

// foreign tells whether an LED belongs to something else: keyboards, disks, ports.
func foreign(name string) bool {
	for _, word := range []string{
		"lock", "input", "mmc", "sd", "nvme", "usb", "wlan", "wifi", "phy", "lan", "wan", "eth", "bt", "bluetooth",
		"power", "pwr", "mute", "kbd", "backlight", "flash", "torch", "charg",
	} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// Choose returns the LED of that name, or, of "auto", the one that is most likely
// meant for a status; ok is false if there is none.
func Choose(all []LED, name string) (chosen LED, ok bool) {
	if name != "auto" {
		i := slices.IndexFunc(all, func(l LED) bool { return l.Name == name })
		if i < 0 {
			return chosen, false
		}
		return all[i], true
	}
	best := len(wanted())
	for _, l := range all {
		lower := strings.ToLower(l.Name)
		_, function, named := strings.Cut(lower, ":")
		function = cmp.Or(function, lower)
		if foreign(lower) && !(named && strings.HasPrefix(function, "status")) {
			continue
		}
		if i := slices.IndexFunc(wanted(), func(w string) bool { return strings.Contains(function, w) }); i >= 0 && i < best {
			best, chosen, ok = i, l, true
		}
	}
	return chosen, ok
}

// Lamp is an LED that is lit and darkened by hand. It belongs to one goroutine.
type Lamp struct {
	sys    *hal.Tree
	led    LED
	lit    bool
	known  bool
	before string // the trigger
}

// Take takes an LED over from what has driven it.
func Take(b *hal.Board, l LED) (*Lamp, error) {
	lamp := &Lamp{sys: b.Sys, led: l, before: l.Trigger}
	if l.Trigger == "" {
		return lamp, nil
	}
	if err := lamp.write("trigger", "none"); err != nil {
		return nil, err
	}
	return lamp, nil
}

func (l *Lamp) write(file, text string) error {
	if err := l.sys.Write("class/leds/"+l.led.Name+"/"+file, text); err != nil {
		return fmt.Errorf("cannot set the LED %s: %w", l.led.Name, err)
	}
	return nil
}

// Light lights or darkens it.
func (l *Lamp) Light(on bool) error {
	if l.known && l.lit == on {
		return nil
	}
	text := "0"
	if on {
		text = fmt.Sprint(l.led.Max)
	}
	if err := l.write("brightness", text); err != nil {
		l.known = false
		return err
	}
	l.known, l.lit = true, on
	return nil
}

// Return gives it back to what drove it before.
func (l *Lamp) Return() error {
	if l.before == "" {
		return l.Light(false)
	}
	return l.write("trigger", l.before)
}
