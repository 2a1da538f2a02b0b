package keepalive

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// examples are leases of every kind, as they are held.
func examples(now time.Time) []lease {
	return []lease{
		{Lease: Lease{
			ID: uuid.NewString(), Created: now.Add(-time.Hour).Round(0).UTC(), Path: "hall/door", CreatorUser: "alice",
			CreatorIP: "2001:db8::1", Label: `Wand "ü"`, Priority: 7, Owner: OwnerAPI,
		}},
		{Lease: Lease{
			ID: uuid.NewString(), Created: now.Round(0).UTC(), Path: "cam1", TTL: 24 * time.Hour, Owner: OwnerAPI,
		}, deadline: now.Add(10 * time.Hour)},
		{Lease: Lease{
			ID: uuid.NewString(), Created: now.Round(0).UTC(), Path: "cam1", Owner: OwnerConfig, Name: "wall",
		}, dormant: true},
	}
}

// same tells whether two leases are the same but for what they do.
func same(a, b lease) bool {
	a.State, a.Reason, a.Since, b.State, b.Reason, b.Since = "", "", time.Time{}, "", "", time.Time{}
	sameTime := a.Created.Equal(b.Created)
	a.Created, b.Created, a.deadline, b.deadline = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return sameTime && a.Lease == b.Lease && a.dormant == b.dormant
}

func TestStateSurvivesEncoding(t *testing.T) {
	now := moment{wall: time.Now(), boot: "b", up: time.Hour}
	want := examples(now.wall)
	got, err := decode(encode(want, now), now)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d leases, %v", len(got), err)
	}
	for i := range want {
		if !same(*got[i], want[i]) {
			t.Errorf("lease %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestTimeLeftAfterARestart(t *testing.T) {
	const day = 24 * time.Hour
	wall := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	before := moment{wall: wall, boot: "first", up: 10 * time.Hour}
	for _, row := range []struct {
		name      string
		now       moment
		ttl, left time.Duration
		want      time.Duration
	}{
		{"a restart at once", moment{wall, "first", 10 * time.Hour}, 10 * day, 5 * day, 5*day + time.Hour},
		{"a restart at once, short", moment{wall, "first", 10 * time.Hour}, time.Minute, time.Second, time.Minute},
		{"a day off", moment{wall.Add(day), "second", 0}, 10 * day, 5 * day, 4*day + time.Hour},
		{"a year off", moment{wall.Add(365 * day), "second", 0}, 10 * day, 5 * day, time.Hour},
		{"no clock at boot", moment{time.Unix(0, 0), "second", 0}, 10 * day, 5 * day, 5*day + time.Hour},
		{"the clock was set on", moment{wall.Add(365 * day), "first", 11 * time.Hour}, 10 * day, 5 * day, 5 * day},
		{"the clock was set back", moment{wall.Add(-365 * day), "first", 11 * time.Hour}, 10 * day, 5 * day, 5 * day},
		{"boots are not known", moment{wall.Add(day), "", 0}, 10 * day, 5 * day, 4*day + time.Hour},
		{"just renewed", moment{wall, "first", 10 * time.Hour}, 10 * day, 10 * day, 10 * day},
	} {
		l := examples(wall)[1:2]
		l[0].TTL, l[0].deadline = row.ttl, wall.Add(row.left)
		got, err := decode(encode(l, before), row.now)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %v", row.name, err)
		}
		if has := got[0].deadline.Sub(row.now.wall); has != row.want {
			t.Errorf("%s: %v left, want %v", row.name, has, row.want)
		}
	}
}

// rig is leases over a directory, with what they log.
func rig(t *testing.T, s *site, dir string) (k *Leases, stop func(), log *bytes.Buffer) {
	log = new(bytes.Buffer)
	k = New(Config{Paths: s, Dir: dir, Observe: s.observe}, slog.New(slog.NewTextHandler(log, nil)))
	return k, run(t, s, k), log
}

func TestM16_ARestartKeepsLeases(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := newSite("cam1", "cam2")
	k, stop, _ := rig(t, s, dir)
	l := add(t, k, Request{Path: "cam1", Label: "Wall"}, alice)
	gone := add(t, k, Request{Path: "cam1"}, alice)
	k.SetDeclared(map[string]Declared{"lobby": {Path: "cam2"}, "old": {Path: "cam2"}})
	declared := k.List()[2]
	if err := k.Remove(t.Context(), gone.ID, alice); err != nil {
		t.Fatal(err)
	}
	stop()
	if s.held("cam1") != 0 {
		t.Errorf("%d claims after the end", s.held("cam1"))
	}
	if st, err := os.Stat(filepath.Join(dir, fileName)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	s.fresh = 0
	k, _, log := rig(t, s, dir)
	if s.held("cam1") != 1 || s.fresh != 0 {
		t.Errorf("%d claims at the start, %d said to be new", s.held("cam1"), s.fresh)
	}
	if all := k.List(); len(all) != 1 || all[0].ID != l.ID || all[0].Label != "Wall" || !all[0].Created.Equal(l.Created) {
		t.Errorf("M16: %+v, want %+v", all, l)
	}
	k.SetDeclared(map[string]Declared{"lobby": {Path: "cam2"}})
	if all := k.List(); len(all) != 2 || all[1].ID != declared.ID || s.held("cam2") != 1 {
		t.Errorf("the declared one: %+v, want %s", all, declared.ID)
	}
	if st := k.Status(); st.Loaded != "" || st.Fault != "" || st.File == "" {
		t.Errorf("%+v\n%s", st, log)
	}
}

// TestKilledAtAnyMoment leaves behind what a process leaves that is killed
// while it writes.
func TestKilledAtAnyMoment(t *testing.T) {
	now := moment{wall: time.Now()}
	before, after := encode(examples(now.wall)[:1], now), encode(examples(now.wall), now)
	for n := 0; n <= len(after); n += 97 {
		dir := t.TempDir()
		for name, b := range map[string][]byte{fileName: before, fileName + ".tmp": after[:n], "other": nil} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		k, stop, log := rig(t, newSite("hall/door"), dir)
		if len(k.List()) != 1 || k.Status().Loaded != "" {
			t.Fatalf("%d bytes written: %v\n%s", n, k.List(), log)
		}
		stop()
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 2 {
			t.Fatalf("%d bytes written: left %v", n, files)
		}
	}
}

func TestFilesThatAreNotSoundAreSetAside(t *testing.T) {
	now := moment{wall: time.Now()}
	good := string(encode(examples(now.wall), now))
	begin, end := strings.Index(good, "[")+1, strings.Index(good, "},")+1 // of the first
	for _, row := range []struct {
		name, content string
		mark          string
		leases        int
	}{
		{"nothing", "", "broken", 0},
		{"zeros, as after a power cut", strings.Repeat("\x00", 4096), "broken", 0},
		{"half", good[:len(good)/2], "broken", 0},
		{"garbage", "\x7fELF\x01", "broken", 0},
		{"more behind it", good + "{", "broken", 0},
		{"no version", "{}", "broken", 0},
		{"a version to come", `{"version": 2, "leases": {}}`, "newer", 0},
		{"another shape", `{"version": 1, "keepalives": {}}`, "broken", 0},
		{"too much", `{"version": 1, "x": "` + strings.Repeat("x", maxFile) + `"}`, "broken", 0},
		{"one bad entry", strings.Replace(good, `"hall/door"`, `"../door"`, 1), "broken", 2},
		{"an unknown field", strings.Replace(good, `"priority"`, `"importance"`, 1), "broken", 2},
		{"no id", strings.Replace(good, `"id": "`, `"id": "x`, 1), "broken", 2},
		{"one twice", good[:begin] + strings.Repeat(good[begin:end]+",", 2) + good[end+1:], "broken", 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, fileName), []byte(row.content), 0o600); err != nil {
				t.Fatal(err)
			}
			s := newSite("cam1", "hall/door")
			k, stop, log := rig(t, s, dir)
			k.SetDeclared(map[string]Declared{"wall": {Path: "cam1"}})
			want := max(row.leases, 1) // the declared one is there anyway
			if len(k.List()) != want || k.Status().Loaded == "" {
				t.Fatalf("%v, %+v", k.List(), k.Status())
			}
			add(t, k, Request{Path: "cam1"}, alice)
			stop()
			aside, err := os.ReadFile(filepath.Join(dir, fileName+"."+row.mark))
			if err != nil || string(aside) != row.content {
				t.Errorf("set aside: %d bytes, %v", len(aside), err)
			}
			if !strings.Contains(log.String(), "cannot all be restored") || !strings.Contains(log.String(), row.mark) {
				t.Errorf("log: %s", log)
			}
			k, _, _ = rig(t, s, dir)
			k.SetDeclared(map[string]Declared{"wall": {Path: "cam1"}})
			if len(k.List()) != want+1 || k.Status().Loaded != "" {
				t.Errorf("the next start: %v, %+v", k.List(), k.Status())
			}
		})
	}
}

