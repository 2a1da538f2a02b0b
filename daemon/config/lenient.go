package config

import "strings"

// lack enters that a secret or a certificate cannot be had.
func (l *loader) lack(place value, message, hint string) {
	if l == nil || !l.Lenient {
		place.fail(message, hint)
		return
	}
	place.warn(message+"; what needs it is switched off", hint)
	place.d.lacking = append(place.d.lacking, place.key)
}

// switchOff switches off what the key belongs to. A camera goes on without its
// password, and is refused by a camera that wants one.
func (d *decoder) switchOff(key string) {
	switch parts := strings.Split(key, "."); parts[0] {
	case "pushes":
		if p, ok := d.cfg.Pushes[parts[1]]; ok {
			p.Enabled = false
			d.cfg.Pushes[parts[1]] = p
		}
	case "hooks":
		delete(d.cfg.Hooks, parts[1])
	case "srt":
		d.cfg.SRT.Listen = ""
	case "rtsp":
		d.cfg.RTSP.TLS.Listen = ""
	case "http":
		d.cfg.HTTP.TLS.Listen = ""
	}
}
