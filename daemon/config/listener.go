package config

import (
	"net"
	"time"

	"camrelay/media"
)

// Listener is a server's address and how many connections it takes.
type Listener struct {
	Listen         string // host:port; empty: the server is off
	MaxConnections int    // more are refused; 0: the server's own bound
	MaxPerAddress  int    // of one client's address, as MaxConnections
}

// RTSP is the section rtsp. It is comparable.
type RTSP struct {
	Listener
	TLS       ServerTLS // rtsps
	Multicast Multicast // not over TLS
}

// HTTP is the section http. It is comparable.
type HTTP struct {
	Listener
	TLS ServerTLS // https, with HTTP/2
}

// SRT is the section srt. It is comparable.
type SRT struct {
	Listener                 // UDP
	Passphrase media.Secret  // 10 to 79 bytes; empty: not encrypted
	PBKeyLen   int           // 0 (16), 16, 24 or 32 bytes
	Latency    time.Duration // the caller's if that is longer
}

// ServerTLS is a second address of a server, at which it speaks TLS. It is comparable.
type ServerTLS struct {
	Listen string // host:port; empty: off
	Cert   string // chain of certificates in PEM; empty: the box's own, or the files were not read
	Key    media.Secret
}

// The addresses of TLS where the section does not name them.
const (
	rtspsAddress = ":8322"
	httpsAddress = ":8443"
)

func listenerFields(l *Listener) fields {
	return fields{
		"listen":          address(&l.Listen),
		"max_connections": number(&l.MaxConnections, 0, 100_000),
		"max_per_address": number(&l.MaxPerAddress, 0, 100_000),
	}
}

func (d *decoder) rtspServer(r *RTSP) fields {
	f := listenerFields(&r.Listener)
	f["tls"] = d.ownTLS(&r.TLS, rtspsAddress)
	f["multicast"] = multicast(&r.Multicast)
	return f
}

func (d *decoder) httpServer(h *HTTP) fields {
	f := listenerFields(&h.Listener)
	f["tls"] = d.ownTLS(&h.TLS, httpsAddress)
	return f
}

// srtServer takes the section srt.
func (d *decoder) srtServer(v value) {
	s := &d.cfg.SRT
	passphrase := func(p media.Secret) { s.Passphrase = p }
	f := listenerFields(&s.Listener)
	f["passphrase"] = d.secret(minPassphrase, maxPassphrase, passphrase)
	f["passphrase_file"] = d.secretFile(minPassphrase, maxPassphrase, passphrase)
	f["pbkeylen"] = pbkeylen(&s.PBKeyLen)
	f["latency"] = span(&s.Latency, minLatency, maxLatency)
	v.decode(f)
	d.exclude(v, "passphrase", "passphrase_file")
}

// ownTLS takes the section of a server's own certificate.
func (d *decoder) ownTLS(t *ServerTLS, standard string) func(value) {
	return func(v value) {
		if t.Listen == "" {
			t.Listen = standard
		}
		pair := certificateRef{place: v, into: t}
		v.decode(fields{
			"listen":    address(&t.Listen),
			"cert_file": str(&pair.cert, 4096),
			"key_file":  str(&pair.key, 4096),
		})
		if t.Listen == "" || v.schema != nil {
			return
		}
		if !d.has(v.key+".cert_file") && !d.has(v.key+".key_file") {
			return // the box's own
		}
		d.require(v, "cert_file")
		d.require(v, "key_file")
		if pair.cert != "" && pair.key != "" {
			d.certificates = append(d.certificates, pair)
		}
	}
}

// bound is something that listens at an address, by the key that says so.
type bound struct{ key, listen string }

// checkListeners refuses two servers at one address.
func (d *decoder) checkListeners() {
	d.distinct([]bound{
		{"rtsp.listen", d.cfg.RTSP.Listen},
		{"http.listen", d.cfg.HTTP.Listen},
		{"api.listen", d.cfg.API.Listen},
		{"rtmp.listen", d.cfg.RTMP.Listen},
		{"metrics.listen", d.cfg.Metrics.Listen},
		{"rtsp.tls.listen", d.cfg.RTSP.TLS.Listen},
		{"http.tls.listen", d.cfg.HTTP.TLS.Listen},
	})
	all := []bound{{"srt.listen", d.cfg.SRT.Listen}}
	for _, name := range keysOf(d.cfg.Pushes) {
		p, key := d.cfg.Pushes[name], "pushes."+name
		// One push is never at both of its own.
		if own := p.Target.waitsAt(); own != "" && p.Enabled {
			all = append(all, bound{key + ".url", own})
		}
		if other := p.Backup.Target.waitsAt(); other != "" && p.Enabled && other != p.Target.waitsAt() {
			all = append(all, bound{key + ".backup.url", other})
		}
	}
	d.distinct(all)
}

// distinct refuses two that are at one address.
func (d *decoder) distinct(all []bound) {
	for i, a := range all {
		for _, b := range all[:i] {
			if overlap(a.listen, b.listen) {
				// A section tls without the key has the address all the same.
				d.place(a.key, b.key, "rtsp.tls", "http.tls").failf("%s and %s have the same address", a.key, b.key)
			}
		}
	}
}

// overlap tells whether both addresses cannot be bound at once.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isAny(hostA) || isAny(hostB)
}

func isAny(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
