package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"camrelay/media"
)

// Target is where a push goes to. It is comparable.
type Target struct {
	URL string // rtmp, rtmps, srt, rtsp or rtsps, without user info and what the fields below hold

	Username string // RTMP and RTSP
	Password media.Secret
	TLS      TLS // rtmps and rtsps

	App        string       // RTMP: application; empty: all of the URL's path before the last element
	Key        media.Secret // RTMP: stream key; empty: the last element of the URL's path
	Enhanced   Enhanced     // RTMP
	LegacyHEVC bool         // RTMP: H.265 under the codec id 12, which no standard knows

	Mode       SRTMode       // SRT
	StreamID   media.Secret  // SRT; up to 512 bytes; often holds a token
	Passphrase media.Secret  // SRT; 10 to 79 bytes or empty
	PBKeyLen   int           // SRT; 0 (the peer's), 16, 24 or 32 bytes
	Latency    time.Duration // SRT
}

// Enhanced is when Enhanced RTMP is spoken, which carries H.265.
type Enhanced string

// The values of enhanced.
const (
	EnhancedAuto  Enhanced = "auto"  // if the server offers it
	EnhancedForce Enhanced = "force" // also if it does not
	EnhancedOff   Enhanced = "off"
)

// SRTMode is which side of an SRT connection begins.
type SRTMode string

// The values of mode.
const (
	ModeCaller   SRTMode = "caller"   // this box calls
	ModeListener SRTMode = "listener" // the other side calls
)

// Bounds of SRT options: SRTO_PASSPHRASE of libsrt; latencies that are of use.
const (
	minPassphrase, maxPassphrase = 10, 79
	minLatency, maxLatency       = 20 * time.Millisecond, 30 * time.Second
	defaultLatency               = 200 * time.Millisecond
)

// newTarget returns a target as it is before its keys are read.
func newTarget() Target {
	return Target{Enhanced: EnhancedAuto, Mode: ModeCaller, Latency: defaultLatency}
}

// targetFields enters the keys of a target. to takes the parsed URL, change is
// called for what is known later.
func (d *decoder) targetFields(f fields, t *Target, to **url.URL, change func(func(*Target))) {
	f["url"] = func(v value) { *to = pushURL(v, &t.URL) }
	f["username"] = str(&t.Username, 200)
	f["app"] = str(&t.App, 255)
	f["enhanced"] = word(&t.Enhanced, EnhancedAuto, EnhancedForce, EnhancedOff)
	f["legacy_hevc"] = truth(&t.LegacyHEVC)
	f["tls"] = section(d.serverTLS(&t.TLS, func(pem string) { change(func(t *Target) { t.TLS.CA = pem }) }))
	f["mode"] = word(&t.Mode, ModeCaller, ModeListener)
	f["streamid"] = d.secret(1, 512, func(s media.Secret) { change(func(t *Target) { t.StreamID = s }) })
	f["latency"] = span(&t.Latency, minLatency, maxLatency)
	f["pbkeylen"] = pbkeylen(&t.PBKeyLen)
	d.secretFields(f, "password", 1, 512, func(s media.Secret) { change(func(t *Target) { t.Password = s }) })
	d.secretFields(f, "key", 1, 1024, func(s media.Secret) { change(func(t *Target) { t.Key = s }) })
	d.secretFields(f, "passphrase", minPassphrase, maxPassphrase, func(s media.Secret) {
		change(func(t *Target) { t.Passphrase = s })
	})
}

// schemesOf says which keys mean something to some schemes only.
var schemesOf = map[string][]string{
	"app": rtmpSchemes, "key": rtmpSchemes, "key_file": rtmpSchemes, "enhanced": rtmpSchemes,
	"legacy_hevc": rtmpSchemes,
	"mode":        srtSchemes, "streamid": srtSchemes, "passphrase": srtSchemes, "passphrase_file": srtSchemes,
	"latency": srtSchemes, "pbkeylen": srtSchemes,
	"username": namedSchemes, "password": namedSchemes, "password_file": namedSchemes,
	"tls": {"rtmps", "rtsps"},
}

// The schemes of pushes, by protocol.
var (
	rtmpSchemes  = []string{"rtmp", "rtmps"}
	srtSchemes   = []string{"srt"}
	namedSchemes = []string{"rtmp", "rtmps", "rtsp", "rtsps"}
	pushSchemes  = []string{"rtmp", "rtmps", "srt", "rtsp", "rtsps"}
)

