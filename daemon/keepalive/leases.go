package keepalive

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"camrelay/daemon/durable"
)

// Why a lease waits that no camera keeps waiting.
const (
	reasonNew    = "it has just been added"
	reasonLoaded = "camrelay has just started"
	reasonNoPath = "there is no such path"
)

// forgetAfter is how long an expired lease is listed.
const forgetAfter = time.Hour

// Leases holds all keepalives.
type Leases struct {
	Config
	log   *slog.Logger
	store store
	wake  chan struct{} // tells Run that leases have come or gone; has room for one
	write chan struct{} // tells the writer that there is something to write; has room for one

	mu      sync.Mutex // guards what follows
	leases  []*lease   // oldest first
	closed  bool       // Run has ended, or is about to
	changed chan struct{}
	watches map[string]watch // by path; Run's
	events  []Event          // still to be told, in order
	telling bool             // somebody tells them
	saving
}

// lease is one entry. Leases.mu guards it.
type lease struct {
	Lease              // without Expires and Saved
	deadline time.Time // by the monotonic clock; zero: it does not expire
	onDisk   time.Time // deadline as it was written last
	version  uint64    // of the file that holds it as it is
	release  func()    // nil: it is not attached
	paused   time.Time // until when it is not; zero: it may be
	dormant  bool      // it was declared before the restart, and is not yet again
	gone     bool      // it is not in the list any more
}

// New returns Leases without any. It does no I/O.
func New(cfg Config, log *slog.Logger) *Leases {
	if cfg.Observe == nil {
		cfg.Observe = func(Event) {}
	}
	if cfg.Boot == nil {
		cfg.Boot = func() (string, time.Duration) { return "", 0 }
	}
	k := &Leases{
		Config: cfg, log: log, wake: make(chan struct{}, 1), write: make(chan struct{}, 1),
		changed: make(chan struct{}), watches: make(map[string]watch), saving: saving{tried: make(chan struct{})},
	}
	if cfg.Dir != "" {
		k.store = &disk{cfg.Dir, durable.Replace}
	}
	return k
}

// Add adds a lease and attaches it, whatever its camera does. The lease it
// returns is on disk, unless that takes too long or fails; then it is not Saved.
// Its errors are an *InvalidError, ErrNoPath, ErrTooMany and ErrClosed.
func (k *Leases) Add(ctx context.Context, r Request, by Caller) (Lease, error) {
	if err := r.check(); err != nil {
		return Lease{}, err
	}
	now := time.Now()
	l := &lease{Lease: Lease{
		ID: uuid.NewString(), Created: now.Round(0), Path: r.Path, CreatorUser: by.User, CreatorIP: by.IP,
		Label: r.Label, Priority: r.Priority, TTL: r.TTL, Owner: OwnerAPI,
		State: Waiting, Reason: reasonNew, Since: now,
	}}
	if r.TTL > 0 {
		l.deadline = now.Add(r.TTL)
	}
	release, ok := k.Paths.Claim(r.Path, l.Lease, true, k.suspend(l))
	if !ok {
		return Lease{}, ErrNoPath
	}
	attached, err := k.enter(l, release, by)
	if !attached {
		release()
	}
	if err != nil {
		return Lease{}, err
	}
	k.tell()
	// The path may have gone after it was claimed, and PathRemoved come before the lease was there.
	if _, _, ok := k.Paths.Health(r.Path); !ok {
		k.PathRemoved(r.Path, reasonNoPath)
		return Lease{}, ErrNoPath
	}
	k.await(ctx, l)
	return k.snapshot(l), nil
}

// enter puts a lease into the list that has claimed its path, and tells whether
// it takes release.
func (k *Leases) enter(l *lease, release func(), by Caller) (attached bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false, ErrClosed
	}
	if len(k.leases) >= maxLeases {
		k.forget(func(l *lease) bool { return l.State == Expired })
	}
	if len(k.leases) >= maxLeases {
		return false, ErrTooMany
	}
	if attached = l.paused.IsZero(); attached { // else it was suspended meanwhile
		l.release = release
	}
	k.leases = append(k.leases, l)
	k.touch(l)
	k.event(Added, l, "", by.name())
	return attached, nil
}

// Remove ends a lease. It returns once that is on disk, unless that takes too
// long or fails. Its errors are ErrNotFound, ErrNotOwner, a *DeclaredError and
// ErrClosed.
func (k *Leases) Remove(ctx context.Context, id string, by Caller) error {
	k.mu.Lock()
	l, err := k.find(id, by)
	if err != nil {
		k.mu.Unlock()
		return err
	}
	release := k.remove(l, "removed by "+by.name(), by.name())
	k.mu.Unlock()
	release()
	k.tell()
	k.await(ctx, l)
	return nil
}

// Renew gives a lease its time again, and another TTL unless ttl is 0; an
// expired lease is attached again. It returns once that is on disk, or needs
// not be; see Remove for errors, and Add.
func (k *Leases) Renew(ctx context.Context, id string, ttl time.Duration, by Caller) (Lease, error) {
	if err := checkTTL(ttl); err != nil {
		return Lease{}, err
	}
	now := time.Now()
	k.mu.Lock()
	l, err := k.find(id, by)
	if err != nil {
		k.mu.Unlock()
		return Lease{}, err
	}
	if ttl == 0 {
		ttl = l.TTL
	}
	was := l.TTL
	l.TTL = ttl
	if ttl > 0 {
		l.deadline = now.Add(ttl)
	}
	back := l.State == Expired
	l.paused = time.Time{}
	if back {
		k.become(l, Waiting, reasonNew, now)
		k.event(Renewed, l, "", by.name())
	}
	if back || ttl != was || l.deadline.Sub(l.onDisk) > slack(ttl) && ttl > slack(ttl) {
		k.touch(l)
	}
	k.stir(l.Path)
	k.mu.Unlock()
	k.tell()
	if back {
		k.attach(l, true)
	}
	k.await(ctx, l)
	return k.snapshot(l), nil
}

