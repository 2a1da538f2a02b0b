package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
)

// The words of api.ConfigStatus.State.
const (
	stateApplied    = "applied"
	statePartial    = "partial"         // applied without drop-ins or kept pushes that have mistakes
	stateApplying   = "applying"        // applied, and reverted unless cameras are warm again
	stateRejected   = "rejected"        // what ran before goes on
	stateRolledBack = "rolled_back"     // applied and reverted
	stateLastGood   = "last_known_good" // rejected at the start: what ran last time runs
)

// reloading is what reload and its like know. It belongs to the goroutine of Run.
type reloading struct {
	seen  string    // what was found last: files, secrets, mistakes
	runs  string    // what runs of that; empty: nothing
	good  *lastGood // as it is to be kept
	saved bool      // good is on the disk
	err   error     // of the last attempt to save it
	trial *trial    // nil: what runs is confirmed
	again string    // seen of what was reverted
}

// configOptions says where the configuration is.
func (d *daemon) configOptions() config.Options {
	return config.Options{
		File: d.opts.ConfigFile, Vendor: d.opts.VendorFiles, Dirs: d.opts.ConfigDirs,
		Machine:        d.pushes.machine.path(),
		CredentialsDir: os.Getenv("CREDENTIALS_DIRECTORY"), Salt: d.salt[:], Memory: MemoryOf(d.opts.RuntimeDir),
	}
}

// MemoryOf returns the size in bytes of the file system of a directory; 0 if it
// is not to be had.
func MemoryOf(dir string) int64 {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0
	}
	return int64(fs.Blocks) * fs.Bsize
}

// inMemory tells whether a directory is on a file system that no disk bears, or
// that cannot be told.
func inMemory(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) != nil || fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC
}

// boot is the first reload.
func (d *daemon) boot(ctx context.Context) {
	good, err := readLastGood(d.opts.StateDir)
	if err != nil {
		d.log.Error("the last good configuration cannot be read", "dir", d.opts.StateDir, "err", err)
	}
	if good != nil {
		d.conf.good, d.conf.saved = good, true
		st := d.configStatus()
		st.Generation = good.Generation
		d.setStatus(st)
	}
	d.reload(ctx)
}

// reload reads the files and, if they are sound and new, applies them. If they
// are not, what runs goes on, or what ran last, and the status says why.
func (d *daemon) reload(ctx context.Context) {
	set := config.Read(d.configOptions())
	r := set.Load(d.configOptions())
	d.watch(r.Sources)
	seen := seenOf(r)
	if seen == d.conf.seen {
		return
	}
	d.conf.seen = seen
	st := d.configStatus()
	st.Hash, st.Files, st.Errors, st.Warnings, st.Reason = set.Hash(), filesOf(set, r), r.Errors, nil, ""
	refused := d.refusedHash()
	switch {
	case r.Config == nil:
		d.reject(ctx, st)
	case seen == d.conf.runs:
		d.log.Info("the files hold what runs again", "generation", st.Generation)
		st.State, st.Warnings = stateOf(r), r.Config.Warnings
		if d.conf.trial != nil {
			st.State = stateApplying
		}
		d.tell(st, "")
	case refused != "" && refused == st.Hash && (d.conf.again == "" || d.conf.again == seen):
		d.conf.again = seen
		d.stayReverted(ctx, st)
	default:
		d.take(ctx, set, r, st)
	}
}

// seenOf sums up all that decides what becomes of a set.
func seenOf(r config.Result) string {
	h := sha256.New()
	for _, s := range r.Sources {
		fmt.Fprintln(h, s.Path, s.SHA256)
	}
	fmt.Fprintln(h, r.Errors.Error())
	return hex.EncodeToString(h.Sum(nil))
}

func stateOf(r config.Result) string {
	if len(r.LeftOut) > 0 {
		return statePartial
	}
	return stateApplied
}

// filesOf tells what has become of each file.
func filesOf(set *config.Set, r config.Result) []api.ConfigFile {
	all := make([]api.ConfigFile, len(set.Files))
	for i := range set.Files {
		f := &set.Files[i]
		one := api.ConfigFile{Path: f.Path, SHA256: f.SHA256(), Result: "ok", Errors: config.Errors{}}
		if !f.Modified.IsZero() {
			one.Modified = &f.Modified
		}
		for _, e := range r.Errors {
			if e.File == f.Name() {
				one.Errors = append(one.Errors, e)
			}
		}
		switch {
		case slices.Contains(r.LeftOut, f.Name()) && r.Config != nil:
			one.Result = "skipped"
		case len(one.Errors) > 0 && r.Config != nil:
			one.Result = "partial"
		case len(one.Errors) > 0:
			one.Result = "rejected"
		}
		all[i] = one
	}
	return all
}

