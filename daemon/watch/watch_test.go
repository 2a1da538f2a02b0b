package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// watched is a Watcher under test, and what its reader has read last.
type watched struct {
	*Watcher
	t    *testing.T
	told chan struct{}
	read atomic.Pointer[string]
}

// start runs a Watcher of the paths. Its reader reads file each time.
func start(t *testing.T, file string, paths ...string) *watched {
	t.Helper()
	return startWith(t, file, func(*Watcher) {}, paths...)
}

// startWith is start of a Watcher that is changed before it runs.
func startWith(t *testing.T, file string, change func(*Watcher), paths ...string) *watched {
	t.Helper()
	w := &watched{Watcher: New(slog.New(slog.DiscardHandler), paths...), t: t, told: make(chan struct{}, 1000)}
	change(w.Watcher)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- w.Run(ctx, func() {
			text, err := os.ReadFile(file)
			s := string(text)
			if err != nil {
				s = "error"
			}
			w.read.Store(&s)
			w.told <- struct{}{}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	w.await("the beginning")
	return w
}

// await waits until the change is told, and no other for longer than a burst
// holds one back.
func (w *watched) await(what string) {
	w.t.Helper()
	select {
	case <-w.told:
	case <-time.After(time.Minute):
		w.t.Fatalf("not told: %s", what)
	}
	w.drain()
}

// drain waits until nothing is told any more.
func (w *watched) drain() {
	for w.silent() != nil {
	}
}

// silent returns an error if something is told within 300 ms.
func (w *watched) silent() error {
	select {
	case <-w.told:
		return errors.New("a change is told")
	case <-time.After(quiet * 3 / 2):
		return nil
	}
}

// awaitText waits until the reader has read text.
func (w *watched) awaitText(text string) {
	w.t.Helper()
	limit := time.After(time.Minute)
	for *w.read.Load() != text {
		select {
		case <-w.told:
		case <-limit:
			w.t.Fatalf("the reader has %q, want %q", *w.read.Load(), text)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEdits(t *testing.T) {
	rows := []struct {
		name string
		edit func(t *testing.T, file, dir string)
	}{
		{"the file is written in place", func(t *testing.T, file, _ string) { write(t, file, "b") }},
		{"the file is truncated, then written", func(t *testing.T, file, _ string) {
			must(t, os.Truncate(file, 0))
			write(t, file, "b")
		}},
		{"another file is renamed over it", func(t *testing.T, file, _ string) {
			write(t, file+".tmp", "b")
			must(t, os.Rename(file+".tmp", file))
		}},
		{"an editor moves it away and writes a new one", func(t *testing.T, file, _ string) {
			must(t, os.Rename(file, file+"~"))
			write(t, file, "b")
		}},
		{"the file is deleted", func(t *testing.T, file, _ string) { must(t, os.Remove(file)) }},
		{"the file is made unreadable", func(t *testing.T, file, _ string) { must(t, os.Chmod(file, 0)) }},
		{"a drop-in appears", func(t *testing.T, _, dir string) { write(t, filepath.Join(dir, "a.yaml"), "x") }},
		{"the directory of drop-ins is removed", func(t *testing.T, _, dir string) { must(t, os.RemoveAll(dir)) }},
		{"the directory of drop-ins is moved away", func(t *testing.T, _, dir string) {
			must(t, os.Rename(dir, dir+".old"))
		}},
		{"another directory takes the place of the drop-ins", func(t *testing.T, _, dir string) {
			must(t, os.Mkdir(dir+".new", 0o700))
			must(t, os.Rename(dir, dir+".old"))
			must(t, os.Rename(dir+".new", dir))
		}},
		{"the whole directory is moved away and made anew", func(t *testing.T, file, _ string) {
			root := filepath.Dir(file)
			must(t, os.Rename(root, root+".old"))
			must(t, os.Mkdir(root, 0o700))
			write(t, file, "b")
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), "etc")
			file, dir := filepath.Join(root, "c.yaml"), filepath.Join(root, "conf.d")
			must(t, os.MkdirAll(dir, 0o700))
			write(t, file, "a")
			w := start(t, file, file, dir)
			row.edit(t, file, dir)
			w.await(row.name)
			must(t, os.RemoveAll(file))
			write(t, file, "later")
			w.awaitText("later")
			w.lookForDropIns(dir)
		})
	}
}

// lookForDropIns checks that they are still looked at, whatever became of them.
func (w *watched) lookForDropIns(dir string) {
	w.t.Helper()
	w.drain()
	if os.Mkdir(dir, 0o700) == nil {
		w.await("the directory of drop-ins is there")
	}
	write(w.t, filepath.Join(dir, "late.yaml"), "x")
	w.await("a drop-in afterwards")
}

// TestLinks has the layout of Kubernetes: the file is a link into ..data,
// which is a link to a directory that is exchanged as a whole.
func TestLinks(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	must(t, os.Mkdir(at("v1"), 0o700))
	write(t, at("v1/c.yaml"), "one")
	must(t, os.Symlink("v1", at("..data")))
	must(t, os.Symlink("..data/c.yaml", at("c.yaml")))
	must(t, os.Mkdir(at("elsewhere"), 0o700))
	must(t, os.Symlink(at("c.yaml"), at("elsewhere/link.yaml")))
	w := start(t, at("elsewhere/link.yaml"), at("elsewhere/link.yaml"))

	write(t, at("v1/c.yaml"), "one, edited in place")
	w.awaitText("one, edited in place")

	must(t, os.Mkdir(at("v2"), 0o700))
	write(t, at("v2/c.yaml"), "two")
	must(t, os.Symlink("v2", at("..tmp")))
	must(t, os.Rename(at("..tmp"), at("..data")))
	w.awaitText("two")
	must(t, os.RemoveAll(at("v1")))

	write(t, at("v2/c.yaml"), "two, edited in place")
	w.awaitText("two, edited in place")

	must(t, os.Remove(at("elsewhere/link.yaml")))
	w.awaitText("error")
	write(t, at("elsewhere/link.yaml"), "a file")
	w.awaitText("a file")
}

// TestTwoNames writes the file by its other name.
func TestTwoNames(t *testing.T) {
	t.Parallel()
	file, other := filepath.Join(t.TempDir(), "c.yaml"), filepath.Join(t.TempDir(), "other.yaml")
	write(t, file, "a")
	must(t, os.Link(file, other))
	w := start(t, file, file)
	write(t, other, "b")
	w.awaitText("b")
	must(t, os.Remove(other))
	write(t, file, "c")
	w.awaitText("c")
	must(t, os.Link(file, other))
	w.await("the file has another name")
	write(t, other, "d")
	w.awaitText("d")
}

// TestNothingIsThereYet makes a file whose directories do not exist either.
func TestNothingIsThereYet(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	file := filepath.Join(root, "a", "b", "c.yaml")
	w := start(t, file, file)
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	write(t, file, "one")
	w.awaitText("one")
	must(t, os.RemoveAll(filepath.Join(root, "a")))
	w.awaitText("error")
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	write(t, file, "two")
	w.awaitText("two")
}

// TestTheLastChangeIsTold writes as fast as it can, in all ways at once, and
// then no more: the reader ends up with the last text.
func TestTheLastChangeIsTold(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	file := filepath.Join(root, "c.yaml")
	write(t, file, "first")
	w := start(t, file, file)
	begin := time.Now()
	last := ""
	for i := 0; time.Since(begin) < 3*time.Second; i++ {
		last = fmt.Sprint("text ", i)
		switch i % 3 {
		case 0:
			write(t, file, last)
		case 1:
			write(t, file+".tmp", last)
			must(t, os.Rename(file+".tmp", file))
		case 2:
			must(t, os.Remove(file))
			write(t, file, last)
		}
	}
	w.awaitText(last)
	if n := len(w.told); n > 5 {
		t.Errorf("told %d times in 3 s", n)
	}
}

// TestFilesBesideItDoNotMatter keeps a busy directory from costing anything.
func TestFilesBesideItDoNotMatter(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	file := filepath.Join(root, "c.yaml")
	write(t, file, "a")
	w := start(t, file, file)
	for i := range 50 {
		write(t, filepath.Join(root, fmt.Sprint("segment", i)), "x")
	}
	if err := w.silent(); err != nil {
		t.Error(err)
	}
}

func TestSetPaths(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	file, secret := filepath.Join(root, "etc", "c.yaml"), filepath.Join(root, "secrets", "key")
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	must(t, os.MkdirAll(filepath.Dir(secret), 0o700))
	write(t, file, "a")
	write(t, secret, "one")
	w := start(t, secret, file)
	write(t, secret, "two")
	if err := w.silent(); err != nil {
		t.Error("the secret is not watched yet, and", err)
	}
	w.SetPaths(file, secret, "")
	w.awaitText("two")
	write(t, secret, "three")
	w.awaitText("three")
	w.drain()
	w.SetPaths(secret, file, file)
	if err := w.silent(); err != nil {
		t.Error("the paths are the same, and", err)
	}
	w.SetPaths(file)
	w.await("there are fewer paths")
	write(t, secret, "four")
	if err := w.silent(); err != nil {
		t.Error("the secret is no longer watched, and", err)
	}
}

// TestFingerprint sees what the kernel may not have reported.
func TestFingerprint(t *testing.T) {
	root := t.TempDir()
	file, dir := filepath.Join(root, "c.yaml"), filepath.Join(root, "conf.d")
	must(t, os.Mkdir(dir, 0o700))
	write(t, file, "a")
	seen := map[string]string{}
	look := func(what string) {
		now := fingerprint([]string{file, dir})
		if again := fingerprint([]string{file, dir}); again != now {
			t.Errorf("%s: it changes by itself", what)
		}
		if before, ok := seen[now]; ok {
			t.Errorf("%s looks as %s", what, before)
		}
		seen[now] = what
	}
	look("at first")
	write(t, file, "bb")
	look("another length")
	write(t, filepath.Join(dir, "x.yaml"), "x")
	look("a drop-in")
	must(t, os.Chmod(file, 0))
	look("another mode")
	must(t, os.RemoveAll(dir))
	look("no directory")
	must(t, os.Remove(file))
	look("nothing")
}
