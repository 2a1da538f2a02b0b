package config

import (
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"camrelay/media"
)

// Transport is how RTP comes from a camera.
type Transport string

// The values of transport.
const (
	TransportAuto Transport = "auto"
	TransportTCP  Transport = "tcp"
	TransportUDP  Transport = "udp"
)

// Defaults is the section defaults: what cameras take where they say nothing.
type Defaults struct {
	Transport    Transport
	Keep         Keep
	Schedule     Schedule      // of KeepHours
	IdleAfter    time.Duration // a camera is closed so long after its last reader
	OnIdle       OnIdle        // IdleAsk if there is a hook to ask, else IdleClose
	StartTimeout time.Duration // so long a reader waits for a camera
	Audio        Audio
}

// Camera is one stream of a camera. It is comparable.
type Camera struct {
	Title        string
	URL          string // rtsp or rtsps, without user info
	SnapshotURL  string // http or https: the camera's own JPEG, with the same user; empty: none
	Username     string
	Password     media.Secret
	Transport    Transport
	Keep         Keep
	Schedule     Schedule // of KeepHours
	IdleAfter    time.Duration
	OnIdle       OnIdle
	StartTimeout time.Duration
	TLS          TLS
	Audio        Audio // of what viewers get, and of pushes that say nothing
	Outputs      Outputs
	MaxViewers   int    // more are refused; 0: any number
	SubOf        string // path of the main stream, empty if this is one
}

// TLS is how the certificate of an rtsps camera or a server is judged. The zero value asks
// for a certificate that the box trusts.
type TLS struct {
	Fingerprint string // SHA-256 of the certificate, 64 digits, lower case; empty: none is pinned
	Insecure    bool   // any certificate will do
	CA          string // authorities in PEM that are trusted instead of the box's; empty: the box's; not of cameras
}

// newCamera returns a camera as it is before its keys are read.
func newCamera(d Defaults) Camera {
	return Camera{
		Transport: d.Transport, Keep: d.Keep, Schedule: d.Schedule, IdleAfter: d.IdleAfter, OnIdle: d.OnIdle,
		StartTimeout: d.StartTimeout, Audio: d.Audio, Outputs: allOutputs,
	}
}

// subSuffix makes the path of a sub stream out of that of its main stream.
const subSuffix = "_sub"

// cameras reads the section cameras of one file.
func (d *decoder) cameras(v value) {
	for _, e := range d.names(v) {
		cam := newCamera(d.cfg.Defaults)
		sub := d.camera(e, e.name.Value, &cam)
		d.cfg.Cameras[e.name.Value] = cam
		if sub != nil {
			d.sub(*sub, e.name.Value, cam)
		}
	}
}

// cameraFields is the table of a camera's keys. user takes what the URL holds.
func (d *decoder) cameraFields(name string, cam *Camera, user **url.Userinfo) fields {
	password := func(s media.Secret) {
		c := d.cfg.Cameras[name]
		c.Password = s
		d.cfg.Cameras[name] = c
	}
	f := fields{
		"title":         str(&cam.Title, 200),
		"url":           func(v value) { *user = cameraURL(v, &cam.URL) },
		"username":      str(&cam.Username, 200),
		"password":      d.secret(1, 512, password),
		"password_file": d.secretFile(1, 512, password),
		"transport":     word(&cam.Transport, TransportAuto, TransportTCP, TransportUDP),
		"keep":          keep(&cam.Keep, &cam.Schedule),
		"idle_after":    span(&cam.IdleAfter, 0, 24*time.Hour),
		"on_idle":       word(&cam.OnIdle, IdleClose, IdleKeep, IdleAsk),
		"start_timeout": span(&cam.StartTimeout, time.Second, 5*time.Minute),
		"audio":         word(&cam.Audio, audioModes...),
		"snapshot_url":  snapshotURL(&cam.SnapshotURL),
		"ladder":        d.ladder(name),
		"max_viewers":   number(&cam.MaxViewers, 0, 10_000),
		"tls":           section(tlsFields(&cam.TLS)),
	}
	for key, on := range cam.Outputs.switches() {
		f[key] = onOff(on)
	}
	return f
}

