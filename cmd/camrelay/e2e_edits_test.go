package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// editor edits the files of a box as people and tools do, at random.
type editor struct {
	b     *box
	rng   *rand.Rand
	base  string // the main file, which keeps its camera
	cam   func(i int) string
	cuts  int // how many files were left half
	saved int
}

func (e *editor) dropIn(i int) string {
	return filepath.Join(e.b.dir, "conf.d", fmt.Sprintf("%d0-site.yaml", i+1))
}

// text is a drop-in with a camera on demand, of which some detail is rolled.
func (e *editor) text(i int) string {
	const text = "cameras:\n  site%d: {url: %q, keep: ondemand, title: \"edit %d\"}\n"
	return fmt.Sprintf(text, i, e.cam(i), e.rng.IntN(1000))
}

// edit makes one edit.
func (e *editor) edit() {
	t, i := e.b.t, e.rng.IntN(3)
	t.Helper()
	file := e.dropIn(i)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	text := e.text(i)
	var err error
	e.saved++
	switch e.rng.IntN(10) {
	case 0: // in place
		err = os.WriteFile(file, []byte(text), 0o600)
	case 1: // a tool that is interrupted
		e.cuts++
		err = os.WriteFile(file, []byte(text[:e.rng.IntN(len(text))]), 0o600)
	case 2:
		if err = os.Remove(file); os.IsNotExist(err) {
			err = nil
		}
	case 3: // masked
		os.Remove(file)
		err = os.Symlink("/dev/null", file)
	case 4: // a link to elsewhere, which is exchanged
		target := filepath.Join(e.b.dir, fmt.Sprintf("elsewhere%d", e.rng.IntN(1000)))
		err = os.WriteFile(target, []byte(text), 0o600)
		os.Remove(file)
		if err == nil {
			err = os.Symlink(target, file)
		}
	case 5: // the whole directory
		err = os.RemoveAll(filepath.Dir(file))
	case 6: // the main file, with a mistake
		e.b.write(strings.Replace(e.base, "url:", "ulr:", 1))
	case 7: // and without
		e.b.write(e.base)
	default:
		next := file + ".new"
		if err = os.WriteFile(next, []byte(text), 0o600); err == nil {
			err = os.Rename(next, file)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRandomEdits makes sequences of edits, with pauses from none to longer than
// a burst holds back. After each sequence the box runs what the last one has
// left, and the camera that no edit touches has never reconnected.
func TestRandomEdits(t *testing.T) {
	t.Parallel()
	sequences := 30
	if os.Getenv(soakEnv) != "" {
		sequences = 1000
	}
	cam := startFakeCam(t)
	base := fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  watched: {url: %q}\n", cam.url("cam1"))
	b := startBox(t, base)
	b.awaitActive("watched")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	e := &editor{
		b: b, rng: rand.New(rand.NewPCG(seed, 0)), base: base,
		cam: func(i int) string { return cam.url(fmt.Sprintf("cam%d", i+2)) },
	}
	var longest time.Duration
	for n := range sequences {
		for range 1 + e.rng.IntN(6) {
			e.edit()
			waitFor(t, time.Duration(e.rng.IntN(4)*e.rng.IntN(100))*time.Millisecond)
		}
		b.write(base)
		for i := range 3 { // no half file is left
			if text, err := os.ReadFile(e.dropIn(i)); err == nil && !strings.HasSuffix(string(text), "}\n") && len(text) > 0 {
				if err := os.WriteFile(e.dropIn(i), []byte(e.text(i)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		last := time.Now()
		st := b.decided()
		longest = max(longest, time.Since(last))
		if st.State != "applied" || st.AppliedHash != st.Hash {
			t.Fatalf("sequence %d: %+v", n, st)
		}
		b.checkCameras(e.wanted())
	}
	t.Logf("%d edits, %d of them cut; decided upon %v after the last at most", e.saved, e.cuts, longest)
	punctual(t, "until the last edit is decided upon", longest, 2*time.Second)
	b.checkUntouched("watched")
	if n := cam.requests("PLAY"); n != 1 {
		t.Errorf("the cameras were asked %d times to play, want once", n)
	}
}

// wanted are the cameras that the files name now.
func (e *editor) wanted() (names []string) {
	for i := range 3 {
		if text, err := os.ReadFile(e.dropIn(i)); err == nil && len(text) > 0 {
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
