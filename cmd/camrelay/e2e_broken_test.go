package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
)

// brokenConfig is one of the files that daemon/config says what is wrong with.
type brokenConfig struct {
	name, text string
	said       []string // lines with a place
}

// brokenConfigs returns n of them, of all kinds.
func brokenConfigs(t *testing.T, n int) (all []brokenConfig) {
	t.Helper()
	golden, err := os.ReadFile("../../daemon/config/testdata/broken.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(golden), "== ")[1:] {
		lines := strings.Split(part, "\n")
		b := brokenConfig{name: lines[0]}
		if b.text, err = strconv.Unquote(lines[1]); err != nil {
			continue // too long to stand there
		}
		for _, line := range lines[2:] {
			if place, ok := strings.CutPrefix(line, "c.yaml:"); ok {
				b.said = append(b.said, place)
			}
		}
		all = append(all, b)
	}
	if len(all) < n {
		t.Fatalf("only %d broken files, want %d", len(all), n)
	}
	for i := range n {
		all[i] = all[i*len(all)/n]
	}
	return all[:n]
}

// replace puts a file in the place of the configuration by make.
func (b *box) replace(make func(path string) error) {
	b.t.Helper()
	next := b.config() + ".new"
	if err := make(next); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(next, b.config()); err != nil {
		b.t.Fatal(err)
	}
}

func writes(text string) func(path string) error {
	return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
}

// setHash is the hash of the files that are there.
func (b *box) setHash() string {
	return config.Read(config.Options{File: b.config(), Dirs: []string{filepath.Join(b.dir, "conf.d")}}).Hash()
}

// decided waits by one long poll until the daemon has decided upon the files.
func (b *box) decided() (st api.ConfigStatus) {
	b.t.Helper()
	hash := b.setHash()
	r := b.call(http.MethodGet, "/v1/config/status?timeout=60s&wait_hash="+hash, "").want(http.StatusOK)
	if err := json.Unmarshal([]byte(r.text), &st); err != nil || st.Hash != hash {
		b.t.Fatalf("not decided within a minute: %v, %s", err, r.text)
	}
	return st
}

// unreadable are files that cannot even be read, and what is said of them.
var unreadable = []struct {
	name, said string
	make       func(path string) error
}{
	{"a directory", "not a regular file", func(path string) error { return os.Mkdir(path, 0o700) }},
	{"a link to nowhere", "no such file", func(path string) error { return os.Symlink("nowhere", path) }},
	{"a link to itself", "too many levels", func(path string) error { return os.Symlink("config.yaml", path) }},
	{"a FIFO", "not a regular file", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
	{"ten megabytes", "larger than 1 MiB", writes("#" + strings.Repeat("x", 10<<20))},
	{"a device", "version: is missing", func(path string) error { return os.Symlink("/dev/zero", path) }},
	{"a file that is cut", "no colon", writes("version: 1\ncameras:\n  watched: {url: \"rtsp://127.0.0.1/\"}\n  ot")},
}

// TestBrokenConfigs puts 60 broken files in the place of the configuration, one
// after another: each is told with its place and what to do, and neither ten
// viewers nor two pushes notice anything.
func TestBrokenConfigs(t *testing.T) {
	t.Parallel() // it waits most of the time
	const viewers = 10
	cams, rtmp := startGstCams(t, "0"), startRTMPSink(t)
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\nhls: {window: 60s}\n"+
		"cameras:\n  watched: {url: %q}\npushes:\n  one: {camera: watched, url: %q}\n  two: {camera: watched, url: %q}\n",
		cams.url("/h264"), rtmp.url("one"), rtmp.url("two")))
	good, err := os.ReadFile(b.config())
	if err != nil {
		t.Fatal(err)
	}
	b.awaitActive("watched")
	b.awaitPush("one", "active")
	b.awaitPush("two", "active")
	var watching []*longViewer
	for range viewers {
		watching = append(watching, startLongViewer(t, b.rtsp("watched")))
	}
	seen := func(least []int) (all []int) {
		for i, v := range watching {
			eventually(t, time.Minute, "a viewer gets pictures", func() error { return more(v.frames(), least[i]) })
			all = append(all, v.frames())
		}
		return all
	}
	before := seen(make([]int, viewers))

	b.tryBroken(brokenConfigs(t, 60-len(unreadable)))
	b.tryUnreadable()
	b.replace(writes(string(good)))
	eventually(t, time.Minute, "the file is in force again", func() error {
		if st := b.decided(); st.State != "applied" || st.Generation != 1 {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	seen(before)
	b.checkUntouched("watched", "one", "two")
	b.checkNoGap("watched")
	b.stop()
	checkRecording(t, rtmp.recording("one"))
	checkRecording(t, rtmp.recording("two"))
}

// tryBroken puts each file in the place of the configuration and checks what is said.
func (b *box) tryBroken(rows []brokenConfig) {
	b.t.Helper()
	for _, row := range rows {
		b.replace(writes(row.text))
		st := b.decided()
		said := config.Format(st.Errors, false)
		if st.State != "rejected" || st.Generation != 1 || len(st.Files) == 0 || st.Files[0].Result != "rejected" {
			b.t.Errorf("%s: %+v", row.name, st)
		}
		for _, line := range row.said {
			line = strings.ReplaceAll(line, "c.yaml", b.config()) // it may be named in the words, too
			if !strings.Contains(said, b.config()+":"+line) {
				b.t.Errorf("%s: it says\n%s\nand not\n%s", row.name, said, line)
			}
		}
	}
}

// tryUnreadable likewise puts what cannot even be read.
func (b *box) tryUnreadable() {
	b.t.Helper()
	for _, row := range unreadable {
		if err := os.Remove(b.config()); err != nil { // a directory is not renamed over a file
			b.t.Fatal(err)
		}
		b.replace(row.make)
		eventually(b.t, time.Minute, row.name+" is rejected", func() error {
			st, err := b.status()
			if said := config.Format(st.Config.Errors, false); err == nil && !strings.Contains(said, row.said) {
				err = fmt.Errorf("it says %s and not %s", said, row.said)
			}
			return err
		})
	}
}

// checkUntouched fails if the camera or one of its pushes has ever reconnected or
// lost anything.
func (b *box) checkUntouched(camera string, pushes ...string) {
	b.t.Helper()
	if c, err := b.camera(camera); err != nil || len(c.Transitions) > 2 || c.Lost != 0 {
		b.t.Errorf("camera %s: %+v, %v", camera, c.RunStatus, err)
	}
	for _, name := range pushes {
		if p, err := b.push(name); err != nil || len(p.Transitions) > 2 || p.Lost != 0 {
			b.t.Errorf("push %s: %+v, %v", name, p.RunStatus, err)
		}
	}
}
