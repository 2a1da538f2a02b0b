package memory

import (
	"io/fs"
	"testing"
)

func TestLevel(t *testing.T) {
	for _, row := range []struct {
		name string
		s    State
		want Level
	}{
		{"nothing is known", State{}, Plenty},
		{"there is enough", State{Total: 1000, Available: 500}, Plenty},
		{"a tenth is left", State{Total: 1000, Available: 100}, Short},
		{"a twentieth is left", State{Total: 1000, Available: 50}, Scarce},
		{"a fiftieth is left", State{Total: 1000, Available: 20}, Empty},
		{"the service may use as much as it likes", State{Group: &Group{Used: 1000}}, Plenty},
		{"the service nears its limit", State{Total: 1000, Available: 500, Group: &Group{Used: 90, Limit: 100}}, Short},
		{"the service is at its limit", State{Group: &Group{Used: 99, Limit: 100}}, Empty},
		{"some work waits", State{Pressure: &Pressure{Some10: 12}}, Short},
		{"all work waits", State{Pressure: &Pressure{Some10: 30, Full10: 12}}, Scarce},
		{"it has waited a while ago", State{Pressure: &Pressure{Some60: 50}}, Plenty},
	} {
		if got := row.s.Level(); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
		if all := Judge(row.s); (len(all) > 0) != (row.want > Plenty) {
			t.Errorf("%s: %v", row.name, all)
		}
	}
}

func TestParseMeminfo(t *testing.T) {
	for text, want := range map[string][2]int64{
		"MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  500 kB\n": {1000 << 10, 500 << 10},
		"MemTotal:  1000 kB\n":                                 {1000 << 10, 0},
		"MemTotal: 10 kB\nMemAvailable: 500 kB\n":              {10 << 10, 0},
		"MemTotal: -10 kB\nMemAvailable: 99999999999999999 kB": {0, 0},
		"MemTotal": {0, 0},
	} {
		if total, available := parseMeminfo([]byte(text)); total != want[0] || available != want[1] {
			t.Errorf("%q: %d, %d", text, total, available)
		}
	}
}

func FuzzParseMeminfo(f *testing.F) {
	f.Add([]byte("MemTotal:  1000 kB\nMemAvailable:  500 kB\n"))
	f.Add([]byte("MemTotal: 9007199254740991 kB"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if total, available := parseMeminfo(b); total < 0 || available < 0 || available > total {
			t.Errorf("%q: %d, %d", b, total, available)
		}
	})
}

func TestParsePressure(t *testing.T) {
	const text = "some avg10=12.50 avg60=3.00 avg300=0.00 total=7852746\nfull avg10=1.25 avg60=0.50 avg300=0.00 total=1\n"
	if p := parsePressure([]byte(text)); p == nil || *p != (Pressure{12.5, 3, 1.25, 0.5}) {
		t.Errorf("%+v", p)
	}
	for _, text := range []string{"", "some\n", "avg10=5\n", "some avg10=NaN", "some avg10=200", "some avg10=-1"} {
		if p := parsePressure([]byte(text)); p != nil {
			t.Errorf("%q: %+v", text, p)
		}
	}
}

func FuzzParsePressure(f *testing.F) {
	f.Add([]byte("some avg10=12.50 avg60=3.00\nfull avg10=0.00"))
	f.Add([]byte("full avg10=NaN avg60=+Inf"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := parsePressure(b)
		if p == nil {
			return
		}
		for _, percent := range []float64{p.Some10, p.Some60, p.Full10, p.Full60} {
			if !(percent >= 0 && percent <= 100) {
				t.Errorf("%q: %+v", b, p)
			}
		}
	})
}

func FuzzParseCgroup(f *testing.F) {
	f.Add([]byte("3:memory:/x\n0::/system.slice/camrelay.service\n"))
	f.Add([]byte("0::/../../proc\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if dir, ok := parseCgroup(b); ok && !fs.ValidPath(dir) {
			t.Errorf("%q: %q", b, dir)
		}
	})
}

func FuzzParseCounter(f *testing.F) {
	f.Add([]byte("oom 0\noom_kill 3\n"))
	f.Add([]byte("oom_kill -3"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := parseCounter(b, "oom_kill"); n < 0 {
			t.Errorf("%q: %d", b, n)
		}
	})
}
