package auth

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// localSuffixes end names that the public DNS does not hold (RFC 6761, RFC 6762,
// RFC 8375, the names that ICANN reserves or never delegates).
var localSuffixes = []string{
	".localhost", ".local", ".internal", ".home.arpa", ".lan", ".home", ".corp", ".mail", ".localdomain", ".test",
}

// OwnName tells whether a request that is addressed to host, which may have a
// port, was meant for this box: an address, a name that nobody can register, the
// box's own name or one that the rules list. A web page whose name has been made
// to point here (DNS rebinding) shows another.
func (a *Access) OwnName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if host == "" || strings.HasPrefix(host, ".") {
		return false
	}
	if !strings.Contains(host, ".") {
		return true // no site of the world has a name of one word
	}
	for _, suffix := range localSuffixes {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return slices.Contains(a.book.Load().hosts, host)
}

// hostsOf returns names in the form in which they are compared.
func hostsOf(names []string) []string {
	var all []string
	for _, name := range names {
		if name = strings.ToLower(strings.TrimSuffix(name, ".")); name != "" {
			all = append(all, name)
		}
	}
	return all
}
