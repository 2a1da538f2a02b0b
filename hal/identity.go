package hal

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Identity is which board it is. What it does not tell is empty.
type Identity struct {
	Model      string   `json:"model"`
	Vendor     string   `json:"vendor,omitempty"`
	Serial     string   `json:"serial,omitempty"`
	Compatible []string `json:"compatible,omitempty"` // of the device tree, the most special first
	SoC        string   `json:"soc,omitempty"`
	Firmware   string   `json:"firmware,omitempty"`
	Kernel     string   `json:"kernel,omitempty"`
	CPUs       int      `json:"cpus"` // online
}

// Identity reads which board it is, from the device tree if there is one, else
// from DMI.
//
// Files: /sys/firmware/devicetree/base/{model,compatible,serial-number},
// /sys/devices/soc0/*, /sys/class/dmi/id/*; Documentation/ABI/testing/sysfs-firmware-ofw,
// sysfs-devices-soc, sysfs-class-dmi of the kernel.
func (b *Board) Identity() Identity {
	const tree, soc, dmi = "firmware/devicetree/base/", "devices/soc0/", "class/dmi/id/"
	id := Identity{
		Model:  cmp.Or(b.Sys.Line(tree+"model"), b.Sys.Line(soc+"machine")),
		Serial: cmp.Or(b.Sys.Line(tree+"serial-number"), b.Sys.Line(soc+"serial_number")),
		SoC:    joinWords(b.Sys.Line(soc+"family"), b.Sys.Line(soc+"soc_id"), b.Sys.Line(soc+"revision")),
		Kernel: b.Proc.Line("sys/kernel/osrelease"),
		CPUs:   cpus(b.Sys.Line("devices/system/cpu/online")),
	}
	if text, err := b.Sys.Read(tree + "compatible"); err == nil {
		id.Compatible = parseStrings(text)
	}
	if id.Model == "" {
		id.Model = dmiText(b.Sys.Line(dmi + "product_name"))
	}
	id.Model = cmp.Or(id.Model, dmiText(b.Sys.Line(dmi+"board_name")))
	id.Vendor = dmiText(b.Sys.Line(dmi + "sys_vendor"))
	id.Serial = cmp.Or(id.Serial, dmiText(b.Sys.Line(dmi+"product_serial")))
	if id.Kernel == "" && b.Live {
		id.Kernel = kernel()
	}
	id.Firmware = joinWords(dmiText(b.Sys.Line(dmi+"bios_version")), dmiText(b.Sys.Line(dmi+"bios_date")))
	return id
}

// kernel asks which kernel it is, where a sandbox hides /proc/sys.
func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return Line(name.Release[:])
}

// dmiText returns a value of DMI unless it is one of those that makers forget to
// replace.
func dmiText(s string) string {
	switch strings.ToLower(strings.Trim(s, ". ")) {
	case "to be filled by o.e.m", "default string", "system product name", "system manufacturer",
		"system serial number", "not specified", "not applicable", "none", "o.e.m", "0123456789", "0", "n/a":
		return ""
	}
	return s
}

func joinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

const maxStrings = 16

// parseStrings reads a list of the device tree: strings that end with NUL.
// Specification: Devicetree Specification v0.4 §2.2.4, stringlist.
func parseStrings(b []byte) []string {
	var all []string
	for s := range strings.SplitSeq(string(b), "\x00") {
		if s = Line([]byte(s)); s != "" && len(all) < maxStrings {
			all = append(all, s)
		}
	}
	return all
}

// cpus counts a list like "0-3,6", 0 if it is none.
func cpus(list string) int {
	const many = 4096
	total := 0
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, z := Int([]byte(first)), Int([]byte(last))
		if a == nil || z == nil || *a < 0 || *z < *a || *z >= many {
			return 0
		}
		if total += int(*z-*a) + 1; total > many {
			return 0
		}
	}
	return total
}
