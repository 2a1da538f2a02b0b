package auth

import (
	"fmt"
	"testing"
	"time"
)

// TestRatesAtTheLimit takes as much as a bucket holds, and one more.
func TestRatesAtTheLimit(t *testing.T) {
	const burst = 5
	start := time.Now()
	for _, row := range []struct {
		name   string
		rates  Rates
		remote func(i int) string
		limit  int // 0: none
	}{
		{
			"one address",
			Rates{One: Bucket{1, burst}},
			func(i int) string { return fmt.Sprint("192.0.2.1:", 1000+i) }, burst,
		},
		{
			"one host of IPv6 with many addresses",
			Rates{One: Bucket{1, burst}},
			func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i) }, burst,
		},
		{
			"many addresses",
			Rates{One: Bucket{1, burst}},
			func(i int) string { return fmt.Sprintf("192.0.2.%d:1", i) }, 0,
		},
		{
			"many addresses together",
			Rates{One: Bucket{1, burst}, All: Bucket{1, 2 * burst}},
			func(i int) string { return fmt.Sprintf("192.0.2.%d:1", i) }, 2 * burst,
		},
		{"this box", Rates{One: Bucket{1, burst}}, func(int) string { return "127.0.0.1:1" }, 0},
		{"the unix socket", Rates{One: Bucket{1, burst}}, func(int) string { return "@" }, 0},
		{"this box and all", Rates{All: Bucket{1, burst}}, func(int) string { return "[::1]:1" }, burst},
		{"no limit", Rates{}, func(int) string { return "192.0.2.1:1" }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, took := NewLimiter(row.rates), 0
			var wait time.Duration
			for i := 0; i < 100 && wait == 0; i++ {
				if wait = l.Take(row.remote(i), start); wait == 0 {
					took++
				}
			}
			if row.limit == 0 {
				if took != 100 {
					t.Errorf("%d were let in, want all", took)
				}
				return
			}
			if took != row.limit || wait != time.Second {
				t.Fatalf("%d were let in, then to wait for %v; want %d and 1s", took, wait, row.limit)
			}
			if again := l.Take(row.remote(0), start.Add(wait-time.Millisecond)); again == 0 {
				t.Error("let in before the time")
			}
			if again := l.Take(row.remote(0), start.Add(wait)); again != 0 {
				t.Errorf("at the time: to wait for %v", again)
			}
		})
	}
}

// TestRatesOfAWorld has more addresses than are remembered.
func TestRatesOfAWorld(t *testing.T) {
	l, now := NewLimiter(Rates{One: Bucket{1, 1}}), time.Now()
	for i := range 5 * maxClients {
		if wait := l.Take(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), now); wait != 0 {
			t.Fatalf("address %d has to wait for %v", i, wait)
		}
		if len(l.one) > maxClients {
			t.Fatalf("%d addresses are remembered", len(l.one))
		}
	}
}

func TestNamesOfTheBox(t *testing.T) {
	a := newAccess(t, Rules{Hosts: []string{"Cams.Example.org."}})
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:9997": true, "[::1]:9997": true, "::1": true, "192.0.2.7:8888": true,
		"localhost": true, "LOCALHOST:1": true, "camrelay": true, "camrelay.local:8888": true, "box7.lan": true,
		"box7.home.arpa": true, "app.localhost": true, "cams.example.org:9997": true, "CAMS.example.org.": true,
		"": false, ":9997": false, "evil.example": false, "evil.example:9997": false, "localhost.evil.example": false,
		"127.0.0.1.evil.example": false, "cams.example.org.evil.example": false, "local": true, ".local": false,
		"x.cams.example.org": false, "evillocal.example": false, "a.b:c:d": false,
	} {
		if got := a.OwnName(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
