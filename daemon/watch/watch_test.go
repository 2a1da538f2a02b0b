package watch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// start runs a Watcher and returns a channel on which it tells of changes.
func start(t *testing.T, paths ...string) (*Watcher, <-chan struct{}) {
	t.Helper()
	w := New(slog.New(slog.DiscardHandler), paths...)
	told := make(chan struct{}, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx, func() { told <- struct{}{} }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("Run returned %v", err)
		}
	})
	return w, told
}

// await waits until told of a change, and of no more for as long as a burst
// could hold one back.
func await(t *testing.T, told <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-told:
	case <-time.After(5 * time.Second):
		t.Fatalf("not told: %s", what)
	}
	for {
		select {
		case <-told:
		case <-time.After(2 * quiet):
			return
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
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
		{"the file is deleted", func(t *testing.T, file, _ string) { must(t, os.Remove(file)) }},
		{"the file is made unreadable", func(t *testing.T, file, _ string) { must(t, os.Chmod(file, 0)) }},
		{"a drop-in appears", func(t *testing.T, _, dir string) { write(t, filepath.Join(dir, "a.yaml"), "x") }},
		{"the directory of drop-ins is removed", func(t *testing.T, _, dir string) { must(t, os.RemoveAll(dir)) }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			file, dir := filepath.Join(root, "c.yaml"), filepath.Join(root, "conf.d")
			write(t, file, "a")
			must(t, os.Mkdir(dir, 0o700))
			_, told := start(t, file, dir)
			await(t, told, "the beginning")
			row.edit(t, file, dir)
			await(t, told, row.name)
			write(t, file, "and again")
			await(t, told, "an edit after it")
		})
	}
}
