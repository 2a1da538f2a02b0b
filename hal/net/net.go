// Package net reads the network's links. It configures none.
package net

import (
	"bytes"
	"fmt"
	stdnet "net"

	"camrelay/hal"
)

// Link is one interface, other than the loopback.
type Link struct {
	Name      string   `json:"name"`
	State     string   `json:"state"` // up, down, dormant, unknown, …
	Carrier   bool     `json:"carrier"`
	Physical  bool     `json:"physical"` // a device, not a bridge, tunnel or the like
	Wireless  bool     `json:"wireless,omitempty"`
	Mbits     int64    `json:"mbits,omitempty"` // 0: not known
	Duplex    string   `json:"duplex,omitempty"`
	MTU       int64    `json:"mtu,omitempty"`
	MAC       string   `json:"mac,omitempty"`
	Driver    string   `json:"driver,omitempty"`
	RxErrors  int64    `json:"rx_errors"`
	RxDropped int64    `json:"rx_dropped"`
	TxErrors  int64    `json:"tx_errors"`
	Flaps     int64    `json:"carrier_changes"`
	Addresses []string `json:"addresses,omitempty"` // with the length of the prefix; of the box itself only
}

// Up tells whether the link carries.
func (l Link) Up() bool { return l.Carrier && (l.State == "up" || l.State == "unknown") }

// Read reads all links.
//
// Files: /sys/class/net/*; Documentation/ABI/testing/sysfs-class-net of the kernel.
func Read(b *hal.Board) []Link {
	var all []Link
	for _, name := range b.Sys.List("class/net") {
		dir := "class/net/" + name + "/"
		const ethernet, loopback = 1, 772 // ARPHRD_* of linux/if_arp.h
		kind := b.Sys.Int(dir + "type")
		if kind == nil || *kind == loopback {
			continue
		}
		l := Link{
			Name: name, State: b.Sys.Line(dir + "operstate"), MTU: count(b.Sys, dir+"mtu"),
			Carrier: count(b.Sys, dir+"carrier") == 1, Flaps: count(b.Sys, dir+"carrier_changes"),
			Mbits: count(b.Sys, dir+"speed"), Duplex: b.Sys.Line(dir + "duplex"), // unreadable while the link is down
			RxErrors: count(b.Sys, dir+"statistics/rx_errors"), RxDropped: count(b.Sys, dir+"statistics/rx_dropped"),
			TxErrors: count(b.Sys, dir+"statistics/tx_errors"),
			Physical: *kind == ethernet && b.Sys.List(dir+"device") != nil,
			Wireless: b.Sys.List(dir+"wireless") != nil || b.Sys.List(dir+"phy80211") != nil,
		}
		if text, err := b.Sys.Read(dir + "device/uevent"); err == nil {
			l.Driver = parseDriver(text)
		}
		if mac := b.Sys.Line(dir + "address"); isMAC(mac) {
			l.MAC = mac
		}
		if l.Duplex == "unknown" {
			l.Duplex = ""
		}
		if b.Live {
			l.Addresses = addresses(name)
		}
		all = append(all, l)
	}
	return all
}

// count returns a number that is not negative.
func count(sys *hal.Tree, name string) int64 {
	if n := sys.Int(name); n != nil {
		return max(0, *n)
	}
	return 0
}

// parseDriver returns the driver that a device's uevent names.
func parseDriver(b []byte) string {
	for line := range bytes.Lines(b) {
		if driver, ok := bytes.CutPrefix(line, []byte("DRIVER=")); ok {
			return hal.Line(driver)
		}
	}
	return ""
}

// isMAC tells whether it is an address of a device.
func isMAC(s string) bool {
	mac, err := stdnet.ParseMAC(s)
	return err == nil && len(mac) == 6 && s != "00:00:00:00:00:00"
}

func addresses(link string) []string {
	i, err := stdnet.InterfaceByName(link)
	if err != nil {
		return nil
	}
	found, err := i.Addrs()
	if err != nil {
		return nil
	}
	var all []string
	for _, a := range found {
		all = append(all, a.String())
	}
	return all
}

// Judge tells what is wrong: no_link, half_duplex, slow_link.
func Judge(links []Link) []hal.Fault {
	var all []hal.Fault
	physical, up := 0, 0
	for _, l := range links {
		if !l.Physical {
			continue
		}
		physical++
		if !l.Up() {
			continue
		}
		up++
		const slow = 100
		switch {
		case l.Duplex == "half":
			all = append(all, hal.Fault{Name: "half_duplex", Severity: hal.Warn, Text: fmt.Sprintf(
				"%s runs at half duplex: the cable or the setting of the switch is wrong", l.Name)})
		case l.Mbits > 0 && l.Mbits < slow:
			all = append(all, hal.Fault{Name: "slow_link", Severity: hal.Warn, Text: fmt.Sprintf(
				"%s runs at %d Mbit/s: the cable or the switch is bad", l.Name, l.Mbits)})
		}
	}
	if physical > 0 && up == 0 {
		all = append(all, hal.Fault{Name: "no_link", Severity: hal.Grave, Text: "no network link is up"})
	}
	return all
}
