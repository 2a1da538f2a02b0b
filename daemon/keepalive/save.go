package keepalive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// How often is written, and how long somebody waits for it.
const (
	writeGap   = 50 * time.Millisecond  // between two writes
	writeEach  = time.Second            // between two writes in the long run
	writeBurst = 60                     // writes that need not keep to that
	writeWait  = 150 * time.Millisecond // of who asked for a change
	retryFirst = time.Second            // after a failure, doubling
	retryMost  = time.Minute
)

// saving is where the state file stands.
type saving struct {
	version uint64        // of the leases, rises with every change that is to be kept
	saved   uint64        // the version on disk
	ended   uint64        // the version of the last attempt
	tried   chan struct{} // closed when an attempt has ended
	status  Status
}

// Status is how the state file is.
type Status struct {
	File   string    // empty: nothing is kept
	Saved  bool      // everything is on disk
	Fault  string    // why it is not, if the last attempt has failed
	Since  time.Time // of Fault
	Loaded string    // what was wrong with the file at the start; empty: nothing
	Writes uint64    // since the start
}

// Status returns how the state file is.
func (k *Leases) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	st := k.status
	st.Saved = k.store != nil && k.saved >= k.version
	if d, ok := k.store.(*disk); ok {
		st.File = d.path()
	}
	return st
}

// moment returns now.
func (k *Leases) moment() moment {
	id, up := k.Boot()
	return moment{wall: time.Now(), boot: id, up: up}
}

// Load takes over the leases of the process before. It is called once, before
// the paths exist. A file that cannot be read in full is set aside, and what
// could be read of it is used.
func (k *Leases) Load() {
	if k.store == nil {
		return
	}
	b, err := k.store.read()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var leases []*lease
	if err == nil {
		leases, err = decode(b, k.moment())
	}
	k.mu.Lock()
	k.leases = leases
	for _, l := range leases {
		l.onDisk = l.deadline
	}
	k.mu.Unlock()
	if err != nil {
		k.setAside(err, len(leases))
	}
	k.log.Info("keepalives loaded", "n", len(leases))
}

// setAside moves a file away that is not sound, so that nothing is lost by
// writing the next.
func (k *Leases) setAside(why error, n int) {
	mark := "broken"
	if errors.Is(why, errNewer) {
		mark = "newer"
	}
	name := k.store.setAside(mark)
	fault := fmt.Sprintf("the state file could not be read in full: %v", why)
	if name != "" {
		fault += "; it was set aside as " + name
	}
	k.mu.Lock()
	k.status.Loaded = fault
	if n > 0 {
		k.touch(k.leases[0])
	}
	k.mu.Unlock()
	k.log.Error("keepalives cannot all be restored", "err", why, "set_aside", name, "n", n)
}

// touch notes that a lease is to be written. mu is held.
func (k *Leases) touch(l *lease) {
	k.version++
	l.version = k.version
	select {
	case k.write <- struct{}{}:
	default: // it is told already
	}
	k.stir(l.Path)
}

// await waits until a change of a lease is on disk, for a while, or cannot be
// written.
func (k *Leases) await(ctx context.Context, l *lease) {
	if k.store == nil {
		return
	}
	timer := time.NewTimer(writeWait)
	defer timer.Stop()
	for {
		k.mu.Lock()
		over, tried := k.ended >= l.version, k.tried
		k.mu.Unlock()
		if over {
			return
		}
		select {
		case <-tried:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// keepWriting writes the file whenever something has changed, until ctx is
// done, and then once more.
func (k *Leases) keepWriting(ctx context.Context) {
	var last, due time.Time // due: when the writes so far would have been made at one each writeEach
	delay := retryFirst
	timer := time.NewTimer(0)
	defer timer.Stop()
	timer.Stop()
	for {
		select {
		case <-k.write:
		case <-timer.C:
		case <-ctx.Done():
			k.save()
			return
		}
		wait := max(time.Until(last.Add(writeGap)), time.Until(due.Add(-writeBurst*writeEach)))
		if wait > 0 {
			pause := time.NewTimer(wait)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
		}
		last = time.Now()
		if due.Before(last) {
			due = last
		}
		due = due.Add(writeEach)
		if k.save() {
			delay = retryFirst
			timer.Stop()
		} else {
			timer.Reset(delay)
			delay = min(2*delay, retryMost)
		}
	}
}

// save writes the file if it is not what it should be, and tells whether it is.
func (k *Leases) save() bool {
	now := k.moment()
	var leases []lease
	var live []*lease
	k.mu.Lock()
	version := k.version
	for _, l := range k.leases {
		if l.State != Expired {
			leases, live = append(leases, *l), append(live, l)
		}
	}
	done := k.saved >= version
	k.mu.Unlock()
	if done {
		return true
	}
	err := k.store.write(encode(leases, now))
	k.mu.Lock()
	if err == nil {
		k.saved = version
		k.status.Writes++
		for i, l := range live {
			l.onDisk = leases[i].deadline
		}
	}
	k.ended = version
	was := k.status.fail(err)
	close(k.tried)
	k.tried = make(chan struct{})
	k.mu.Unlock()
	switch {
	case err != nil && err.Error() != was:
		k.log.Error("keepalives cannot be saved, they go on without", "err", err)
	case err == nil && was != "":
		k.log.Info("keepalives are saved again")
	}
	return err == nil
}

// fail notes how an attempt has ended, and returns the fault before.
func (s *Status) fail(err error) (was string) {
	was = s.Fault
	switch {
	case err == nil:
		s.Fault, s.Since = "", time.Time{}
	case was == "":
		s.Fault, s.Since = err.Error(), time.Now()
	default:
		s.Fault = err.Error()
	}
	return was
}
