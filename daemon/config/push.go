package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"camrelay/media"
)

// pushes reads the section pushes of one file.
func (d *decoder) pushes(v value) {
	for _, e := range d.names(v) {
		p := newPush()
		d.push(e, e.name.Value, &p)
		d.cfg.Pushes[e.name.Value] = p
	}
}

// pushFields is the table of a push's keys. target takes the parsed URL.
func (d *decoder) pushFields(name string, p *Push, target **url.URL) fields {
	var platform, mode string
	set := func(assign func(*Push, media.Secret)) func(media.Secret) {
		return func(s media.Secret) {
			p := d.cfg.Pushes[name]
			assign(&p, s)
			d.cfg.Pushes[name] = p
		}
	}
	key := set(func(p *Push, s media.Secret) { p.Key = s })
	passphrase := set(func(p *Push, s media.Secret) { p.Passphrase = s })
	return fields{
		"camera":          str(&p.Camera, 64),
		"url":             func(v value) { *target = pushURL(v, &p.URL) },
		"enabled":         truth(&p.Enabled),
		"demand":          truth(&p.Demand),
		"limit":           number(&p.Limit, 0, 1_000_000),
		"timeout":         span(&p.Timeout, time.Second, 5*time.Minute),
		"platform":        word(&platform, "generic"),
		"audio":           audio,
		"app":             str(&p.App, 255),
		"key":             d.secret(1, 1024, key),
		"key_file":        d.secretFile(1, 1024, key),
		"tls":             section(tlsFields(&p.TLS)),
		"mode":            word(&mode, "caller"),
		"streamid":        d.secret(1, 512, set(func(p *Push, s media.Secret) { p.StreamID = s })),
		"passphrase":      d.secret(minPassphrase, maxPassphrase, passphrase),
		"passphrase_file": d.secretFile(minPassphrase, maxPassphrase, passphrase),
		"latency":         span(&p.Latency, minLatency, maxLatency),
		"pbkeylen":        pbkeylen(&p.PBKeyLen),
	}
}

// push reads the keys of one push into p.
func (d *decoder) push(v value, name string, p *Push) {
	var target *url.URL
	v.decode(d.pushFields(name, p, &target))
	d.require(v, "camera")
	d.require(v, "url")
	d.exclude(v, "key", "key_file")
	d.exclude(v, "passphrase", "passphrase_file")
	switch {
	case target == nil:
		return
	case target.Scheme == "srt":
		d.onlyFor(v, "rtmp", "app", "key", "key_file")
		d.srt(v, target, p)
	default:
		d.onlyFor(v, "srt", "mode", "streamid", "passphrase", "passphrase_file", "latency", "pbkeylen")
		d.rtmp(v, target, p.App)
	}
	if target.Scheme != "rtmps" {
		d.noTLS(v, "rtmps://")
	}
}

// Bounds of SRT options: SRTO_PASSPHRASE of libsrt; latencies that are of use.
const (
	minPassphrase, maxPassphrase = 10, 79
	minLatency, maxLatency       = 20 * time.Millisecond, 30 * time.Second
)

// pbkeylen takes the length of SRT's key.
func pbkeylen(dst *int) func(value) {
	return func(v value) {
		n := 0
		if number(&n, 0, 32)(v); n != 0 && n != 16 && n != 24 && n != 32 {
			v.failf("want 16, 24 or 32")
		}
		*dst = n
	}
}

// pushURL takes the URL of a push as it stands.
func pushURL(v value, dst *string) *url.URL {
	u, raw := v.url("rtmp", "rtmps", "srt")
	if u == nil {
		return nil
	}
	if u.User != nil {
		v.fail("holds a user name, which "+u.Scheme+" does not have", "")
	}
	*dst = raw
	return u
}

// onlyFor refuses keys that mean nothing to the URL's scheme.
func (d *decoder) onlyFor(v value, scheme string, keys ...string) {
	for _, key := range keys {
		if d.has(v.key + "." + key) {
			d.place(v.key+"."+key).failf("is for %s only", scheme)
		}
	}
}

// rtmp checks that there is an application and a stream key. app is the key of
// that name.
func (d *decoder) rtmp(v value, u *url.URL, app string) {
	elements := 0
	for e := range strings.SplitSeq(u.Path, "/") {
		if e != "" {
			elements++
		}
	}
	hasKey := d.has(v.key+".key") || d.has(v.key+".key_file")
	switch place := d.place(v.key + ".url"); {
	case app != "" && (elements > 0 && strings.Trim(u.Path, "/") != app || hasKey):
	case app != "":
		place.fail("names no stream key", "add it behind the application, or give key or key_file")
	case elements == 0:
		place.fail("names no application", "for example rtmp://host/live, and the stream key under key_file")
	case elements == 1 && !hasKey:
		place.fail("names no stream key", "add it to the URL, or give key or key_file")
	}
}

