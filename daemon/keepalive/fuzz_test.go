package keepalive

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzDecode reads state files. What is read is sound, and is the same once it
// has been written.
func FuzzDecode(f *testing.F) {
	now := moment{wall: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), boot: "b", up: time.Hour}
	f.Add(encode(examples(now.wall), now))
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		leases, _ := decode(b, now)
		if len(leases) > maxEntries {
			t.Fatalf("%d leases", len(leases))
		}
		seen := make(map[string]bool)
		var values []lease
		for _, l := range leases {
			left := l.deadline.Sub(now.wall)
			switch {
			case seen[l.ID]:
				t.Fatalf("%s is there twice", l.ID)
			case !ValidID(l.ID) || (Request{l.Path, l.Label, l.Priority, l.TTL}).check() != nil:
				t.Fatalf("not sound: %+v", l.Lease)
			case (l.TTL == 0) != l.deadline.IsZero() || l.TTL > 0 && (left < min(l.TTL, time.Hour) || left > l.TTL):
				t.Fatalf("ttl %v, %v left", l.TTL, left)
			case (l.Owner == OwnerConfig) != l.dormant || (l.Name == "") == l.dormant:
				t.Fatalf("declared? %+v", l.Lease)
			}
			seen[l.ID] = true
			values = append(values, *l)
		}
		again, err := decode(encode(values, now), now)
		if err != nil || len(again) != len(values) {
			t.Fatalf("%d of %d leases are read again: %v", len(again), len(values), err)
		}
		for i := range values {
			if !same(values[i], *again[i]) {
				t.Fatalf("%+v is read again as %+v", values[i], *again[i])
			}
		}
	})
}