// reject leaves running what runs. At the start that is the last good one.
func (d *daemon) reject(ctx context.Context, st api.ConfigStatus) {
	err := st.Errors
	if d.conf.runs == "" {
		d.fallBack(ctx, st, "rejected")
		return
	}
	if st.State != stateLastGood {
		st.State = stateRejected
	}
	d.log.Error("configuration rejected, what runs goes on", "generation", st.Generation, "err", err)
	d.tell(st, err.Error())
}

// fallBack runs the last good configuration at the start. why says why not the
// files.
func (d *daemon) fallBack(ctx context.Context, st api.ConfigStatus, why string) {
	reason := st.Reason
	if len(st.Errors) > 0 {
		reason = st.Errors.Error()
	}
	var r config.Result
	if d.conf.good != nil {
		r = d.conf.good.load(d.configOptions())
	}
	if r.Config == nil {
		d.log.Error("there is no last good configuration: nothing runs until the files are mended", "why", why,
			"err", reason)
		st.State, st.Generation = stateRejected, 0
		d.openAPI(ctx)
		d.tell(st, reason)
		return
	}
	d.log.Error("the last good configuration runs, not the files", "why", why,
		"generation", d.conf.good.Generation, "err", reason)
	if st.State = stateLastGood; len(st.Errors) == 0 {
		st.State = stateRolledBack
	}
	st.Warnings = r.Config.Warnings
	st.Generation, st.AppliedHash, st.AppliedAt = d.conf.good.Generation, d.conf.good.Hash, &d.conf.good.Applied
	d.conf.runs = "the last good one"
	d.enforce(ctx, planOf(r.Config, d.opts.Version))
	d.tell(st, reason)
}

// take applies a sound set.
func (d *daemon) take(ctx context.Context, set *config.Set, r config.Result, st api.ConfigStatus) {
	now, next := time.Now(), planOf(r.Config, d.opts.Version)
	first := d.conf.runs == ""
	if first && d.conf.good != nil && d.conf.good.Hash == st.Hash {
		now = d.conf.good.Applied // the same goes on after a restart
	} else {
		st.Generation++
	}
	t := d.newTrial(next, r.Config.Confirm, st, first)
	good := &lastGood{Generation: st.Generation, Hash: st.Hash, Applied: now, Files: r.Taken.Files}
	d.conf.runs, d.conf.again = d.conf.seen, ""
	st.State, st.Warnings, st.AppliedAt, st.AppliedHash = stateOf(r), r.Config.Warnings, &now, st.Hash
	d.enforce(ctx, next)
	d.conf.trial, st.ConfirmBy = t, nil
	if t == nil {
		d.keep(good)
	} else {
		t.good, t.state = good, st.State
		st.State, st.ConfirmBy = stateApplying, &t.deadline
	}
	d.tell(st, "")
	problems := d.problems()
	d.log.Log(ctx, levelOf(problems), "configuration applied", "generation", st.Generation, "state", st.State,
		"cameras", len(r.Config.Cameras), "pushes", len(r.Config.Pushes), "files", len(set.Files), "problems", problems)
	for _, name := range r.LeftOut {
		d.log.Error("what has mistakes was left out", "what", name)
	}
}

// enforce makes what runs equal the plan.
func (d *daemon) enforce(ctx context.Context, p plan) {
	defer d.reloading()()
	d.applied = p
	d.current.Store(&p)
	d.apply(ctx, p)
}

// tell publishes the status, and as an event why it is so.
func (d *daemon) tell(st api.ConfigStatus, reason string) {
	st.Problems = d.problems()
	d.setStatus(st)
	if reason == "" {
		reason = strings.Join(st.Problems, "; ")
	}
	d.configEvent(st.State, reason, st.Hash, st.Generation)
}

// keep makes good the last good configuration, also on the disk.
func (d *daemon) keep(good *lastGood) {
	d.conf.good, d.conf.saved = good, false
	d.save()
}

// save brings what is to be kept to the disk, unless it is there.
func (d *daemon) save() {
	if d.conf.saved || d.conf.good == nil {
		return
	}
	err := d.conf.good.write(d.opts.StateDir)
	if err != nil && d.conf.err == nil {
		d.log.Error("the last good configuration cannot be saved, it is tried again", "err", err)
	}
	d.conf.err, d.conf.saved = err, err == nil
}

// refusedHash is that of the set that is not to be tried again, empty if none.
func (d *daemon) refusedHash() string {
	if d.conf.good == nil || d.conf.good.Refused == nil {
		return ""
	}
	return d.conf.good.Refused.Hash
}
