package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media/mediatest"

	"golang.org/x/sys/unix"
)

// blockPackager makes the loop hang that packages a camera, and no other: what is in
// the way of its next segments makes it write its journal anew, and there lies a pipe
// that nobody reads, once again is called while the segment is not written. release
// lets it go on.
func blockPackager(t *testing.T, dir string) (again, release func()) {
	t.Helper()
	segment := regexp.MustCompile(`^([0-9a-f]+)-([0-9]+)\.m4s$`)
	session, newest := "", 0
	await(t, "there are segments", func() bool {
		all, _ := os.ReadDir(dir) // there is none at first
		for _, e := range all {
			if m := segment.FindStringSubmatch(e.Name()); m != nil {
				n, _ := strconv.Atoi(m[2])
				session, newest = m[1], max(newest, n)
			}
		}
		return newest > 0
	})
	pipe := filepath.Join(dir, "hls.window.new")
	for n := newest + 1; n < newest+10; n++ {
		name := filepath.Join(dir, fmt.Sprintf("%s-%d.m4s", session, n))
		if f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0o600); err == nil { // else it is there
			f.Close()
		}
	}
	again = func() {
		if err := unix.Mkfifo(pipe, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
			t.Fatal(err)
		}
	}
	return again, sync.OnceFunc(func() {
		f, err := os.OpenFile(pipe, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
	})
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestALoopThatHangsIsNotAlive: while one loop of the whole daemon hangs and all
// others go on, the service manager is not told that all is well; so it restarts it.
func TestALoopThatHangsIsNotAlive(t *testing.T) {
	cam, camStop := demoCamera(t)
	defer camStop()
	s, told := newManagedSite(t, cam.URL("gate"))
	s.opts.hurry = 3 * time.Second
	var log mediatest.Log
	s.startLogged(t, &log)
	expect(t, told, "READY=1", "STATUS=1/1 cameras warm, 0/1 pushes up, config #1", "WATCHDOG=1")
	block, release := blockPackager(t, filepath.Join(s.opts.RuntimeDir, "hls", "gate"))
	defer release() // or else nothing ends
	await(t, "the hang is seen", func() bool {
		block()
		return len(log.Lines(`what="hls of camera gate"`)) > 0
	})
	for len(told) > 0 {
		<-told
	}
	text := read(t, s.opts.ConfigFile) + "  more: {camera: gate, url: \"srt://127.0.0.1:1?streamid=y\"}\n"
	if err := os.WriteFile(s.opts.ConfigFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	end := time.After(time.Minute)
	for applied := false; !applied; {
		select {
		case got := <-told:
			if strings.HasPrefix(got, "WATCHDOG=1") {
				t.Fatal("told that all is well")
			}
			applied = strings.HasPrefix(got, "STATUS=1/1 cameras warm, 0/2 pushes up, config #2")
		case <-end:
			t.Fatalf("the rest of the daemon does not go on:\n%s", &log)
		}
	}
	release()
	expect(t, told, "WATCHDOG=1")
}
