package watch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestTwoSavesWithin100ms is where a watcher that ignores what comes soon after a
// change stays with the first one.
func TestTwoSavesWithin100ms(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{0, 20 * time.Millisecond, 99 * time.Millisecond, quiet, quiet * 11 / 10} {
		t.Run(pause.String(), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "c.yaml")
			write(t, file, "a")
			w := start(t, file, file)
			write(t, file, "b")
			<-time.After(pause)
			write(t, file, "c")
			w.awaitText("c")
		})
	}
}

// TestTruncatedForAWhile empties the file, and writes it only after the reader has
// been told.
func TestTruncatedForAWhile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.yaml")
	write(t, file, "a")
	w := start(t, file, file)
	must(t, os.Truncate(file, 0))
	w.awaitText("")
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	for i := range 5 {
		_, err := fmt.Fprint(f, i)
		must(t, err)
		<-time.After(quiet / 4)
	}
	w.awaitText("01234")
}

// TestHundredSavesASecond lasts for longer than a burst is held back.
func TestHundredSavesASecond(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.yaml")
	write(t, file, "a")
	w := start(t, file, file)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range 300 {
		<-tick.C
		write(t, file+".tmp", fmt.Sprint("text ", i))
		must(t, os.Rename(file+".tmp", file))
	}
	if len(w.told) == 0 {
		t.Error("nothing is told while changes go on")
	}
	w.awaitText("text 299")
}

// TestLinkOfADirectory exchanges what a link to the directory of drop-ins points to,
// and one further up.
func TestLinkOfADirectory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	for _, name := range []string{"one/conf.d", "two/conf.d", "three"} {
		must(t, os.MkdirAll(at(name), 0o700))
	}
	write(t, at("one/conf.d/a.yaml"), "one")
	write(t, at("two/conf.d/a.yaml"), "two")
	write(t, at("three/a.yaml"), "three")
	must(t, os.Symlink("one", at("etc")))
	w := start(t, at("etc/conf.d/a.yaml"), at("etc/conf.d"))
	exchange := func(target, link string) {
		must(t, os.Symlink(target, at("next")))
		must(t, os.Rename(at("next"), at(link)))
	}
	exchange("two", "etc")
	w.awaitText("two")
	must(t, os.RemoveAll(at("two/conf.d")))
	w.awaitText("error")
	exchange(at("three"), "two/conf.d")
	w.awaitText("three")
	write(t, at("three/a.yaml"), "three, edited")
	w.awaitText("three, edited")
}

// TestLostEvents is an overflow of the kernel's queue: what it has not told is
// looked for.
func TestLostEvents(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.yaml")
	write(t, file, "a")
	var kernel *fsnotify.Watcher
	w := startWith(t, file, func(w *Watcher) {
		w.queue = func() (*fsnotify.Watcher, error) {
			var err error
			kernel, err = fsnotify.NewWatcher()
			return kernel, err
		}
	}, file)
	w.drain()
	must(t, kernel.Remove(filepath.Dir(file))) // from here on it tells nothing
	write(t, file, "b")
	if err := w.silent(); err != nil {
		t.Fatal(err)
	}
	kernel.Errors <- fsnotify.ErrEventOverflow
	w.awaitText("b")
	write(t, file, "c")
	w.awaitText("c")
}

// mountEnv tells the test that it runs in a mount namespace of its own.
const mountEnv = "CAMRELAY_TEST_MOUNTS"

// TestBindMounts mounts another file over the file, as container engines do, and
// another directory over its directory. No watch on a directory tells of that; the
// table of mounts does.
func TestBindMounts(t *testing.T) {
	if os.Getenv(mountEnv) == "" {
		t.Parallel()
		args := []string{"--mount", os.Args[0], "-test.run=^TestBindMounts$", "-test.v"}
		if os.Geteuid() != 0 {
			args = append([]string{"--map-root-user"}, args...)
		}
		cmd := exec.Command("unshare", args...)
		cmd.Env = append(os.Environ(), mountEnv+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	must(t, os.Mkdir(at("etc"), 0o700))
	must(t, os.Mkdir(at("other"), 0o700))
	write(t, at("etc/c.yaml"), "a")
	write(t, at("file"), "another file")
	write(t, at("other/c.yaml"), "another directory")
	w := startWith(t, at("etc/c.yaml"), func(w *Watcher) { w.rescan = time.Hour }, at("etc/c.yaml"))
	mount := func(from, to string) {
		if out, err := exec.Command("mount", "--bind", at(from), at(to)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	mount("file", "etc/c.yaml")
	w.awaitText("another file")
	write(t, at("file"), "another file, edited")
	w.awaitText("another file, edited")
	mount("other", "etc")
	w.awaitText("another directory")
	write(t, at("other/c.yaml"), "edited there")
	w.awaitText("edited there")
	unmount := func(name string) {
		if out, err := exec.Command("umount", at(name)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	unmount("etc")
	w.awaitText("another file, edited")
	unmount("etc/c.yaml")
	w.awaitText("a")
}
