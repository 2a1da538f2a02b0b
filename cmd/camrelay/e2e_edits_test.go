package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// editor edits the files of a box as people and tools do, at random.
type editor struct {
	b       *box
	rng     *rand.Rand
	base    string // the main file, which keeps its camera
	cam     func(i int) string
	made    map[string]int // edits by name
	mounted []string       // places that something is mounted over, the last one last
	n       int            // names of other files and directories so far
}

func (e *editor) dropIn(i int) string {
	return filepath.Join(e.b.dir, "conf.d", fmt.Sprintf("%d0-site.yaml", i+1))
}

// text is a drop-in with a camera on demand, of which some detail is rolled.
func (e *editor) text(i int) string {
	const text = "cameras:\n  site%d: {url: %q, keep: ondemand, title: \"edit %d\"}\n"
	return fmt.Sprintf(text, i, e.cam(i), e.rng.IntN(1000))
}

// other returns the path of a file or directory that is not there yet.
func (e *editor) other() string {
	e.n++
	return filepath.Join(e.b.dir, fmt.Sprintf("other%d", e.n))
}

// edits are what is done to the ith drop-in, whose path and next text are given.
var edits = []struct {
	name string
	make func(e *editor, i int, file, text string) error
}{
	{"written in place", func(_ *editor, _ int, file, text string) error { return save(file, text) }},
	{"renamed over", func(_ *editor, _ int, file, text string) error {
		return errors.Join(save(file+".new", text), os.Rename(file+".new", file))
	}},
	{"moved away and written anew", func(_ *editor, _ int, file, text string) error {
		_ = os.Rename(file, file+"~") // it need not be there
		return save(file, text)
	}},
	{"cut, by a tool that is interrupted", func(e *editor, _ int, file, text string) error {
		return save(file, text[:e.rng.IntN(len(text))])
	}},
	{"truncated, then written", func(e *editor, _ int, file, text string) error {
		err := save(file, "")
		waitFor(e.b.t, e.upTo(400))
		return errors.Join(err, save(file, text))
	}},
	{"saved twice within 100 ms", func(e *editor, i int, file, text string) error {
		err := save(file, text)
		waitFor(e.b.t, e.upTo(100))
		return errors.Join(err, save(file, e.text(i)))
	}},
	{"saved a hundred times in a second", func(e *editor, i int, file, _ string) (err error) {
		for range 100 {
			err = errors.Join(err, save(file+".new", e.text(i)), os.Rename(file+".new", file))
			waitFor(e.b.t, 10*time.Millisecond)
		}
		return err
	}},
	{"removed", func(_ *editor, _ int, file, _ string) error { return os.RemoveAll(file) }},
	{"masked", func(_ *editor, _ int, file, _ string) error { return link("/dev/null", file) }},
	{"a link to elsewhere that is exchanged", func(e *editor, _ int, file, text string) error {
		target := e.other()
		return errors.Join(save(target, text), link(target, file))
	}},
	{"a link into ..data, which is exchanged", func(e *editor, _ int, file, text string) error {
		version, data := e.other(), filepath.Join(e.b.dir, "volume", "..data")
		err := errors.Join(os.MkdirAll(version, 0o700), os.MkdirAll(filepath.Dir(data), 0o700))
		for i := range 3 {
			err = errors.Join(err, save(filepath.Join(version, filepath.Base(e.dropIn(i))), e.text(i)))
		}
		err = errors.Join(err, save(filepath.Join(version, filepath.Base(file)), text), link(version, data))
		return errors.Join(err, link(filepath.Join("..", "volume", "..data", filepath.Base(file)), file))
	}},
	{"the directory is deleted", func(_ *editor, _ int, file, _ string) error {
		return os.RemoveAll(filepath.Dir(file))
	}},
	{"the directory is deleted and made anew", func(_ *editor, _ int, file, text string) error {
		dir := filepath.Dir(file)
		return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), save(file, text))
	}},
	{"another directory takes its place", func(e *editor, _ int, file, text string) error {
		dir, next := filepath.Dir(file), e.other()
		err := errors.Join(os.Mkdir(next, 0o700), save(filepath.Join(next, filepath.Base(file)), text))
		return errors.Join(err, os.Rename(dir, e.other()), os.Rename(next, dir))
	}},
	{"a file is mounted over it", func(e *editor, _ int, file, text string) error {
		source := e.other()
		err := errors.Join(save(source, text), save(file+".new", "#\n"), os.Rename(file+".new", file)) // no link any more
		return errors.Join(err, e.mount(source, file))
	}},
	{"a directory is mounted over its own", func(e *editor, _ int, file, text string) error {
		source := e.other()
		err := errors.Join(os.Mkdir(source, 0o700), save(filepath.Join(source, filepath.Base(file)), text))
		return errors.Join(err, e.mount(source, filepath.Dir(file)))
	}},
	{"the kernel's queue overflows", func(e *editor, _ int, file, text string) error {
		return e.overflow(file, text)
	}},
	{"the main file has a mistake", func(e *editor, _ int, _, _ string) error {
		e.b.write(strings.Replace(e.base, "url:", "ulr:", 1))
		return nil
	}},
}

func save(file, text string) error { return os.WriteFile(file, []byte(text), 0o600) }

// link makes a link in the place of what is there, in one step.
func link(target, path string) error {
	return errors.Join(os.Symlink(target, path+".link"), os.Rename(path+".link", path))
}

// upTo is a time that is rolled.
func (e *editor) upTo(ms int) time.Duration { return time.Duration(e.rng.IntN(ms)) * time.Millisecond }

// mount mounts source over place.
func (e *editor) mount(source, place string) error {
	if out, err := exec.Command("mount", "--bind", source, place).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	e.mounted = append(e.mounted, place)
	return nil
}

