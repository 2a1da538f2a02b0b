package keepalive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestEverythingAtOnce calls every method from many goroutines while paths come
// and go, and then looks whether what is held is what is listed.
func TestEverythingAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := newSite("a", "b", "c")
	k, stop, _ := rig(t, s, dir)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			for range 300 {
				anything(t, s, k, rng, n == 0)
			}
		})
	}
	wg.Wait()
	for _, name := range []string{"a", "b", "c"} {
		s.put(name, warm)
		k.PathAdded(name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	live := make(map[string]int)
	all := k.List()
	for _, l := range all {
		if l, ok := k.Await(ctx, l.ID); !ok || l.State != Holding {
			t.Fatalf("it does not hold: %+v", l)
		}
		live[l.Path]++
	}
	for _, name := range []string{"a", "b", "c"} {
		if s.held(name) != live[name] {
			t.Errorf("%d claims on %s, want %d", s.held(name), name, live[name])
		}
	}
	stop()
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	if saved, err := decode(b, k.moment()); err != nil || len(saved) != len(all) {
		t.Errorf("%d leases on disk, %d held, %v", len(saved), len(all), err)
	}
	ended := make(map[string]bool)
	for _, ev := range s.events {
		id := ev.Lease.ID
		_, known := ended[id]
		if known == (ev.Type == Added) || ended[id] {
			t.Errorf("%s of %s, added %v, removed %v", ev.Type, id, known, ended[id])
		}
		ended[id] = ev.Type == Removed
	}
}

// anything does one thing that any goroutine may do, or the one that is the daemon's.
func anything(t *testing.T, s *site, k *Leases, rng *rand.Rand, daemon bool) {
	path := string("abc"[rng.IntN(3)])
	id := ""
	if all := k.List(); len(all) > 0 {
		id = all[rng.IntN(len(all))].ID
	}
	op := rng.IntN(7)
	if daemon {
		op = 7 + rng.IntN(4)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits for the disk
	var err error
	switch op {
	case 0, 1, 2:
		_, err = k.Add(ctx, Request{Path: path}, alice)
	case 3, 4:
		err = k.Remove(ctx, id, alice)
	case 5:
		_, err = k.Renew(ctx, id, 0, alice)
		k.Await(ctx, id)
	case 6:
		s.end(id, "test", time.Millisecond)
		k.Get(id)
		k.Status()
	case 7:
		k.SetDeclared(map[string]Declared{"x": {Path: path}, fmt.Sprint("n", rng.IntN(3)): {Path: path}})
	case 8:
		s.put(path, []Health{warm, {Media: true}, {}}[rng.IntN(3)])
	case 9:
		s.drop(path)
		k.PathRemoved(path, "removed")
		fallthrough
	case 10:
		s.put(path, Health{})
		k.PathAdded(path)
	}
	var declared *DeclaredError
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNoPath) && !errors.As(err, &declared) {
		t.Error(err)
	}
}

// victim names the directory of the process that is killed.
const victim = "CAMRELAY_KEEPALIVE_VICTIM"

// TestKillNine kills a process again and again while it adds and removes leases.
// What it has acknowledged is there afterwards.
func TestKillNine(t *testing.T) {
	if dir := os.Getenv(victim); dir != "" {
		beVictim(t, dir)
	}
	dir := t.TempDir()
	promised := make(map[string]bool)
	rng := rand.New(rand.NewPCG(9, 9))
	for range 15 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillNine$")
		cmd.Env = append(os.Environ(), victim+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		n := 1 + rng.IntN(20)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			verb, id, _ := strings.Cut(lines.Text(), " ")
			switch verb {
			case "added":
				promised[id] = true
			case "removing": // it may be there or not until it is said to be removed
				delete(promised, id)
			}
			if n--; n == 0 {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		k := New(Config{Paths: newSite(), Dir: dir}, slog.New(slog.DiscardHandler))
		k.Load()
		if st := k.Status(); st.Loaded != "" {
			t.Fatal(st.Loaded)
		}
		for id := range promised {
			if _, ok := k.Get(id); !ok {
				t.Fatalf("lost %s, has %v", id, k.List())
			}
		}
	}
	if len(promised) == 0 {
		t.Error("nothing was ever acknowledged")
	}
}

// beVictim adds and removes leases until it is killed.
func beVictim(t *testing.T, dir string) {
	s := newSite("a")
	k, _, _ := rig(t, s, dir)
	for i := range 1000 {
		l := add(t, k, Request{Path: "a"}, alice)
		if !l.Saved {
			continue
		}
		fmt.Fprintln(os.Stdout, "added", l.ID)
		if all := k.List(); i%3 == 2 {
			gone := all[0].ID
			fmt.Fprintln(os.Stdout, "removing", gone)
			if err := k.Remove(t.Context(), gone, alice); err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(k.List(), func(l Lease) bool { return l.ID == gone }) {
				t.Fatal("it is still there")
			}
		}
	}
}
