package hal

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"a string of the device tree", "Raspberry Pi 4\x00", "Raspberry Pi 4"},
		{"a line of sysfs", "cpu-thermal\n", "cpu-thermal"},
		{"the first of lines", "a\nb\n", "a"},
		{"an escape sequence loses its teeth", "\x1b[31mred", "[31mred"},
		{"what is no UTF-8", "M\xfcller", "Mller"},
		{"nothing", "", ""},
		{"too long", strings.Repeat("ä", 100), strings.Repeat("ä", 64)},
	} {
		if got := Line([]byte(row.in)); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("Radxa ROCK 5B\x00"))
	f.Add([]byte("\x00\xff\n\x1b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Line(b)
		if len(s) > maxLine || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\n\x1b") || Line([]byte(s)) != s {
			t.Errorf("%q becomes %q", b, s)
		}
	})
}

func TestCPUs(t *testing.T) {
	for list, want := range map[string]int{
		"0": 1, "0-3": 4, "0-3,6": 5, "0,2-3,7": 4, "": 0, "3-0": 0, "-1": 0, "0-": 0, "0-99999999": 0, "x": 0,
	} {
		if got := cpus(list); got != want {
			t.Errorf("%q has %d, want %d", list, got, want)
		}
	}
}

func FuzzCPUs(f *testing.F) {
	f.Add("0-3,6")
	f.Add("0-4095,0-4095")
	f.Fuzz(func(t *testing.T, list string) {
		if n := cpus(list); n < 0 || n > 4096 {
			t.Errorf("%q has %d", list, n)
		}
	})
}

func FuzzStrings(f *testing.F) {
	f.Add([]byte("radxa,rock-5b\x00rockchip,rk3588\x00"))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all := parseStrings(b)
		if len(all) > maxStrings || slices.Contains(all, "") {
			t.Errorf("%q", all)
		}
	})
}

func TestNaturalOrder(t *testing.T) {
	names := []string{"hwmon10", "hwmon2", "eth0", "b", "hwmon2x"}
	slices.SortFunc(names, natural)
	if want := []string{"b", "eth0", "hwmon2", "hwmon10", "hwmon2x"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestWhatMakersForget(t *testing.T) {
	for in, want := range map[string]string{"To Be Filled By O.E.M.": "", "Default string": "", "NUC11": "NUC11"} {
		if got := dmiText(in); got != want {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}
