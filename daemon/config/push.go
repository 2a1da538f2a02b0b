package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/platform"
)

// Push is one push. It is comparable.
type Push struct {
	Camera string // key of Cameras
	Target        // the primary
	Backup Backup

	Enabled  bool
	Demand   bool   // starts and holds its camera
	Comment  string // for people
	Platform Platform
	Audio    Audio         // the camera's, if the push says nothing
	Priority int           // 0 to 100, the greater the sooner it connects
	Limit    int           // attempts in a row, 0 = for ever
	Retry    time.Duration // longest pause between two attempts
	Timeout  time.Duration // of connecting, and of a stalled write
}

// Backup is the target of a push that is used while the primary does not work.
// It is comparable. Without a URL there is none.
type Backup struct {
	Target
	Failures int           // attempts of the primary in a row that fail until the backup is used
	After    time.Duration // or so long without media
	Return   time.Duration // so long until the primary is tried again; 0: only when the backup fails
}

// Platform is whose demands a push is held against.
type Platform string

// The values of platform.
const (
	PlatformGeneric    Platform = "generic"
	PlatformYouTube    Platform = "youtube"
	PlatformTwitch     Platform = "twitch"
	PlatformFacebook   Platform = "facebook"
	PlatformCloudflare Platform = "cloudflare"
	PlatformIVS        Platform = "ivs"
	PlatformMux        Platform = "mux"
)

var platforms = []Platform{
	PlatformGeneric, PlatformYouTube, PlatformTwitch, PlatformFacebook, PlatformCloudflare, PlatformIVS, PlatformMux,
}

// newPush returns a push as it is before its keys are read.
func newPush() Push {
	return Push{
		Target: newTarget(), Backup: Backup{Failures: 3, After: 30 * time.Second, Return: 10 * time.Minute},
		Enabled: true, Demand: true, Platform: PlatformGeneric, Retry: time.Minute, Timeout: 10 * time.Second,
	}
}

// pushes reads the section pushes of one file.
func (d *decoder) pushes(v value) {
	for _, e := range d.names(v) {
		if e.src.machine && slices.Contains(d.without, e.name.Value) {
			continue
		}
		p := newPush()
		d.push(e, e.name.Value, &p)
		d.cfg.Pushes[e.name.Value] = p
		d.cfg.Files[e.name.Value] = e.src.name
	}
}

// pushFields is the table of a push's keys, apart from those of its target.
func (d *decoder) pushFields(name string, p *Push) fields {
	return fields{
		"camera":   str(&p.Camera, 64),
		"enabled":  truth(&p.Enabled),
		"demand":   truth(&p.Demand),
		"comment":  str(&p.Comment, 200),
		"priority": number(&p.Priority, 0, 100),
		"limit":    number(&p.Limit, 0, 1_000_000),
		"retry":    span(&p.Retry, time.Second, time.Hour),
		"timeout":  span(&p.Timeout, time.Second, 5*time.Minute),
		"platform": word(&p.Platform, platforms...),
		"audio":    word(&p.Audio, audioModes...),
		"backup":   func(v value) { d.backup(v, name, &p.Backup) },
	}
}

// push reads the keys of one push into p.
func (d *decoder) push(v value, name string, p *Push) {
	var to *url.URL
	f := d.pushFields(name, p)
	d.targetFields(f, &p.Target, &to, d.targetOf(name, func(p *Push) *Target { return &p.Target }))
	v.decode(f)
	d.require(v, "camera")
	if ingest := platform.Ingest(string(p.Platform)); ingest != "" && !d.has(v.key+".url") {
		p.URL = ingest
		to, _ = url.Parse(ingest) // it is one of a table
	} else if v.schema == nil { // where there is no platform that has one
		d.require(v, "url")
	}
	d.target(v, to, &p.Target)
	d.checkPlatform(v, to, p.Platform)
	if made := p.Audio == AudioSilent || p.Audio == AudioTranscode; to != nil && made &&
		strings.HasPrefix(to.Scheme, "rtsp") {
		d.place(v.key+".audio").fail("an RTSP push sends what the camera sends",
			"say auto, pass or drop, or push by another scheme")
	}
}