// target checks the keys of a target against its URL, which is nil if it is bad
// or there is none.
func (d *decoder) target(v value, to *url.URL, t *Target) {
	for _, secret := range []string{"key", "passphrase", "password"} {
		d.exclude(v, secret, secret+"_file")
	}
	if to == nil {
		return
	}
	for key, schemes := range schemesOf {
		if d.has(v.key+"."+key) && !slices.Contains(schemes, to.Scheme) {
			d.place(v.key+"."+key).failf("is for %s only", strings.Join(schemes, ", "))
		}
	}
	switch to.Scheme {
	case "srt":
		d.srt(v, to, t)
	case "rtmp", "rtmps":
		d.rtmp(v, to, t)
	}
	if to.User != nil && to.Scheme == "srt" {
		d.place(v.key+".url").fail("holds a user name, which srt does not have", "")
	} else if to.User != nil {
		d.userInfo(v, to.User, &t.Username, &t.Password)
	}
	hasPassword := d.has(v.key+".password") || d.has(v.key+".password_file")
	if t.Username == "" && hasPassword {
		d.place(v.key+".password", v.key+".password_file").fail("needs a username", "")
	}
}

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

// pushURL takes the URL of a push, without the user info.
func pushURL(v value, dst *string) *url.URL {
	u, raw := v.url(pushSchemes...)
	if u != nil {
		*dst = withoutUser(u, raw)
	}
	return u
}

// rtmp checks that there is an application and a stream key.
func (d *decoder) rtmp(v value, u *url.URL, t *Target) {
	elements := 0
	for e := range strings.SplitSeq(u.Path, "/") {
		if e != "" {
			elements++
		}
	}
	hasKey := d.has(v.key+".key") || d.has(v.key+".key_file")
	switch place := d.place(v.key+".url", v.key+".platform"); {
	case t.App != "" && (elements > 0 && strings.Trim(u.Path, "/") != t.App || hasKey):
	case t.App != "":
		place.fail("names no stream key", "add it behind the application, or give key or key_file")
	case elements == 0:
		place.fail("names no application", "for example rtmp://host/live, and the stream key under key_file")
	case elements == 1 && !hasKey:
		place.fail("names no stream key", "add it to the URL, or give key or key_file")
	}
	if t.LegacyHEVC && t.Enhanced == EnhancedForce {
		d.place(v.key+".legacy_hevc").fail("is one of two ways to send H.265, and enhanced: force the other", "")
	}
}

// srt moves what the URL's query says into t.
func (d *decoder) srt(v value, u *url.URL, t *Target) {
	place := d.place(v.key + ".url")
	switch {
	case u.Port() == "":
		place.fail("names no port", "for example srt://host:9000")
	case u.Path != "" && u.Path != "/":
		place.fail("srt has no path", "the stream is named by streamid")
	}
	t.URL = "srt://" + u.Host
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
			d.srtOption(place, name, text, t)
		}
	}
	if u.Hostname() == "" && t.Mode != ModeListener {
		place.fail("names no host", "mode: listener waits for the other side to call")
	}
}

// waitsAt returns the address at which the target waits for the other side to
// call; empty if it calls itself.
func (t *Target) waitsAt() string {
	u, err := url.Parse(t.URL)
	if t.Mode != ModeListener || err != nil || u.Port() == "" {
		return ""
	}
	return net.JoinHostPort(u.Hostname(), u.Port())
}

// srtOption takes one option from a URL, named as libsrt's tools name it.
func (d *decoder) srtOption(place value, name, text string, t *Target) {
	bad := func(want string) { place.failf("option %s: %s", name, want) }
	n, err := strconv.Atoi(text)
	switch name {
	case "streamid":
		if t.StreamID = media.Secret(text); len(text) == 0 || len(text) > 512 {
			bad("want 1 to 512 bytes")
		}
	case "passphrase":
		place.warn("holds the passphrase", "passphrase_file keeps it out of copies of this file")
		if t.Passphrase = media.Secret(text); len(text) < minPassphrase || len(text) > maxPassphrase {
			bad(fmt.Sprintf("want %d to %d bytes", minPassphrase, maxPassphrase))
		}
	case "latency":
		t.Latency = time.Duration(n) * time.Millisecond
		if err != nil || n > 1_000_000 || t.Latency < minLatency || t.Latency > maxLatency {
			bad("want 20 to 30000 milliseconds")
		}
	case "pbkeylen":
		if t.PBKeyLen = n; err != nil || n != 16 && n != 24 && n != 32 {
			bad("want 16, 24 or 32")
		}
	case "mode":
		if t.Mode = SRTMode(text); t.Mode != ModeCaller && t.Mode != ModeListener {
			bad("want caller or listener")
		}
	case "transtype", "pkt_size":
		if only := map[string]string{"transtype": "live", "pkt_size": "1316"}[name]; text != only {
			bad("want " + only)
		}
	default:
		known := []string{"streamid", "passphrase", "latency", "pbkeylen", "mode"}
		place.fail(fmt.Sprintf("unknown option %q", shorten(name)), DidYouMean(name, known))
	}
}
