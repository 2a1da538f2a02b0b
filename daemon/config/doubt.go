package config

import (
	"fmt"
	"strings"
	"time"
)

// What is allowed and hardly meant is warned of here, as far as it takes more
// than one section to see it.

// warnTwice finds cameras that are pulled twice, and pushes to one place.
func (d *decoder) warnTwice() {
	cameras := make(map[string]string)
	for _, name := range keysOf(d.cfg.Cameras) {
		url := d.cfg.Cameras[name].URL
		if first, ok := cameras[url]; ok && url != "" {
			d.at["cameras."+name].under("url").warn("camera "+first+" has the same URL",
				"a camera is connected once for each name: name it once, and use that in all places")
		}
		cameras[url] = name
	}
	pushes := make(map[Target]string)
	for _, name := range keysOf(d.cfg.Pushes) {
		p := d.cfg.Pushes[name]
		if !p.Enabled || p.Mode == ModeListener {
			continue
		}
		p.TLS = TLS{}
		if first, ok := pushes[p.Target]; ok {
			d.at["pushes."+name].under("url", "platform").warn("push "+first+" goes to the same place",
				"most servers take one publisher at a time")
		}
		pushes[p.Target] = name
	}
}

// under returns where the first of the keys stands in the section, or the section.
func (v value) under(keys ...string) value {
	for _, key := range keys {
		if sub, ok := v.d.at[v.key+"."+key]; ok {
			return sub
		}
	}
	return v
}

// leastRate is the bit rate below which no camera with a picture worth watching is.
const leastRate = 1_000_000

// warnMemory finds that HLS does not fit: the budget into the tmpfs, or the
// cameras into the budget. memory is 0 if it is not known.
func (d *decoder) warnMemory(main *source, memory int64) {
	h := d.cfg.HLS
	if h.Mode == ModeOff {
		return
	}
	warn := func(message, hint string) {
		if v, ok := d.at["hls.budget"]; ok {
			v.warn(message, hint)
			return
		}
		d.warnings = append(d.warnings, main.errorAt(1, 1, "hls.budget", message, hint))
	}
	if memory > 0 && h.Budget > memory {
		warn(fmt.Sprintf("%d MiB are more than the %d MiB of the memory that they lie in", h.Budget>>20, memory>>20),
			"a full tmpfs costs segments")
	}
	packaged := 0
	for _, c := range d.cfg.Cameras {
		if c.Outputs.HLS && c.Keep != KeepOnDemand {
			packaged++
		}
	}
	if packaged == 0 {
		return
	}
	// A playlist's segments and those that late players still load.
	held := (h.Window + h.Segment) / time.Second
	if share := h.Budget / int64(packaged); share*8/max(1, int64(held)) < leastRate {
		warn(fmt.Sprintf("%d cameras have %s each: not enough for %s of a picture",
			packaged, mebibytes(share), short(h.Window)),
			"raise it, shorten hls.window, or let some have hls: off")
	}
}

func mebibytes(n int64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/(1<<20)), ".0") + " MiB"
}
