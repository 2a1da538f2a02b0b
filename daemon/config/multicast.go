package config

import (
	"fmt"
	"net/netip"
	"regexp"
)

// Multicast says where RTSP viewers find packets who ask for multicast. It is comparable.
type Multicast struct {
	Network   netip.Prefix // within 239.0.0.0/8; the zero value: off
	Port      int          // even, of the first track
	TTL       int
	Interface string // empty: that by which the viewer comes
}

// standardMulticast is what a section means that says nothing. The network is
// the IPv4 local scope (RFC 2365 §6.1), the port that of RTP (RFC 3551 §8), and
// packets stay in the LAN.
func standardMulticast() Multicast {
	return Multicast{
		Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{239, 255}), 16), Port: 5004, TTL: 1,
	}
}

// The greatest port leaves room for the tracks of a stream.
const (
	minMulticastPort = 1024
	maxMulticastPort = 65500
)

// multicast takes the section that turns multicast on.
func multicast(m *Multicast) func(value) {
	return func(v value) {
		if *m == (Multicast{}) {
			*m = standardMulticast()
		}
		v.decode(fields{
			"network":   scoped(&m.Network),
			"port":      evenPort(&m.Port),
			"ttl":       number(&m.TTL, 1, 255),
			"interface": interfaceName(&m.Interface),
		})
		if !m.Network.IsValid() {
			*m = Multicast{}
		}
	}
}

// scoped takes a network of addresses that stay on a site (RFC 2365); an empty
// string turns multicast off.
func scoped(dst *netip.Prefix) func(value) {
	const example = "for example 239.255.0.0/16"
	return func(v value) {
		if v.describes("string") {
			v.schema.Pattern, v.schema.Default = `^$|^239(\.[0-9]+){3}/[0-9]+$`, dst.String()
			return
		}
		s, ok := v.text()
		site := netip.PrefixFrom(netip.AddrFrom4([4]byte{239}), 8)
		p, err := netip.ParsePrefix(s)
		switch {
		case !ok:
		case s == "":
			*dst = netip.Prefix{}
		case err != nil:
			v.fail(fmt.Sprintf("%q is no network", shorten(s)), example)
		case !site.Contains(p.Addr()) || p.Bits() < site.Bits():
			v.fail(p.String()+" is not within "+site.String(), example)
		case p != p.Masked():
			v.fail(p.String()+" is no network", "did you mean "+p.Masked().String()+"?")
		default:
			*dst = p
		}
	}
}

// evenPort takes the first of the UDP ports.
func evenPort(dst *int) func(value) {
	return func(v value) {
		number(dst, minMulticastPort, maxMulticastPort)(v)
		if v.schema == nil && *dst%2 != 0 {
			v.fail("the port must be even", "RTP has it, RTCP the next")
		}
	}
}

// interfaces is the form of names of network interfaces, of at most IFNAMSIZ-1 bytes.
var interfaces = regexp.MustCompile(`^[^/\s]{1,15}$`)

func interfaceName(dst *string) func(value) {
	return func(v value) {
		if v.describes("string") {
			v.schema.Pattern = interfaces.String()
			return
		}
		s, ok := v.text()
		switch {
		case !ok:
		case !interfaces.MatchString(s):
			v.fail(fmt.Sprintf("%q is no name of an interface", shorten(s)), "for example eth0")
		default:
			*dst = s
		}
	}
}
