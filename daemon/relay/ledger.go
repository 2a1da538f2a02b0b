package relay

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ClaimKind tells who makes a claim.
type ClaimKind string

// The kinds of claim.
const (
	ClaimConfig    ClaimKind = "config"
	ClaimSchedule  ClaimKind = "schedule"
	ClaimKeepalive ClaimKind = "keepalive"
	ClaimViewer    ClaimKind = "viewer"
	ClaimPush      ClaimKind = "push"
	ClaimHook      ClaimKind = "hook"
)

// Claim is one reason why a camera runs: an entry of the demand ledger.
type Claim struct {
	ID      string // of the session, lease or push; may be empty
	Kind    ClaimKind
	By      string    // who, for people
	Starts  bool      // starts the camera
	Holds   bool      // keeps it running
	Resumes bool      // ends the hold-off of a camera that was stopped
	Since   time.Time // set when it is entered
}

// reads tells whether the claim is somebody who takes media.
func (c Claim) reads() bool { return c.Holds && (c.Kind == ClaimViewer || c.Kind == ClaimPush) }

// Stop is that somebody has stopped a camera, whatever claims there are.
type Stop struct {
	By     string
	At     time.Time
	Until  time.Time // then the policy rules again; zero: not by time
	Yields bool      // a new claim that starts the camera ends it
}

// String says it in words.
func (s Stop) String() string {
	switch {
	case !s.Until.IsZero():
		return "stopped by " + s.By + " until " + s.Until.Format(time.RFC3339)
	case s.Yields:
		return "stopped by " + s.By + " until it is wanted again"
	}
	return "stopped by " + s.By + " until it is started"
}

// plainly says it to somebody who need not know who it was.
func (s Stop) plainly() string {
	switch {
	case !s.Until.IsZero():
		return "the camera is stopped until " + s.Until.Format(time.RFC3339)
	case s.Yields:
		return "the camera is stopped until it is wanted again"
	}
	return "the camera is stopped until it is started"
}

// Numbers of the claims that the policy makes; all others are greater.
const (
	configClaim   = iota // keep: warm
	scheduleClaim        // a window is open
	idleClaim            // on_idle: what lets a camera run that nobody wants
	otherClaims
)

// ledger is the one truth for why a camera runs or not. Its path's mu guards it.
type ledger struct {
	policy  Policy
	zone    *time.Location // of policy.Schedule
	claims  map[uint64]Claim
	last    uint64
	held    time.Time // when a claim ended last that held the camera
	unread  time.Time // when the last reader left; zero while there is one, and once it was told
	asked   time.Time // when the hook has answered last; zero while somebody wants the camera
	asks    int       // how often it was asked since
	stop    *Stop
	wake    string    // why a stop has ended, until the camera starts
	lookAt  time.Time // at the schedule, next time
	looked  time.Time // when that was last, on the clock on the wall
	changes time.Time // when the schedule opens or closes next, zero if it does not within a week
}

// resettle is how often the schedule is looked at anew at least: the wall clock
// may be set, at boot by decades.
const resettle = 5 * time.Minute

// setPolicy makes the claims of a policy.
func (l *ledger) setPolicy(policy Policy, now time.Time) {
	if policy.Schedule != l.policy.Schedule {
		l.drop(scheduleClaim, now) // what it says may be another
	}
	l.policy, l.lookAt, l.looked = policy, time.Time{}, time.Time{}
	l.zone = policy.Schedule.location()
	switch _, claimed := l.claims[configClaim]; {
	case policy.Warm && !claimed:
		l.claims[configClaim] = Claim{Kind: ClaimConfig, By: "keep: warm", Starts: true, Holds: true, Since: now}
	case !policy.Warm:
		l.drop(configClaim, now)
	}
	l.drop(idleClaim, now)
	l.settle(now)
}

