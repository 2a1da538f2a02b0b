package config

import (
	"net"
	"net/netip"
	"time"

	"github.com/goccy/go-yaml/ast"

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
	Multicast Multicast
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
	Cert   string // chain of certificates in PEM; empty if the files were not read
	Key    media.Secret
}

// Multicast is how RTSP viewers are served who ask for multicast. The zero
// value refuses them.
type Multicast struct {
	Range string // network of group addresses, 224.1.0.0/16; empty: off
	Port  int    // of RTP, even; RTCP has the next
}

// The addresses of TLS where the section does not name them.
const (
	rtspsAddress = ":8322"
	httpsAddress = ":8443"
)

// standardMulticast is what multicast: on means.
var standardMulticast = Multicast{Range: "224.1.0.0/16", Port: 8002}

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
	group := func(v value) {
		v.decode(fields{"range": group(&r.Multicast.Range), "port": evenPort(&r.Multicast.Port)})
	}
	f["multicast"] = func(v value) {
		if v.either(onOff(new(bool)), group) {
			return
		}
		if _, ok := v.node.(ast.MapNode); !ok {
			on := false
			if onOff(&on)(v); !on {
				r.Multicast = Multicast{}
				return
			}
		}
		if r.Multicast == (Multicast{}) {
			r.Multicast = standardMulticast
		}
		if _, ok := v.node.(ast.MapNode); ok {
			group(v)
		}
	}
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
		d.require(v, "cert_file")
		d.require(v, "key_file")
		if pair.cert != "" && pair.key != "" {
			d.certificates = append(d.certificates, pair)
		}
	}
}

// group takes a network of multicast addresses.
func group(dst *string) func(value) {
	return func(v value) {
		var s string
		if str(&s, 64)(v); s == "" {
			return
		}
		p, err := netip.ParsePrefix(s)
		if err != nil || !p.Addr().Is4() || !p.Addr().IsMulticast() || p.Bits() < 4 || p.Masked() != p {
			v.fail("want a network of multicast addresses", "for example 224.1.0.0/16")
			return
		}
		*dst = s
	}
}

// evenPort takes the port of RTP; the next is RTCP's.
func evenPort(dst *int) func(value) {
	return func(v value) {
		n := 0
		if number(&n, 1024, 65534)(v); n%2 != 0 {
			v.fail("want an even port", "RTCP has the next")
			return
		}
		if n != 0 {
			*dst = n
		}
	}
}

// checkListeners refuses two servers at one address.
func (d *decoder) checkListeners() {
	type server struct{ key, listen string }
	all := []server{
		{"rtsp.listen", d.cfg.RTSP.Listen},
		{"http.listen", d.cfg.HTTP.Listen},
		{"api.listen", d.cfg.API.Listen},
		{"rtmp.listen", d.cfg.RTMP.Listen},
		{"metrics.listen", d.cfg.Metrics.Listen},
		{"rtsp.tls.listen", d.cfg.RTSP.TLS.Listen},
		{"http.tls.listen", d.cfg.HTTP.TLS.Listen},
	}
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
