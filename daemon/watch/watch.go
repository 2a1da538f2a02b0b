// Package watch tells when files may have changed. It never reads them: who is
// told reads and compares, so telling once too often does no harm, and once
// too little must not happen. It watches directories, not files, because
// editors and tools put new files in the place of old ones.
//
// One goroutine is in Run; SetPaths may be called from any.
package watch

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// rescan is how often the files are looked at without being told to: network
// and overlay file systems report nothing.
const rescan = 30 * time.Second

// Watcher watches a set of files and directories.
type Watcher struct {
	log   *slog.Logger
	queue func() (*fsnotify.Watcher, error) // from the kernel
	table func(changed func()) (*mounts, error)

	rescan time.Duration // how often is looked without being told
	news   chan struct{} // of capacity 1: paths has changed
	moved  chan struct{} // of capacity 1: the table of mounts has changed

	mu    sync.Mutex // guards paths
	paths []string
}

// New returns a Watcher for the paths: files, and directories whose entries
// matter. They need not exist; empty ones are left out.
func New(log *slog.Logger, paths ...string) *Watcher {
	return &Watcher{
		log: log, queue: fsnotify.NewWatcher, table: watchMounts, rescan: rescan,
		news: make(chan struct{}, 1), moved: make(chan struct{}, 1), paths: sorted(paths),
	}
}

func sorted(paths []string) []string {
	s := slices.Clone(paths)
	slices.Sort(s)
	return slices.DeleteFunc(slices.Compact(s), func(p string) bool { return p == "" })
}

// SetPaths replaces the paths. If they differ from those before, Run tells of
// a change once they are watched: what happened to them before is not missed.
func (w *Watcher) SetPaths(paths ...string) {
	next := sorted(paths)
	w.mu.Lock()
	same := slices.Equal(w.paths, next)
	w.paths = next
	w.mu.Unlock()
	if same {
		return
	}
	tell(w.news)
}

// tell puts word into a channel of capacity 1.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // Run has not seen the last one yet
	}
}

func (w *Watcher) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.paths
}

// run is the state of one call of Run.
type run struct {
	*Watcher
	fs      *fsnotify.Watcher // nil while the kernel gives none
	events  <-chan fsnotify.Event
	errors  <-chan error
	watched map[string]bool // directories
	targets targets
	seen    string // fingerprint of what was told last
	refused bool   // the lack of fs has been logged
}

// Run calls changed after the files may have changed, once they have been
// quiet for 200 ms but at most 2 s late, until ctx is done. Calls do not
// overlap, and a change during a call is told after it. It is also called once
// at the beginning, when the files are watched: what happened between the first
// reading and then is not missed. The error is that of ctx.
func (w *Watcher) Run(ctx context.Context, changed func()) error {
	r := &run{Watcher: w, watched: make(map[string]bool)}
	defer r.close()
	if m, err := r.table(func() { tell(r.moved) }); err != nil {
		w.log.Warn("the kernel reports no mounts over files, they are looked for", "every", r.rescan, "err", err)
	} else {
		defer m.close()
	}
	r.sync()
	tick := time.NewTicker(r.rescan)
	defer tick.Stop()
	var s settle
	due := time.NewTimer(time.Until(s.hit(time.Now())))
	defer due.Stop()
	for {
		hit := false
		select {
		case ev, ok := <-r.events:
			hit = ok && r.targets.concerns(ev.Name)
			if !ok {
				r.close()
			}
		case err, ok := <-r.errors:
			hit = true // an overflow: events are lost
			if ok {
				w.log.Warn("the kernel has lost changes of files", "err", err)
			}
		case <-w.news:
			r.sync()
			hit = true
		case <-w.moved:
			hit = r.look()
		case <-tick.C:
			hit = r.look()
		case <-due.C:
			s = settle{}
			r.sync()
			r.seen = fingerprint(r.targets.paths)
			changed()
		case <-ctx.Done():
			return ctx.Err()
		}
		if hit {
			due.Reset(time.Until(s.hit(time.Now())))
		}
	}
}

// Times of settling.
const (
	quiet  = 200 * time.Millisecond
	latest = 2 * time.Second
)

// settle works out when a burst of changes is over.
type settle struct{ first time.Time }

// hit enters a change and returns when to tell of the burst.
func (s *settle) hit(now time.Time) time.Time {
	if s.first.IsZero() {
		s.first = now
	}
	if end := s.first.Add(latest); end.Before(now.Add(quiet)) {
		return end
	}
	return now.Add(quiet)
}

// look tells whether the files are others than those that were told of last.
func (r *run) look() bool {
	r.sync()
	return fingerprint(r.targets.paths) != r.seen
}

// sync makes the kernel watch the directories that matter now. While it does
// so they may change; so it looks again until they have not.
func (r *run) sync() {
	if r.fs == nil {
		r.open()
	}
	const tries = 4
	for range tries {
		r.targets = resolve(r.list())
		if r.fs == nil || !r.watch() {
			return
		}
	}
}

// open gets a queue from the kernel; there are only so many per user.
func (r *run) open() {
	fs, err := r.queue()
	if err != nil {
		if !r.refused {
			r.log.Warn("the kernel reports no changes of files, they are looked for", "every", r.rescan, "err", err)
		}
		r.refused = true
		return
	}
	r.fs, r.events, r.errors = fs, fs.Events, fs.Errors
}

// watch adds and removes directories, and tells whether any was new.
func (r *run) watch() (news bool) {
	for dir := range r.watched {
		if !r.targets.dirs[dir] {
			// It fails if the directory is gone, and the watch with it.
			_ = r.fs.Remove(dir)
			delete(r.watched, dir)
		}
	}
	for dir := range r.targets.dirs {
		// Adding again is how a directory that has taken another's name is found.
		if err := r.fs.Add(dir); err != nil {
			delete(r.watched, dir)
			continue
		}
		news = news || !r.watched[dir]
		r.watched[dir] = true
	}
	return news
}

func (r *run) close() {
	if r.fs != nil {
		// There is nothing to be done for a queue that does not close.
		_ = r.fs.Close()
	}
	r.fs, r.events, r.errors = nil, nil, nil
	clear(r.watched)
}