// camera reads the keys of a camera or a sub stream into cam. It returns the
// value of sub, nil if there is none.
func (d *decoder) camera(v value, name string, cam *Camera) (sub *value) {
	var user *url.Userinfo
	f := d.cameraFields(name, cam, &user)
	if cam.SubOf == "" {
		f["sub"] = func(v value) { sub = &v }
	} else {
		f["sub"] = func(v value) { v.fail("a sub stream has none of its own", "") }
		f["ladder"] = func(v value) { v.fail("belongs to the main stream", "") }
	}
	v.decode(f)
	d.require(v, "url")
	d.exclude(v, "password", "password_file")
	if user != nil {
		d.userInfo(v, user, &cam.Username, &cam.Password)
	}
	if !strings.HasPrefix(strings.ToLower(cam.URL), "rtsps:") {
		d.noTLS(v, "rtsps://")
		cam.TLS = TLS{} // a sub stream has it from its main stream
	}
	return sub
}

func tlsFields(t *TLS) fields {
	return fields{"fingerprint": fingerprint(t), "insecure": truth(&t.Insecure)}
}

// noTLS refuses the section tls, which is for another scheme.
func (d *decoder) noTLS(v value, scheme string) {
	if d.has(v.key + ".tls") {
		d.place(v.key+".tls").failf("is for %s only", scheme)
	}
}

// sub reads the sub stream of a camera: a camera of its own that begins as its
// main stream is.
func (d *decoder) sub(v value, name string, cam Camera) {
	path := name + subSuffix
	if !named.MatchString(path) {
		v.failf("the path %s is longer than 64 characters", path)
		return
	}
	key := "cameras." + path
	if before, ok := d.at[key]; ok {
		before.failf("is also the path of the sub stream of %s", name)
		return
	}
	d.at[key] = v
	cam.SubOf, cam.URL, cam.SnapshotURL = name, "", ""
	if cam.Title != "" {
		cam.Title += " (sub)"
	}
	d.camera(v, path, &cam)
	d.cfg.Cameras[path] = cam
}

// userInfo takes user name and password from a URL.
func (d *decoder) userInfo(v value, user *url.Userinfo, username *string, secret *media.Secret) {
	place := d.place(v.key + ".url")
	for _, key := range []string{"username", "password", "password_file"} {
		if d.has(v.key + "." + key) {
			place.fail("holds a user name, and "+key+" is given too", "take it out of the URL")
			return
		}
	}
	password, _ := user.Password()
	*username, *secret = user.Username(), media.Secret(password)
	place.warn("holds a user name", "username and password_file keep it out of copies of this file")
}

// cameraURL takes a camera's URL and returns the user info that was in it.
func cameraURL(v value, dst *string) *url.Userinfo {
	u, raw := v.url("rtsp", "rtsps")
	if u == nil {
		return nil
	}
	*dst = withoutUser(u, raw)
	return u.User
}

// withoutUser returns raw, of which u is the URL, without the user info. The rest
// stays byte for byte: cameras and servers are particular about their paths.
func withoutUser(u *url.URL, raw string) string {
	if u.User == nil {
		return raw
	}
	begin := len(u.Scheme) + len("://")
	authority, _, _ := strings.Cut(raw[begin:], "/")
	return raw[:begin] + raw[begin+strings.LastIndexByte(authority, '@')+1:]
}

// onOff takes on or off.
func onOff(dst *bool) func(value) {
	return func(v value) {
		if v.either(truth(dst), func(v value) { s := ""; word(&s, "on", "off")(v) }) {
			return
		}
		if b, ok := v.node.(*ast.BoolNode); ok {
			*dst = b.Value
			return
		}
		s := "off"
		word(&s, "on", "off")(v)
		*dst = s == "on"
	}
}

// fingerprint takes the SHA-256 of a certificate, with or without colons.
func fingerprint(dst *TLS) func(value) {
	return func(v value) {
		s, ok := v.text()
		if !ok {
			return
		}
		s = strings.ToLower(strings.ReplaceAll(s, ":", ""))
		if b, err := hex.DecodeString(s); err != nil || len(b) != 32 {
			v.fail("want the SHA-256 of the certificate, 64 hexadecimal digits",
				"openssl x509 -noout -fingerprint -sha256 prints it")
			return
		}
		dst.Fingerprint = s
	}
}

// require fails if the section lacks the key.
func (d *decoder) require(v value, key string) {
	if v.schema != nil {
		v.schema.Required = append(v.schema.Required, key)
		return
	}
	if _, ok := v.node.(ast.MapNode); (ok || v.null()) && !d.has(v.key+"."+key) {
		v.failf("%s is missing", key)
	}
}

// exclude fails if the section has both keys.
func (d *decoder) exclude(v value, a, b string) {
	if d.has(v.key+"."+a) && d.has(v.key+"."+b) {
		d.place(v.key+"."+b).failf("give %s or %s, not both", a, b)
	}
}