// backup reads the section backup.
func (d *decoder) backup(v value, name string, b *Backup) {
	b.Target = newTarget()
	var to *url.URL
	f := fields{
		"failures": number(&b.Failures, 1, 100),
		"after":    span(&b.After, time.Second, time.Hour),
		"return":   span(&b.Return, 0, 24*time.Hour),
	}
	d.targetFields(f, &b.Target, &to, d.targetOf(name, func(p *Push) *Target { return &p.Backup.Target }))
	v.decode(f)
	d.require(v, "url")
	d.target(v, to, &b.Target)
}

// checkPlatform warns of a URL that is not one of the platform's.
func (d *decoder) checkPlatform(v value, to *url.URL, p Platform) {
	if to == nil || !d.has(v.key+".url") {
		return
	}
	for _, text := range platform.CheckURL(string(p), to) {
		d.place(v.key+".url").warn(text, "")
	}
}

// targetOf returns what changes a target after its push has been entered: a
// secret is known when all files are read.
func (d *decoder) targetOf(name string, which func(*Push) *Target) func(change func(*Target)) {
	return func(change func(*Target)) {
		p := d.cfg.Pushes[name]
		change(which(&p))
		d.cfg.Pushes[name] = p
	}
}

// checkPushes checks what pushes say of cameras, and gives them what they have
// from there.
func (d *decoder) checkPushes() {
	for _, name := range keysOf(d.cfg.Pushes) {
		p := d.cfg.Pushes[name]
		if d.orphan(name, p.Camera) {
			delete(d.cfg.Pushes, name)
			delete(d.cfg.Files, name)
			continue
		}
		d.known("pushes."+name+".camera", p.Camera)
		if p.Audio == "" {
			p.Audio = AudioAuto
			if cam, ok := d.cfg.Cameras[p.Camera]; ok {
				p.Audio = cam.Audio
			}
			d.cfg.Pushes[name] = p
		}
	}
}

// orphan tells whether a push is the machine's and its camera has left the files.
// Who took it out did not see the push; the other pushes of the machine go on.
func (d *decoder) orphan(push, camera string) bool {
	key := "pushes." + push + ".camera"
	at, ok := d.at[key]
	if _, there := d.cfg.Cameras[camera]; !ok || !at.src.machine || there {
		return false
	}
	at.warn(fmt.Sprintf("there is no camera %q any more: the push is left out", shorten(camera)), "")
	return true
}

// ParsePush reads one push of the configuration from a JSON object, as it would
// stand under its name in a file. Secrets are given as they are: neither files
// nor credentials are read. The error is of type Errors; its places are in the
// text, which it calls the body.
func (c *Config) ParsePush(name string, text []byte) (Push, error) {
	d := newDecoder()
	d.cfg.Cameras = c.Cameras
	src, bad := readTree("body", text)
	if bad != nil {
		return Push{}, Errors{bad}
	}
	v := value{d: d, src: src, key: "pushes." + name, node: src.root}
	d.at[v.key] = v
	if !named.MatchString(name) {
		v.fail("bad name", "1 to 64 of a-z, 0-9, _ and -")
	}
	p := newPush()
	d.push(v, name, &p)
	d.cfg.Pushes[name] = p
	for _, ref := range d.secrets {
		if ref.kind != literal {
			ref.place.fail("is for files only", "give the secret itself")
			continue
		}
		ref.settle(nil)
	}
	for _, ref := range d.authorities {
		ref.place.fail("is for files only", "give fingerprint")
	}
	d.checkPushes()
	if len(d.errs) > 0 {
		for _, e := range d.errs {
			e.Key = strings.TrimPrefix(strings.TrimPrefix(e.Key, "pushes."+name), ".")
		}
		return Push{}, d.errs.sorted([]string{"body"})
	}
	return d.cfg.Pushes[name], nil
}

// secretFields enters the two keys of a secret: itself, and a file that holds it.
func (d *decoder) secretFields(f fields, key string, low, high int, set func(media.Secret)) {
	f[key] = d.secret(low, high, set)
	f[key+"_file"] = d.secretFile(low, high, set)
}
