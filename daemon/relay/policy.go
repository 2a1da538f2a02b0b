package relay

import "time"

// OnIdle is what becomes of a camera that runs and that nobody wants.
type OnIdle string

// The values of OnIdle; empty is IdleClose.
const (
	IdleClose OnIdle = "close" // it is closed after IdleAfter
	IdleKeep  OnIdle = "keep"  // once started it goes on
	IdleAsk   OnIdle = "ask"   // the hook decides, asked again after each IdleAfter
)

// Policy says when a camera runs and how long viewers wait for it. It is
// comparable.
type Policy struct {
	Warm         bool          // keep it running without viewers
	Schedule     Schedule      // keep it running at these hours
	IdleAfter    time.Duration // close it so long after the last claim that holds
	OnIdle       OnIdle
	StartTimeout time.Duration // how long a viewer waits for a picture
	StalledAfter time.Duration // without media for so long it has stalled; 0: 10 s
	MaxViewers   int           // more are refused; 0: any number. Keepalives and pushes do not count
	Runtime      bool          // the path itself goes once it has been idle for IdleAfter
	Title        string        // for people; empty: the name
}

// stalledAfter is the default of Policy.StalledAfter.
const stalledAfter = 10 * time.Second

func (p Policy) stalledAfter() time.Duration {
	if p.StalledAfter == 0 {
		return stalledAfter
	}
	return p.StalledAfter
}