// unmount takes away what is mounted.
func (e *editor) unmount() (err error) {
	for _, place := range slices.Backward(e.mounted) {
		// Whoever reads it at this moment still has what was there.
		out, failed := exec.Command("umount", "--lazy", place).CombinedOutput()
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%w: %s", failed, out))
		}
	}
	e.mounted = nil
	return err
}

// overflow saves the drop-in after more changes than the kernel's queue has room
// for, of which the daemon looks at none meanwhile.
func (e *editor) overflow(file, text string) error {
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		return err
	}
	room, err := strconv.Atoi(strings.TrimSpace(string(limit)))
	err = errors.Join(err, e.b.cmd.Process.Signal(syscall.SIGSTOP))
	one, other := file+".one", file+".other"
	err = errors.Join(err, save(one, ""), save(other, ""))
	for i := range room/2 + 1 { // two of the same in a row would be one
		mode := os.FileMode(0o600 + i%2)
		err = errors.Join(err, os.Chmod(one, mode), os.Chmod(other, mode))
	}
	err = errors.Join(err, save(file, text), os.Remove(one), os.Remove(other))
	return errors.Join(err, e.b.cmd.Process.Signal(syscall.SIGCONT))
}

// edit makes one edit.
func (e *editor) edit() {
	t, i := e.b.t, e.rng.IntN(3)
	t.Helper()
	one, file := edits[e.rng.IntN(len(edits))], e.dropIn(i)
	err := errors.Join(e.unmount(), os.MkdirAll(filepath.Dir(file), 0o700))
	if err == nil {
		err = one.make(e, i, file, e.text(i))
	}
	if err != nil {
		t.Fatalf("%s: %v", one.name, err)
	}
	e.made[one.name]++
}

// mend leaves no file that is cut, and the main one without a mistake. Most ends
// of a sequence need nothing of that, so its last edit is of any kind.
func (e *editor) mend() {
	e.b.t.Helper()
	if text, err := os.ReadFile(e.b.config()); err != nil || strings.Contains(string(text), "ulr:") {
		e.b.write(e.base)
	}
	for i := range 3 {
		text, err := os.ReadFile(e.dropIn(i))
		if err != nil || len(text) == 0 || text[0] == '#' || strings.HasSuffix(string(text), "}\n") {
			continue
		}
		if err := save(e.dropIn(i), e.text(i)); err != nil {
			e.b.t.Fatal(err)
		}
	}
}

// TestRandomEdits makes sequences of edits, with pauses from none to longer than
// a burst holds back. After each sequence the box runs what the last one has
// left, and the camera that no edit touches has never reconnected.
func TestRandomEdits(t *testing.T) {
	t.Parallel()
	if os.Getenv(mountEnv) == "" {
		inMountSpace(t)
		return
	}
	sequences := 20
	if soaking() {
		sequences = 1000
	}
	cam := startFakeCam(t)
	base := fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  watched: {url: %q}\n", cam.url("cam1"))
	b := startBox(t, base)
	b.awaitActive("watched")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	e := &editor{
		b: b, rng: rand.New(rand.NewPCG(seed, 0)), base: base, made: make(map[string]int),
		cam: func(i int) string { return cam.url(fmt.Sprintf("cam%d", i+2)) },
	}
	var longest time.Duration
	for n := range sequences {
		for range 1 + e.rng.IntN(6) {
			e.edit()
			waitFor(t, time.Duration(e.rng.IntN(4))*e.upTo(100))
		}
		e.mend()
		last := time.Now()
		st := b.decided()
		longest = max(longest, time.Since(last))
		if st.State != "applied" || st.AppliedHash != st.Hash {
			t.Fatalf("sequence %d: %+v", n, st)
		}
		b.checkCameras(e.wanted())
	}
	if err := e.unmount(); err != nil {
		t.Error(err)
	}
	t.Logf("%d sequences, decided upon %v after the last edit at most; edits %v", sequences, longest, e.made)
	punctual(t, "until the last edit is decided upon", longest, 2*time.Second)
	b.checkUntouched("watched")
	if n := cam.requests("PLAY"); n != 1 {
		t.Errorf("the cameras were asked %d times to play, want once", n)
	}
	// Nothing is lost of a directory so new that it is not watched yet.
	told := strings.Contains(b.log.String(), "the kernel has lost changes")
	if e.made["the kernel's queue overflows"] > 2 && !told {
		t.Error("the kernel's queue has never overflown")
	}
}

// mountEnv tells the test that it runs in a mount namespace of its own.
const mountEnv = "CAMRELAY_TEST_MOUNTS"

// inMountSpace runs the test in a process with mounts of its own.
func inMountSpace(t *testing.T) {
	t.Helper()
	args := []string{"--mount", os.Args[0], "-test.run=^" + t.Name() + "$", "-test.v"}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time.Until(end).String())
	}
	if os.Geteuid() != 0 {
		args = append([]string{"--map-root-user"}, args...)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), mountEnv+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// wanted are the cameras that the files name now.
func (e *editor) wanted() (names []string) {
	for i := range 3 {
		if text, err := os.ReadFile(e.dropIn(i)); err == nil && strings.Contains(string(text), "site") {
			names = append(names, fmt.Sprintf("site%d", i))
		}
	}
	return append(names, "watched")
}

// checkCameras fails unless these are all cameras.
func (b *box) checkCameras(want []string) {
	b.t.Helper()
	st, err := b.status()
	if err != nil {
		b.t.Fatal(err)
	}
	var names []string
	for _, c := range st.Cameras {
		names = append(names, c.Name)
	}
	if slices.Sort(names); !slices.Equal(names, want) {
		b.t.Errorf("cameras %q, want %q", names, want)
	}
}