// TestAFullDiskStopsNoLease: what durable.Replace leaves then is its test's.
func TestAFullDiskStopsNoLease(t *testing.T) {
	dir := t.TempDir()
	s := newSite("cam1")
	k, stop, _ := rig(t, s, dir)
	old := add(t, k, Request{Path: "cam1"}, alice)
	stop()
	log := new(bytes.Buffer)
	k = New(Config{Paths: s, Dir: dir}, slog.New(slog.NewTextHandler(log, nil)))
	k.store = &disk{dir, func(string, string, []byte) error { return syscall.ENOSPC }}
	stop = run(t, s, k)
	l := add(t, k, Request{Path: "cam1"}, alice)
	if st := k.Status(); l.Saved || st.Saved || !strings.Contains(st.Fault, "no space") || st.Since.IsZero() {
		t.Errorf("saved %v, %+v", l.Saved, st)
	}
	if s.held("cam1") != 2 {
		t.Errorf("%d claims", s.held("cam1"))
	}
	stop()
	if n := strings.Count(log.String(), "cannot be saved"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("left %v", files)
	}
	k, _, _ = rig(t, s, dir)
	if all := k.List(); len(all) != 1 || all[0].ID != old.ID {
		t.Errorf("after it: %v", all)
	}
}

// TestADirectoryThatCannotBeWritten has a file where the directory belongs,
// since permissions do not stop root.
func TestADirectoryThatCannotBeWritten(t *testing.T) {
	base := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite("cam1")
	k, stop, log := rig(t, s, base)
	l := add(t, k, Request{Path: "cam1"}, alice)
	if l.Saved || s.held("cam1") != 1 || k.Status().Fault == "" {
		t.Fatalf("saved %v, %+v", l.Saved, k.Status())
	}
	if err := os.Remove(base); err != nil {
		t.Fatal(err)
	}
	l = add(t, k, Request{Path: "cam1"}, alice) // the directory can be made by now
	st := k.Status()
	stop()
	if !l.Saved || st.Fault != "" || !st.Saved || !strings.Contains(log.String(), "saved again") {
		t.Errorf("saved %v, %+v\n%s", l.Saved, st, log)
	}
}
