package net

import (
	"slices"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	up := Link{Name: "eth0", State: "up", Carrier: true, Physical: true, Mbits: 1000, Duplex: "full"}
	with := func(change func(*Link)) Link {
		l := up
		change(&l)
		return l
	}
	down := with(func(l *Link) { l.State, l.Carrier = "down", false })
	bridge := with(func(l *Link) { l.Physical = false })
	for _, row := range []struct {
		name  string
		links []Link
		want  string
	}{
		{"nothing is known", nil, ""},
		{"one of two is up", []Link{up, down}, ""},
		{"none is up", []Link{down, down}, "no_link"},
		{"a bridge is no link", []Link{down, bridge}, "no_link"},
		{"a container has no device", []Link{bridge}, ""},
		{"a driver that tells no state", []Link{with(func(l *Link) { l.State = "unknown" })}, ""},
		{"half duplex", []Link{with(func(l *Link) { l.Duplex = "half" })}, "half_duplex"},
		{"ten megabits", []Link{with(func(l *Link) { l.Mbits = 10 })}, "slow_link"},
	} {
		var got []string
		for _, f := range Judge(row.links) {
			got = append(got, f.Name)
		}
		if !slices.Equal(got, strings.Fields(row.want)) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func FuzzParseDriver(f *testing.F) {
	f.Add([]byte("OF_NAME=ethernet\nDRIVER=bcmgenet\n"))
	f.Add([]byte("DRIVER=\x1b[0m"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d := parseDriver(b); strings.ContainsAny(d, "\n\x1b\x00") {
			t.Errorf("%q: %q", b, d)
		}
	})
}

func TestIsMAC(t *testing.T) {
	for s, want := range map[string]bool{
		"dc:a6:32:01:02:03": true, "00:00:00:00:00:00": false, "": false, "dc:a6:32": false,
		"80:00:02:08:fe:80:00:00:00:00:00:00:f4:52:14:03:00:28:05:a1": false,
	} {
		if got := isMAC(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