// settle does what time does: windows open and close, hold-offs end. It tells
// whether anything has changed.
func (l *ledger) settle(now time.Time) (changed bool) {
	if l.stop != nil && !l.stop.Until.IsZero() && !now.Before(l.stop.Until) {
		l.resume("the hold-off of " + l.stop.By + " is over")
		changed = true
	}
	if now.Before(l.lookAt) {
		return changed
	}
	if l.policy.Schedule == (Schedule{}) {
		l.lookAt, l.changes = now.Add(1e6*time.Hour), time.Time{}
		return changed
	}
	wall := now.Round(0)
	open, same := false, !l.looked.IsZero() && !wall.Before(l.looked) &&
		wall.Before(l.changes) // until then it is as it was, unless the clock was set
	if !same {
		open, l.changes = l.policy.Schedule.at(now, l.zone)
		l.looked = wall
	}
	l.lookAt = now.Add(resettle)
	if !l.changes.IsZero() && l.changes.Sub(now) < resettle {
		l.lookAt = now.Add(l.changes.Sub(now))
	}
	if same {
		return changed
	}
	_, claimed := l.claims[scheduleClaim]
	switch {
	case open && !claimed:
		by := "keep: " + l.policy.Schedule.String()
		l.claims[scheduleClaim] = Claim{Kind: ClaimSchedule, By: by, Starts: true, Holds: true, Since: now}
		return true
	case !open && claimed:
		l.drop(scheduleClaim, now)
		return true
	}
	return changed
}

// add enters a claim and returns its number.
func (l *ledger) add(c Claim, now time.Time) uint64 {
	c.Since = now
	l.last = max(l.last+1, otherClaims)
	l.claims[l.last] = c
	if c.reads() {
		l.unread = time.Time{}
	}
	if l.stop != nil && c.Starts && (c.Resumes || l.stop.Yields) {
		l.resume("wanted again by " + c.By)
	}
	return l.last
}

// drop takes a claim out, if it is there.
func (l *ledger) drop(id uint64, now time.Time) {
	c, ok := l.claims[id]
	if !ok {
		return
	}
	delete(l.claims, id)
	if c.Holds && id != idleClaim {
		l.held = now
	}
	if c.reads() && !l.any(Claim.reads) {
		l.unread = now
	}
}

// resume ends a stop.
func (l *ledger) resume(why string) { l.stop, l.wake = nil, why }

// any tells whether there is a claim like that of somebody else than on_idle.
func (l *ledger) any(like func(Claim) bool) bool {
	for id, c := range l.claims {
		if id != idleClaim && like(c) {
			return true
		}
	}
	return false
}

// holds tells whether a claim keeps the camera running.
func (l *ledger) holds() bool { return l.any(func(c Claim) bool { return c.Holds }) }

// starts returns the oldest claim that starts the camera, false if there is
// none or the camera is stopped.
func (l *ledger) starts() (c Claim, ok bool) {
	if l.stop != nil {
		return c, false
	}
	for _, other := range l.claims {
		if other.Starts && (!ok || other.Since.Before(c.Since)) {
			c, ok = other, true
		}
	}
	return c, ok
}

// list returns the claims, oldest first.
func (l *ledger) list() []Claim {
	all := make([]Claim, 0, len(l.claims))
	for _, id := range slices.Sorted(maps.Keys(l.claims)) {
		all = append(all, l.claims[id])
	}
	slices.SortStableFunc(all, func(a, b Claim) int { return a.Since.Compare(b.Since) })
	return all
}

// count returns how many claims there are of a kind.
func (l *ledger) count(kind ClaimKind) int {
	n := 0
	for _, c := range l.claims {
		if c.Kind == kind {
			n++
		}
	}
	return n
}

// counted is the kinds of which there may be many, in the singular and the plural.
var counted = map[ClaimKind][]string{
	ClaimKeepalive: {"keepalive", "keepalives"}, ClaimViewer: {"viewer", "viewers"}, ClaimPush: {"push", "pushes"},
}

// summary says in a line why the camera runs or not.
func (l *ledger) summary() string {
	if l.stop != nil {
		return l.stop.String()
	}
	var all []string
	counts := make(map[ClaimKind]int)
	for _, c := range l.list() {
		switch {
		case !c.Starts && !c.Holds:
		case counted[c.Kind] == nil:
			all = append(all, c.By)
		default:
			counts[c.Kind]++
		}
	}
	for kind, n := range counts {
		if n == 1 {
			all = append(all, "1 "+counted[kind][0])
		} else {
			all = append(all, fmt.Sprintf("%d %s", n, counted[kind][1]))
		}
	}
	if len(all) == 0 {
		return nobody
	}
	slices.Sort(all)
	return "wanted by " + strings.Join(all, ", ")
}

// nobody is why a camera is closed that no claim holds.
const nobody = "nobody wants it"
