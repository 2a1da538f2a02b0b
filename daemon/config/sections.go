package config

import (
	"cmp"
	"fmt"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// file reads one file into the configuration. What several files say of a
// setting, the last one decides; cameras, pushes, keepalives and users may be
// named once only.
func (d *decoder) file(src *source) {
	value{d: d, src: src, node: src.root}.decode(d.sections())
}

// describe describes a file.
func (d *decoder) describe(src *source, s *Schema) {
	value{d: d, src: src, schema: s}.decode(d.sections())
}

// sections is the table of a file.
func (d *decoder) sections() fields {
	cfg := d.cfg
	return fields{
		"version":       number(&cfg.Version, 1, 1),
		"access":        section(accessFields(&cfg.Access)),
		"rtsp":          section(d.rtspServer(&cfg.RTSP)),
		"http":          section(d.httpServer(&cfg.HTTP)),
		"rtmp":          section(listenerFields(&cfg.RTMP)),
		"srt":           d.srtServer,
		"metrics":       section(listenerFields(&cfg.Metrics)),
		"api":           section(fields{"listen": address(&cfg.API.Listen), "socket": orOff(&cfg.API.Socket, maxSocket)}),
		"hls":           section(hlsFields(&cfg.HLS)),
		"defaults":      section(defaultsFields(&cfg.Defaults)),
		"cameras":       func(v value) { d.later = append(d.later, func() { d.cameras(v) }) },
		"pushes":        func(v value) { d.later = append(d.later, func() { d.pushes(v) }) },
		"keepalives":    func(v value) { d.later = append(d.later, func() { d.keepalives(v) }) },
		"hooks":         section(d.hooks()),
		"users":         d.users,
		"terminate":     section(terminateFields(&cfg.Terminate)),
		"stalled_after": span(&cfg.StalledAfter, 2*time.Second, 10*time.Minute),
		"on_invalid":    word(&cfg.OnInvalid, InvalidReject, InvalidSkip),
		"box":           section(fields{"led": orOff(&cfg.Box.LED, 64), "watchdog": orOff(&cfg.Box.Watchdog, 64)}),
		"confirm":       section(fields{"timeout": span(&cfg.Confirm, 0, time.Hour)}),
	}
}

func accessFields(a *Access) fields {
	return fields{
		"view": word(&a.View, ViewClosed, ViewOpen),
		"rtsp": word(&a.RTSP, ProofAuto, ProofBasic, ProofDigest),
		"hosts": func(v value) {
			a.Hosts = nil // what a later file says replaces it
			for _, item := range v.items() {
				if item.describes("string") {
					item.schema.Pattern = hostName.String()
					continue
				}
				name, ok := item.text()
				switch {
				case !ok:
				case !hostName.MatchString(name):
					item.fail("is no name of a host", "for example cams.example.org, without a port")
				default:
					a.Hosts = append(a.Hosts, name)
				}
			}
		},
	}
}

// hostName is a name of the DNS.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?\.?$`)

// section takes a mapping.
func section(f fields) func(value) {
	return func(v value) { v.decode(f) }
}

func hlsFields(h *HLS) fields {
	return fields{
		"mode":              word(&h.Mode, ModeAlways, ModeOnDemand, ModeOff),
		"segment":           span(&h.Segment, 500*time.Millisecond, time.Minute),
		"part":              span(&h.Part, 100*time.Millisecond, 5*time.Second),
		"window":            span(&h.Window, 2*time.Second, time.Hour),
		"budget":            size(&h.Budget, 1<<20, 1<<40),
		"budget_per_camera": size(&h.BudgetPerCamera, 1<<20, 1<<40),
	}
}

func defaultsFields(d *Defaults) fields {
	return fields{
		"transport":     word(&d.Transport, TransportAuto, TransportTCP, TransportUDP),
		"keep":          keep(&d.Keep, &d.Schedule),
		"idle_after":    span(&d.IdleAfter, 0, 24*time.Hour),
		"on_idle":       word(&d.OnIdle, IdleClose, IdleKeep, IdleAsk),
		"start_timeout": span(&d.StartTimeout, time.Second, 5*time.Minute),
		"audio":         word(&d.Audio, audioModes...),
	}
}

func terminateFields(t *Terminate) fields {
	return fields{
		"hold_off":        span(&t.HoldOff, 0, 24*time.Hour),
		"empty_means_all": truth(&t.EmptyMeansAll),
	}
}

// maxSocket bounds the path of a socket in bytes: the kernel's limit for the
// address of one is 108.
const maxSocket = 100

// orOff takes a name or a path; an empty string turns off what it is of.
func orOff(dst *string, limit int) func(value) {
	return func(v value) {
		if s, ok := v.text(); ok && s == "" {
			*dst = ""
		} else if ok {
			str(dst, limit)(v)
		}
	}
}

// named is a key of cameras and pushes: part of URLs, labels and file names.
var named = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// names yields the entries of a section whose keys people choose. first holds
// the entries of files before, under the same key path.
func (d *decoder) names(v value) []value {
	var good []value
	for _, e := range v.entries() {
		if !named.MatchString(e.name.Value) {
			e.node, e.key = nil, v.key
			e.fail(fmt.Sprintf("bad name %q", shorten(e.name.Value)), "1 to 64 of a-z, 0-9, _ and -")
			continue
		}
		if before, ok := d.at[e.key]; ok {
			e.node = nil
			if e.src.machine {
				e.warn("is not used: "+before.src.name+" names one, too", "")
				continue
			}
			e.failf("named in two files, first in %s, line %d", before.src.name, before.name.Position.Line)
			continue
		}
		d.at[e.key] = e
		good = append(good, e)
	}
	return good
}

// check makes the checks across sections.
func (d *decoder) check(main *source) {
	cfg := d.cfg
	if _, readable := main.root.(ast.MapNode); !d.has("version") && (readable || main.root == nil) {
		d.errs = append(d.errs, main.errorAt(1, 1, "version", "is missing", "begin the file with version: 1"))
	}
	d.checkListeners()
	h := &cfg.HLS
	if h.Part > h.Segment {
		d.place("hls.part", "hls.segment").failf("parts of %s are longer than segments of %s",
			short(h.Part), short(h.Segment))
	}
	if h.Window < 3*h.Segment {
		d.place("hls.window", "hls.segment").failf("a window of %s is shorter than three segments of %s",
			short(h.Window), short(h.Segment))
	}
	switch {
	case h.BudgetPerCamera == 0:
		h.BudgetPerCamera = h.Budget
	case h.BudgetPerCamera > h.Budget:
		d.place("hls.budget_per_camera", "hls.budget").fail("is more than budget", "")
	}
	d.checkLadders()
	d.checkPushes()
	d.checkKeepalives()
	d.checkUsers()
	d.checkIdle()
	d.warnOpen(main)
	d.warnTwice()
}

// has tells whether any file has the key.
func (d *decoder) has(key string) bool {
	_, ok := d.at[key]
	return ok
}

// place returns where the first of the keys stands that is in a file.
func (d *decoder) place(keys ...string) value {
	for _, key := range keys {
		if v, ok := d.at[key]; ok {
			return v
		}
	}
	panic("config: internal error: a check of defaults fails: " + keys[0])
}

// warnOpen warns of what is open to more people, or to fewer, than meant.
func (d *decoder) warnOpen(main *source) {
	if len(d.cfg.Users) > 0 {
		return
	}
	if host, _, err := net.SplitHostPort(d.cfg.API.Listen); err == nil && !isLoopback(host) {
		d.place("api.listen").warn("without users the API answers this box alone", "name users to let others in")
	}
	if host, _, err := net.SplitHostPort(d.cfg.Metrics.Listen); err == nil && !isLoopback(host) {
		d.place("metrics.listen").warn("without users the metrics are for this box alone", "name users to let others in")
	}
	if d.cfg.Access.View == ViewClosed && len(d.cfg.Cameras) > 0 {
		e := main.errorAt(1, 1, "access.view", "closed, and there are no users: every viewer is refused",
			"name users, or let in everybody who reaches the ports by access: {view: open}")
		if v, ok := d.at["access.view"]; ok {
			e = v.mistake(e.Message, e.Hint)
		}
		d.warnings = append(d.warnings, e)
	}
}

// keysOf returns the names of cameras or pushes, sorted.
func keysOf[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare[string])
	return keys
}
