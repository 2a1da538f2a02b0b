package led

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/hal"
)

func TestChoose(t *testing.T) {
	for _, row := range []struct{ name, leds, ask, want string }{
		{"Raspberry Pi", "ACT PWR default-on mmc0::", "auto", "ACT"},
		{"Raspberry Pi, an older kernel", "led0 led1", "auto", "led0"},
		{"Rock 5B", "blue:status green:power mmc0::", "auto", "blue:status"},
		{"i.MX 8M Plus EVK", "yellow:status", "auto", "yellow:status"},
		{"NanoPi", "green:lan-1 green:wan red:sys", "auto", "red:sys"},
		{"BeagleBone", "beaglebone:green:usr0 beaglebone:green:usr1", "auto", "beaglebone:green:usr0"},
		{"a PC has none for this", "input3::capslock input3::numlock phy0-led", "auto", ""},
		{"none at all", "", "auto", ""},
		{"one is named", "ACT PWR", "PWR", "PWR"},
		{"one is named that is not there", "ACT PWR", "status", ""},
	} {
		var all []LED
		for name := range strings.FieldsSeq(row.leds) {
			all = append(all, LED{Name: name})
		}
		if got, ok := Choose(all, row.ask); got.Name != row.want || ok != (row.want != "") {
			t.Errorf("%s: %q, %v, want %q", row.name, got.Name, ok, row.want)
		}
	}
}

func TestParseTrigger(t *testing.T) {
	for text, want := range map[string]string{
		"none timer [heartbeat] mmc0\n": "heartbeat", "[none] timer\n": "", "": "", "none timer": "", "[mmc0": "",
	} {
		if got := parseTrigger([]byte(text)); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzParseTrigger(f *testing.F) {
	f.Add([]byte("none timer [heartbeat]\n"))
	f.Add([]byte("[] [\x1b]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := parseTrigger(b); strings.ContainsAny(got, " \n\x1b") || got == "none" {
			t.Errorf("%q: %q", b, got)
		}
	})
}

// tape is a light that writes down when it is set.
type tape struct {
	begin time.Time
	lines []string
	last  bool
}

func (l *tape) Light(on bool) error {
	if on != l.last {
		l.lines = append(l.lines, fmt.Sprintf("%v:%v", time.Since(l.begin).Milliseconds(), on))
	}
	l.last = on
	return nil
}

// show shows patterns on a tape until end is called.
func show(t *testing.T) (l *tape, next chan<- Pattern, end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	patterns, done := make(chan Pattern), make(chan struct{})
	l = &tape{begin: time.Now()}
	go func() {
		defer close(done)
		Show(ctx, l, patterns, func(err error) { t.Error(err) })
	}()
	return l, patterns, func() {
		stop()
		<-done
	}
}

func TestPatterns(t *testing.T) {
	for p, want := range map[Pattern]string{
		Booting:  "0:true 125:false 250:true 375:false",
		Setup:    "0:true 1000:false 2000:true 3000:false",
		Well:     "0:true",
		Camera:   "0:true 150:false 300:true 450:false 1650:true",
		Upstream: "0:true 150:false 300:true 450:false 600:true 750:false 1950:true",
		Hardware: "0:true 150:false 300:true 450:false 600:true 750:false 900:true 1050:false 2250:true",
		Rejected: "0:true 800:false 1000:true 1200:false 1400:true",
		Identify: "0:true 40:false 100:true 140:false",
		Dark:     "",
	} {
		t.Run(string(p), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, next, end := show(t)
				next <- p
				time.Sleep(10 * time.Second)
				synctest.Wait()
				end()
				n := len(strings.Fields(want))
				if got := strings.Join(l.lines[:min(n, len(l.lines))], " "); got != want {
					t.Errorf("%s, want %s", got, want)
				}
				if p == Well && len(l.lines) != 1 {
					t.Errorf("a lit LED is set %d times", len(l.lines))
				}
			})
		})
	}
}

func TestAPatternEndsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, next, end := show(t)
		next <- Setup
		time.Sleep(300 * time.Millisecond)
		next <- Well
		time.Sleep(10 * time.Second)
		next <- Dark
		time.Sleep(10 * time.Second)
		end()
		if got := strings.Join(l.lines, " "); got != "0:true 10300:false" {
			t.Errorf("%s", got)
		}
	})
}

// bench is a board with one LED in a directory.
func bench(t *testing.T, trigger string) (b *hal.Board, dir string) {
	t.Helper()
	root := t.TempDir()
	dir = filepath.Join(root, "sys/class/leds/ACT")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"trigger": trigger, "brightness": "0\n", "max_brightness": "255\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := hal.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	b.SetPatience(time.Minute)
	return b, dir
}

func TestLamp(t *testing.T) {
	b, dir := bench(t, "[x]") // a real file has the driver's answer; this one is overwritten from its beginning
	has := func(file, want string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("%s has %q, %v, want %q", file, text, err, want)
		}
	}
	all := Read(b)
	if !slices.Equal(all, []LED{{"ACT", "x", 255}}) {
		t.Fatalf("%+v", all)
	}
	l, err := Take(b, all[0])
	if err != nil {
		t.Fatal(err)
	}
	has("trigger", "none")
	if err := l.Light(true); err != nil {
		t.Fatal(err)
	}
	has("brightness", "255")
	if err := errors.Join(l.Light(false), l.Return()); err != nil {
		t.Fatal(err)
	}
	has("brightness", "0")
	has("trigger", "x")
}

func TestALampThatMayNotBeSet(t *testing.T) {
	b, dir := bench(t, "[none]")
	l, err := Take(b, Read(b)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "brightness")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Light(true); err == nil {
			t.Error("it is lit")
		}
	}
}
