package keepalive

import (
	"context"
	"sync"
	"time"
)

// watch is the goroutine that follows one path.
type watch struct {
	cancel context.CancelFunc
	poke   chan struct{} // makes it look at once; has room for one
}

// Run follows the paths, ends leases whose time is over and writes the state
// file until ctx is done. Then it lets go of all paths, writes what is still to
// be written, and returns ctx's error.
func (k *Leases) Run(ctx context.Context) error {
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx)) // there is something to write after ctx
	defer stopWriting()
	var writer, watches sync.WaitGroup
	if k.store != nil {
		writer.Go(func() { k.keepWriting(writing) })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if next := k.sweep(ctx, &watches); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		k.tell()
		select {
		case <-k.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	watches.Wait()
	k.letGo()
	stopWriting()
	writer.Wait()
	return ctx.Err()
}

// letGo detaches everything, for good.
func (k *Leases) letGo() {
	var releases []func()
	k.mu.Lock()
	k.closed = true
	for _, l := range k.leases {
		releases = append(releases, l.detach())
	}
	k.mu.Unlock()
	for _, release := range releases {
		release()
	}
	k.tell()
}

// sweep ends leases whose time is over, follows the paths of the others and no
// more, and returns when it is to be done again; zero: when somebody says so.
func (k *Leases) sweep(ctx context.Context, wg *sync.WaitGroup) (next time.Time) {
	var releases []func()
	wanted := make(map[string]bool)
	soon := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	now := time.Now()
	k.mu.Lock()
	k.forget(func(l *lease) bool { return l.State == Expired && now.Sub(l.Since) >= forgetAfter })
	for _, l := range k.leases {
		if l.State != Expired && !l.deadline.IsZero() && !now.Before(l.deadline) {
			releases = append(releases, l.detach())
			k.touch(l)
			k.become(l, Expired, "its time of "+l.TTL.String()+" is over", now)
		}
		if !l.paused.IsZero() && !now.Before(l.paused) {
			l.paused = time.Time{}
			k.stir(l.Path)
		}
		if !l.paused.IsZero() {
			soon(l.paused)
		}
		switch {
		case l.State == Expired:
			soon(l.Since.Add(forgetAfter))
		case !l.deadline.IsZero():
			soon(l.deadline)
			fallthrough
		default:
			wanted[l.Path] = wanted[l.Path] || !l.dormant
		}
	}
	k.follow(ctx, wanted, wg)
	k.mu.Unlock()
	for _, release := range releases {
		release()
	}
	return next
}

// follow starts and ends watches. mu is held.
func (k *Leases) follow(ctx context.Context, wanted map[string]bool, wg *sync.WaitGroup) {
	for path, w := range k.watches {
		if !wanted[path] {
			w.cancel()
			delete(k.watches, path)
		}
	}
	for path, want := range wanted {
		if _, ok := k.watches[path]; ok || !want {
			continue
		}
		ctx, cancel := context.WithCancel(ctx)
		w := watch{cancel: cancel, poke: make(chan struct{}, 1)}
		k.watches[path] = w
		wg.Go(func() {
			defer cancel()
			k.watch(ctx, path, w.poke)
		})
	}
}

// watch follows one path until ctx is done.
func (k *Leases) watch(ctx context.Context, path string, poke <-chan struct{}) {
	for ctx.Err() == nil {
		changed := k.look(ctx, path)
		select {
		case <-changed: // nil while there is no path
		case <-poke:
		case <-ctx.Done():
		}
	}
}

// look attaches the leases of a path and takes over how it is. Only the path's
// watch does, so that what is older never replaces what is newer.
func (k *Leases) look(ctx context.Context, path string) (changed <-chan struct{}) {
	for _, l := range k.on(path) {
		k.attach(l, false)
	}
	h, changed, ok := k.Paths.Health(path)
	now := time.Now()
	k.mu.Lock()
	if ctx.Err() == nil { // else another watch may have taken its place
		for _, l := range k.leases {
			if l.Path == path && k.live(l) && l.paused.IsZero() {
				st, reason := stateOf(h, ok && l.release != nil)
				k.become(l, st, reason, now)
			}
		}
	}
	k.mu.Unlock()
	k.tell()
	return changed
}

// stateOf says what a lease does on a path that is so.
func stateOf(h Health, attached bool) (st State, reason string) {
	switch {
	case !attached:
		return Waiting, reasonNoPath
	case h.Warm:
		return Holding, ""
	case h.Media:
		return Degraded, h.Reason
	}
	return Waiting, h.Reason
}

// on returns the leases of a path.
func (k *Leases) on(path string) []*lease {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []*lease
	for _, l := range k.leases {
		if l.Path == path {
			all = append(all, l)
		}
	}
	return all
}

// live tells whether a lease is to be attached. mu is held.
func (k *Leases) live(l *lease) bool {
	return !k.closed && !l.gone && !l.dormant && l.State != Expired
}

// attach claims the path of a lease, unless it has it or there is none.
func (k *Leases) attach(l *lease, fresh bool) {
	k.mu.Lock()
	if l.release != nil || !k.live(l) || !l.paused.IsZero() {
		k.mu.Unlock()
		return
	}
	v := k.view(l, time.Now())
	k.mu.Unlock()
	release, ok := k.Paths.Claim(v.Path, v, fresh, k.suspend(l))
	if !ok {
		return
	}
	k.mu.Lock()
	if l.release == nil && k.live(l) && l.paused.IsZero() && l.Path == v.Path {
		l.release, release = release, nil
	}
	k.stir(v.Path)
	k.mu.Unlock()
	if release != nil { // it was attached or ended meanwhile
		release()
	}
}

// stir makes Run look at the leases, and the watch of a path at it. mu is held.
func (k *Leases) stir(path string) {
	for _, c := range []chan struct{}{k.wake, k.watches[path].poke} {
		select {
		case c <- struct{}{}:
		default: // it is told already, or there is no watch
		}
	}
}
