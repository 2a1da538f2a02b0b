package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/supervise"
)

// trial is an edit that is reverted unless the cameras that were warm before it
// are warm again.
type trial struct {
	from     plan   // runs again when it fails
	runs     string // what reloading.runs was with that
	hash     string // api.ConfigStatus.AppliedHash likewise
	cameras  []string
	began    time.Time
	deadline time.Time
	timeout  time.Duration
	good     *lastGood // to be kept when it succeeds
	state    string    // of the status then
	timer    *time.Timer
}

// look is how often is looked whether the cameras are warm.
const look = 500 * time.Millisecond

// newTrial begins a trial of next, if the edit touches cameras that are warm and
// are to be so. st is the status before. What is on trial already goes on being so.
func (d *daemon) newTrial(next plan, timeout time.Duration, st api.ConfigStatus, first bool) *trial {
	if timeout == 0 || first {
		return nil
	}
	now := time.Now()
	t := &trial{from: d.applied, runs: d.conf.runs, hash: st.AppliedHash}
	if d.conf.trial != nil {
		t.from, t.runs, t.hash, t.cameras = d.conf.trial.from, d.conf.trial.runs, d.conf.trial.hash, d.conf.trial.cameras
	}
	for name, spec := range d.applied.cameras {
		is, wanted := next.cameras[name]
		path := d.relay.Path(name)
		if path == nil || !wanted || is == spec || slices.Contains(t.cameras, name) {
			continue
		}
		if h, _ := path.Health(); h.Warm && (next.paths[name].Warm || len(path.Claims()) > 0) {
			t.cameras = append(t.cameras, name)
		}
	}
	t.cameras = slices.DeleteFunc(slices.Clone(t.cameras), func(name string) bool {
		_, wanted := next.cameras[name]
		return !wanted
	})
	if len(t.cameras) == 0 {
		return nil
	}
	slices.Sort(t.cameras)
	t.began, t.deadline, t.timeout, t.timer = now, now.Add(timeout), timeout, time.NewTimer(look)
	return t
}

// due tells when to look at the trial; never, if there is none.
func (r *reloading) due() <-chan time.Time {
	if r.trial == nil {
		return nil
	}
	return r.trial.timer.C
}

// judge ends the trial if the cameras are warm, or if it has taken too long.
func (d *daemon) judge(ctx context.Context) {
	t := d.conf.trial
	cold := d.cold(t)
	switch {
	case len(cold) == 0:
		d.conf.trial = nil
		d.keep(t.good)
		st := d.configStatus()
		if st.State == stateApplying {
			st.State = t.state
		}
		st.ConfirmBy = nil
		d.log.Info("the configuration is confirmed: all cameras are warm again", "generation", st.Generation)
		d.tell(st, "")
	case time.Now().Before(t.deadline):
		t.timer.Reset(look)
	default:
		d.conf.trial = nil
		d.revert(ctx, t, cold)
	}
}

// cold returns the cameras that are not warm since the trial began.
func (d *daemon) cold(t *trial) (names []string) {
	for _, name := range t.cameras {
		path := d.relay.Path(name)
		if path == nil {
			continue
		}
		h, _ := path.Health()
		st := path.State()
		if !h.Warm || st.Phase != supervise.Active || !st.Since.After(t.began) {
			names = append(names, name)
		}
	}
	return names
}

// revert lets run again what ran before the trial.
func (d *daemon) revert(ctx context.Context, t *trial, cold []string) {
	now, st := time.Now(), d.configStatus()
	reason := fmt.Sprintf("reverted: %s warm before the edit and not within %v after it: %s",
		map[bool]string{true: "camera", false: "cameras"}[len(cold) == 1], t.timeout, strings.Join(cold, ", "))
	d.log.Error("the configuration is reverted", "generation", st.Generation, "reason", reason)
	refused := &refusal{Hash: st.AppliedHash, Reason: reason}
	d.conf.again, d.conf.runs = d.conf.runs, t.runs
	st.Generation++
	st.AppliedAt, st.AppliedHash, st.ConfirmBy, st.Reason = &now, t.hash, nil, reason
	if st.State == stateApplying {
		st.State = stateRolledBack
	}
	d.enforce(ctx, t.from)
	if d.conf.good != nil {
		good := *d.conf.good
		good.Generation, good.Refused = st.Generation, refused
		d.keep(&good)
	}
	d.tell(st, reason)
}

// stayReverted is for files that hold again, or at the start still, what has
// been reverted.
func (d *daemon) stayReverted(ctx context.Context, st api.ConfigStatus) {
	st.State, st.Reason = stateRolledBack, d.conf.good.Refused.Reason
	if d.conf.runs == "" {
		d.fallBack(ctx, st, "reverted before")
		return
	}
	d.log.Error("the files hold what was reverted, what runs goes on", "reason", st.Reason)
	d.tell(st, st.Reason)
}
