package supervise

import (
	"time"

	"camrelay/media"
)

// HaltError is the error of a run that somebody has ended on purpose. It is no
// failure: the count of attempts begins again, and the histories of failures
// stay as they are.
type HaltError struct {
	Err error         // who and why
	For time.Duration // the run is Stopped for so long or until a retry; 0: it is tried again soon
}

// Error is that of Err.
func (h *HaltError) Error() string { return h.Err.Error() }

// Unwrap returns Err.
func (h *HaltError) Unwrap() error { return h.Err }

// ElsewhereError is the error of a run after which the next goes to another
// peer: the pause before it follows what is known of that one.
type ElsewhereError struct {
	Err      error // why the run ended
	Failures int   // in a row, of the peer that is next; 0: none
}

// Error is that of Err.
func (e *ElsewhereError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ElsewhereError) Unwrap() error { return e.Err }

// halted enters h into the state.
func (k *keeper) halted(h *HaltError, now time.Time) {
	phase, pause := Stopped, h.For
	if pause <= 0 {
		phase, pause = Reconnecting, Backoff(1, media.ClassNetwork, 0, random)
	}
	k.forgive()
	k.state.NextRetry = now.Add(pause)
	if k.state.Phase == phase {
		k.report(k.state)
		return
	}
	k.to(phase, h.Error())
}

// resumed is why a run begins that was Stopped.
func resumed(kicked bool) string {
	if kicked {
		return "retry"
	}
	return "the hold-off is over"
}