// srt moves what the URL's query says into p.
func (d *decoder) srt(v value, u *url.URL, p *Push) {
	place := d.place(v.key + ".url")
	switch {
	case u.Port() == "":
		place.fail("names no port", "for example srt://host:9000")
	case u.Path != "" && u.Path != "/":
		place.fail("srt has no path", "the stream is named by streamid")
	}
	p.URL = "srt://" + u.Host
	for option := range strings.SplitSeq(u.RawQuery, "&") {
		if option == "" {
			continue
		}
		name, raw, _ := strings.Cut(option, "=")
		text, err := url.PathUnescape(raw) // here + is a plus
		switch {
		case err != nil:
			place.failf("the option %s is not well escaped", shorten(name))
		case d.has(v.key + "." + name), name == "passphrase" && d.has(v.key+".passphrase_file"):
			place.failf("holds the option %s, and the key is given too", shorten(name))
		default:
			d.srtOption(place, name, text, p)
		}
	}
}

// srtOption takes one option from a URL, named as libsrt's tools name it.
func (d *decoder) srtOption(place value, name, text string, p *Push) {
	bad := func(want string) { place.failf("option %s: %s", name, want) }
	n, err := strconv.Atoi(text)
	switch name {
	case "streamid":
		if p.StreamID = media.Secret(text); len(text) == 0 || len(text) > 512 {
			bad("want 1 to 512 bytes")
		}
	case "passphrase":
		place.warn("holds the passphrase", "passphrase_file keeps it out of copies of this file")
		if p.Passphrase = media.Secret(text); len(text) < minPassphrase || len(text) > maxPassphrase {
			bad(fmt.Sprintf("want %d to %d bytes", minPassphrase, maxPassphrase))
		}
	case "latency":
		p.Latency = time.Duration(n) * time.Millisecond
		if err != nil || n > 1_000_000 || p.Latency < minLatency || p.Latency > maxLatency {
			bad("want 20 to 30000 milliseconds")
		}
	case "pbkeylen":
		if p.PBKeyLen = n; err != nil || n != 16 && n != 24 && n != 32 {
			bad("want 16, 24 or 32")
		}
	case "mode", "transtype", "pkt_size":
		if only := map[string]string{"mode": "caller", "transtype": "live", "pkt_size": "1316"}[name]; text != only {
			bad("not supported yet, except " + only)
		}
	default:
		known := []string{"streamid", "passphrase", "latency", "pbkeylen", "mode"}
		place.fail(fmt.Sprintf("unknown option %q", shorten(name)), didYouMean(name, known))
	}
}

// checkPushes checks what pushes say of cameras.
func (d *decoder) checkPushes() {
	for _, name := range keysOf(d.cfg.Pushes) {
		d.known("pushes."+name+".camera", d.cfg.Pushes[name].Camera)
	}
}

// url takes a URL of one of the schemes, and returns it parsed and as it
// stands; nil if it is bad. No message repeats any of it but the scheme.
func (v value) url(schemes ...string) (u *url.URL, raw string) {
	s, ok := v.text()
	if !ok {
		return nil, ""
	}
	scheme, _, found := strings.Cut(s, "://")
	if !found || len(s) > 2048 {
		v.fail("is no URL", "for example "+schemes[0]+"://host/path")
		return nil, ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		v.fail("cannot be read as a URL", "write special characters as %XX; user names and secrets have keys of their own")
	case !slices.Contains(schemes, u.Scheme):
		v.badScheme(strings.ToLower(scheme), schemes)
	case u.Hostname() == "":
		v.fail("names no host", "")
	case u.Fragment != "" || strings.HasSuffix(s, "#"):
		v.fail("holds a #", "write it as %23")
	case !goodPort(u.Port()):
		v.fail("the port must be 1 to 65535", "")
	default:
		return u, s
	}
	return nil, ""
}

func (v value) badScheme(scheme string, schemes []string) {
	switch want := strings.Join(schemes, ", "); {
	case scheme == "rtsp":
		v.fail("not supported yet: scheme rtsp", "supported are "+want)
	case len(scheme) > 10:
		v.fail("unknown scheme", "supported are "+want)
	default:
		v.fail(fmt.Sprintf("unknown scheme %q", scheme), "supported are "+want)
	}
}

func goodPort(port string) bool {
	n, err := strconv.Atoi(port)
	return port == "" || err == nil && n > 0 && n < 1<<16
}