// suspend returns what is called when somebody else has ended the claim of a
// lease: the lease keeps away for a while, then it is attached again.
func (k *Leases) suspend(l *lease) (ended func(reason string, pause time.Duration)) {
	return func(reason string, pause time.Duration) {
		now := time.Now()
		release := func() {}
		k.mu.Lock()
		if k.live(l) {
			l.paused = now.Add(pause)
			release = l.detach()
			k.become(l, Waiting, reason, now)
			k.stir(l.Path)
		}
		k.mu.Unlock()
		release()
		k.tell()
	}
}

// Get returns a lease; ok is false if there is none of that ID.
func (k *Leases) Get(id string) (l Lease, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.index(id)
	if i < 0 {
		return Lease{}, false
	}
	return k.view(k.leases[i], time.Now()), true
}

// List returns all leases in the order of their creation.
func (k *Leases) List() []Lease {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]Lease, 0, len(k.leases))
	for _, l := range k.leases {
		if !l.dormant {
			all = append(all, k.view(l, now))
		}
	}
	return all
}

// Await returns a lease as soon as it is holding, has expired or is removed, or
// ctx is done; ok is false if it is not there any more.
func (k *Leases) Await(ctx context.Context, id string) (l Lease, ok bool) {
	for {
		k.mu.Lock()
		changed := k.changed
		k.mu.Unlock()
		if l, ok = k.Get(id); !ok || l.State == Holding || l.State == Expired {
			return l, ok
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return l, true
		}
	}
}

// index returns the place of a lease, -1 if there is none. mu is held.
func (k *Leases) index(id string) int {
	return slices.IndexFunc(k.leases, func(l *lease) bool { return !l.dormant && strings.EqualFold(l.ID, id) })
}

// find returns a lease that the caller may change. mu is held.
func (k *Leases) find(id string, by Caller) (*lease, error) {
	i := k.index(id)
	switch {
	case k.closed:
		return nil, ErrClosed
	case i < 0:
		return nil, ErrNotFound
	case k.leases[i].Owner == OwnerConfig:
		return nil, &DeclaredError{k.leases[i].Name}
	case !by.owns(k.leases[i].Lease):
		return nil, ErrNotOwner
	}
	return k.leases[i], nil
}

// view is a lease as others see it. mu is held.
func (k *Leases) view(l *lease, now time.Time) Lease {
	v := l.Lease
	if !l.deadline.IsZero() {
		// Counted from now, so that it follows a clock that is set.
		v.Expires = now.Round(0).Add(l.deadline.Sub(now)).Round(time.Second)
	}
	v.Since = v.Since.Round(0)
	v.Saved = k.saved >= l.version
	return v
}

func (k *Leases) snapshot(l *lease) Lease {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.view(l, time.Now())
}

// remove takes a lease out of the list and returns what lets go of its path.
// mu is held.
func (k *Leases) remove(l *lease, reason, by string) (release func()) {
	k.forget(func(other *lease) bool { return other == l })
	k.touch(l)
	k.event(Removed, l, reason, by)
	k.notify()
	return l.detach()
}

// detach makes a lease hold nothing; the function it returns is called once mu
// is not held.
func (l *lease) detach() (release func()) {
	release = l.release
	l.release = nil
	if release == nil {
		return func() {}
	}
	return release
}

// forget drops leases. mu is held.
func (k *Leases) forget(which func(*lease) bool) {
	k.leases = slices.DeleteFunc(k.leases, func(l *lease) bool {
		l.gone = l.gone || which(l)
		return l.gone
	})
}

// become puts a lease into a state. mu is held.
func (k *Leases) become(l *lease, st State, reason string, now time.Time) {
	if l.State == st && l.Reason == reason {
		return
	}
	was := l.State
	l.State, l.Reason = st, reason
	if was != st {
		l.Since = now
		switch {
		case st == Holding:
			k.event(Attached, l, "", "")
		case st == Expired:
			k.event(Ended, l, reason, "")
		case was == Holding:
			k.event(Lost, l, reason, "")
		}
	}
	k.notify()
}

// notify wakes who waits for a change. mu is held.
func (k *Leases) notify() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// event notes something to tell. mu is held.
func (k *Leases) event(t EventType, l *lease, reason, by string) {
	now := time.Now()
	k.events = append(k.events, Event{Type: t, At: now, Lease: k.view(l, now), Reason: reason, By: by})
}

// tell tells what was noted, in order: whoever comes first tells for all.
func (k *Leases) tell() {
	for {
		k.mu.Lock()
		if k.telling || len(k.events) == 0 {
			k.mu.Unlock()
			return
		}
		events := k.events
		k.events, k.telling = nil, true
		k.mu.Unlock()
		for _, ev := range events {
			k.log.Info("keepalive", "event", ev.Type, "id", ev.Lease.ID, "cam", ev.Lease.Path,
				"label", ev.Lease.Label, "reason", ev.Reason, "by", ev.By)
			k.Observe(ev)
		}
		k.mu.Lock()
		k.telling = false
		k.mu.Unlock()
	}
}
