package supervise

import (
	"strings"
	"time"

	"camrelay/media"
)

// Phase is where a supervised run stands.
type Phase string

// The phases.
const (
	Idle         Phase = "idle"         // not wanted now
	Starting     Phase = "starting"     // first attempt, no media yet; or connected, and none now
	Active       Phase = "active"       // media flows
	Reconnecting Phase = "reconnecting" // a run has ended; waiting or trying again
	Failed       Phase = "failed"       // all attempts used; waits for a retry or an edit
	Stopped      Phase = "stopped"      // somebody has stopped it
)

// The lengths of the histories in State, and of a reason in bytes: what a peer
// says goes into it.
const (
	maxTransitions = 20
	maxErrors      = 5
	maxReason      = 400
)

// State is what is known of a supervised run. A State is never changed once it
// has been reported; its slices are shared and must not be written to.
type State struct {
	Phase       Phase
	Since       time.Time    // of Phase
	Attempt     int          // attempts begun since the last good run, from 1; 0 after a good run
	Reason      string       // why the last run ended; kept when the next succeeds
	Class       media.Class  // of Reason
	NextRetry   time.Time    // when the next attempt begins; zero unless it waits
	Waiting     string       // what has to come before an attempt, or before media flows; may be empty
	Connected   time.Time    // when media flowed first in the run under way, zero if none has
	Lost        time.Time    // when a run ended last that had moved media; zero if none has
	Panics      int          // runs that ended by a panic
	Failures    Failures     // runs that ended, halted ones left out
	Transitions []Transition // changes of Phase, oldest first, at most 20
	Errors      []Failure    // why runs ended, newest first, at most 5; success does not clear them
}

// Failures counts by media.Class. It never falls.
type Failures [media.Classes]uint64

// Transition is one change of phase.
type Transition struct {
	At     time.Time
	Phase  Phase
	Reason string // why; may be empty
}

// Failure is one run that has ended.
type Failure struct {
	At      time.Time
	Message string
	Class   media.Class
}

// To returns s in another phase, with the transition in its history. A phase
// that s is in already is left as it is.
func (s State) To(phase Phase, reason string, now time.Time) State {
	if s.Phase == phase {
		return s
	}
	s.Phase, s.Since = phase, now
	n := len(s.Transitions)
	keep := s.Transitions[max(0, n-maxTransitions+1):]
	s.Transitions = append(append(make([]Transition, 0, len(keep)+1), keep...), Transition{now, phase, reason})
	return s
}

// outOfReach tells whether nothing came back from the peer last time.
func (s State) outOfReach() bool { return len(s.Errors) > 0 && s.Class == media.ClassUnreachable }

// failed returns s with one more failure.
func (s State) failed(err error, now time.Time) State {
	s.Reason, s.Class = err.Error(), media.ClassOf(err)
	s.Failures[s.Class]++
	if len(s.Reason) > maxReason {
		s.Reason = strings.ToValidUTF8(s.Reason[:maxReason], "") + "…"
	}
	keep := s.Errors[:min(len(s.Errors), maxErrors-1)]
	s.Errors = append(append(make([]Failure, 0, len(keep)+1), Failure{now, s.Reason, s.Class}), keep...)
	return s
}
