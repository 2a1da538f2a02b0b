package config

import (
	"crypto/x509"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"camrelay/media"
)

// The keys of Config.Hooks.
const (
	HookNotFound   = "on_not_found"   // asked for a source of an unknown path
	HookNoneReader = "on_none_reader" // asked whether an idle camera is to be closed
	HookKeepalive  = "on_keepalive"   // asked for each session whether it is to go on
	HookEvents     = "events"         // told of what happens
)

// OnError is what a hook's failure means.
type OnError string

// The values of on_error.
const (
	ErrorIgnore OnError = "ignore" // as if the hook were not there
	ErrorFail   OnError = "fail"   // as if it had refused
)

// Hook is one entry of the section hooks. It is comparable.
type Hook struct {
	URL     string // http or https; its query may hold a secret
	Secret  media.Secret
	TLS     TLS           // https
	Timeout time.Duration // of one call, in all

	Interval time.Duration // between calls of HookKeepalive for one session
	OnError  OnError       // of all but HookEvents
	Events   string        // of HookEvents: types, sorted, separated by spaces; empty: all
}

// hooks is the table of the section. What several files say of one hook is one.
func (d *decoder) hooks() fields {
	f := make(fields)
	for _, name := range []string{HookNotFound, HookNoneReader, HookKeepalive, HookEvents} {
		f[name] = func(v value) {
			h, ok := d.cfg.Hooks[name]
			if !ok {
				h = Hook{Timeout: 5 * time.Second, Interval: 10 * time.Second, OnError: ErrorIgnore}
			}
			v.decode(d.hookFields(name, &h))
			d.cfg.Hooks[name] = h
			d.require(v, "url")
			d.exclude(v, "secret", "secret_file")
			if h.URL != "" && !strings.HasPrefix(strings.ToLower(h.URL), "https:") {
				d.noTLS(v, "https://")
			}
		}
	}
	return f
}

// hookFields is the table of one hook's keys.
func (d *decoder) hookFields(name string, h *Hook) fields {
	secret := func(s media.Secret) {
		h := d.cfg.Hooks[name]
		h.Secret = s
		d.cfg.Hooks[name] = h
	}
	f := fields{
		"url":         hookURL(&h.URL),
		"secret":      d.secret(16, 512, secret),
		"secret_file": d.secretFile(16, 512, secret),
		"timeout":     span(&h.Timeout, 100*time.Millisecond, 5*time.Second),
		"tls":         section(d.hookTLS(name, &h.TLS)),
	}
	if name == HookEvents {
		f["events"] = eventTypes(&h.Events)
		return f
	}
	f["on_error"] = word(&h.OnError, ErrorIgnore, ErrorFail)
	if name == HookKeepalive {
		f["interval"] = span(&h.Interval, time.Second, time.Hour)
	}
	return f
}

func (d *decoder) hookTLS(name string, t *TLS) fields {
	return d.serverTLS(t, func(pem string) {
		h := d.cfg.Hooks[name]
		h.TLS.CA = pem
		d.cfg.Hooks[name] = h
	})
}

// serverTLS is the table of how a server's certificate is judged. set takes the
// authorities to trust, once all files are known.
func (d *decoder) serverTLS(t *TLS, set func(pem string)) fields {
	f := tlsFields(t)
	f["ca_file"] = func(v value) {
		var file string
		if str(&file, 4096)(v); file != "" {
			d.authorities = append(d.authorities, authorityRef{v, file, set})
		}
	}
	return f
}

// hookURL takes the URL of a hook as it stands.
func hookURL(dst *string) func(value) {
	return func(v value) {
		u, raw := v.url("http", "https")
		if u == nil {
			return
		}
		if u.User != nil {
			v.fail("holds a user name", "calls are signed with secret or secret_file instead")
			return
		}
		*dst = raw
	}
}

// eventType is a type of event, or of all that begin alike: session.opened, session.*.
var eventType = regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)*(\.\*)?$`)

// eventTypes takes a list of types of events.
func eventTypes(dst *string) func(value) {
	return func(v value) {
		var all []string
		for _, item := range v.items() {
			s, ok := item.text()
			if ok && (!eventType.MatchString(s) || len(s) > 64) {
				item.fail("is no type of event", "for example session.opened, or session.* for all of a kind")
			}
			all = append(all, s)
		}
		slices.Sort(all)
		*dst = strings.Join(slices.Compact(all), " ")
	}
}

// maxAuthorities is the greatest number of bytes of a file of certificates.
const maxAuthorities = 256 << 10

// authorityRef is a file of certificates that is still to be read.
type authorityRef struct {
	place value
	name  string
	set   func(pem string)
}

// settle reads the file and hands it over. Without l nothing is read.
func (ref authorityRef) settle(l *loader) {
	if l == nil {
		return
	}
	path := ref.name
	if !filepath.IsAbs(path) {
		path = filepath.Join(ref.place.src.dir, path)
	}
	data, err := readFile(path, maxAuthorities)
	l.sources = append(l.sources, Source{Path: path, SHA256: sum(data, err)})
	switch {
	case err != nil:
		l.unreadable(ref.place, path, path, err)
	case len(data) > maxAuthorities || !x509.NewCertPool().AppendCertsFromPEM(data):
		l.lack(ref.place, "the file holds no certificate", "want PEM, BEGIN CERTIFICATE")
	default:
		ref.set(string(data))
	}
}
