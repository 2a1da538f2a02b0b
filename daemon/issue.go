package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"camrelay/daemon/api"
	"camrelay/daemon/durable"
)

// issueFile is its name in the runtime directory. A link in /etc/issue.d makes the
// login screens of the box show it.
// Specification: issue(5), agetty(8).
const issueFile = "issue"

// maxAddresses bounds what is shown of a box with many: a screen has 24 lines.
const maxAddresses = 6

// placard is what the login screens show. It belongs to the goroutine of Run.
type placard struct {
	dir   string
	log   *slog.Logger
	tried bool
	shown string
}

// show shows text, if it is news. What cannot be written is not tried again
// before there are others.
func (p *placard) show(text string) {
	if p.tried && p.shown == text {
		return
	}
	p.tried, p.shown = true, text
	if err := durable.Replace(p.dir, issueFile, []byte(text)); err != nil {
		p.log.Warn("the login screen does not show where the box is", "err", err)
	}
}

// hide takes it away: there is nothing to be found at what it shows.
func (p *placard) hide() {
	if err := os.Remove(filepath.Join(p.dir, issueFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Warn("the login screen still shows where the box was", "err", err)
	}
	p.tried = false
}

// addresses returns those at which others may reach the box, IPv4 first.
func addresses() (all []netip.Addr) {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil // then none is shown
	}
	for _, n := range nets {
		prefix, ok := n.(*net.IPNet)
		if !ok {
			continue
		}
		a, _ := netip.AddrFromSlice(prefix.IP)
		if a = a.Unmap(); a.IsGlobalUnicast() || a.Is4() && a.IsLinkLocalUnicast() {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// issueText says where the page of the cameras is. What is listened at is as in
// servers.addrs.
func issueText(addrs []netip.Addr, listens map[string]string, conf api.ConfigStatus) string {
	var b strings.Builder
	b.WriteString("Cameras of this site:\n")
	pages := 0
	for _, scheme := range []string{"http", "https"} {
		at, err := netip.ParseAddrPort(listens[scheme])
		if err != nil {
			continue // it is off
		}
		from := addrs
		if !at.Addr().IsUnspecified() {
			from = []netip.Addr{at.Addr().Unmap()}
		}
		for _, a := range from[:min(len(from), maxAddresses)] {
			fmt.Fprintf(&b, "  %s://%s/\n", scheme, netip.AddrPortFrom(a, at.Port()))
			pages++
		}
	}
	if pages == 0 {
		b.WriteString("  no address yet\n")
	}
	switch conf.State {
	case stateRejected, stateLastGood:
		b.WriteString("The configuration is rejected; \"camrelay check\" says why.\n")
	}
	return b.String()
}
