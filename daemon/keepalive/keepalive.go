// Package keepalive holds the keepalives: leases on paths that somebody wants
// connected without watching. It knows whose a lease is, how long it lasts and
// whether it does what it is for, attaches it to its path again and again, and
// keeps it over a restart in a state file. It neither pulls cameras nor judges
// them: that is behind Paths. Who may call at all is the API's to decide.
//
// All methods may be called from any goroutine. Load comes before Run, and Run
// once: it watches the paths, ends leases and writes the file.
//
//	        ┌───────────── lost ─────────────┐
//	        ▼                                │
//	     waiting ──────── attached ──────▶ holding ──┐ something is wrong
//	        ▲ ▲                              ▲       ▼ with the media: lost
//	renewed │ └────── no media any more ─────┼─── degraded
//	        │                                └──────┘ attached
//	     expired ◀── its time is over, in any state; forgotten after an hour
//
// # Why
//
// The file holds what somebody was promised, so a change is acknowledged once it
// is on disk, with an end to the wait: a disk that hangs or is full stops no
// camera and no caller, Lease.Saved and Status tell. Flash wears out: changes are
// written together, and renewing a lease of up to an hour writes nothing, since
// after a restart such a lease has its whole time again.
package keepalive

import (
	"errors"
	"time"
)

// State is what a lease does.
type State string

// The states.
const (
	Waiting  State = "waiting"  // no media arrives; it takes part as soon as some does
	Holding  State = "holding"  // the path is warm
	Degraded State = "degraded" // media arrives, and something is wrong with it
	Expired  State = "expired"  // its time is over: it holds nothing
)

// Owner tells where a lease comes from.
type Owner string

// The owners.
const (
	OwnerAPI    Owner = "api"
	OwnerConfig Owner = "config" // declared in the configuration, which alone can take it away
)

// Lease is one keepalive, as it is at the moment.
type Lease struct {
	ID          string // UUIDv4, lower case, never reused
	Created     time.Time
	Path        string
	CreatorUser string // empty: anonymous, or declared
	CreatorIP   string // empty: unknown, or declared
	Label       string // for people
	Priority    int    // 0 to 100, the greater the more important
	TTL         time.Duration
	Expires     time.Time // on the clock on the wall; zero with a TTL of 0: never
	Owner       Owner
	Name        string // by which it is declared; empty unless it is
	State       State
	Reason      string    // why it is not holding; empty if it is
	Since       time.Time // of State
	Saved       bool      // it is in the state file as it is
}

// Request is what somebody wants a lease to be.
type Request struct {
	Path     string
	Label    string        // at most MaxLabel bytes
	Priority int           // 0 to 100
	TTL      time.Duration // MinTTL to MaxTTL; 0: it does not expire
}

// Declared is a lease as the configuration has it.
type Declared struct {
	Path     string
	Label    string
	Priority int
}

// Caller is who asks for a change.
type Caller struct {
	User  string // empty: anonymous
	IP    string
	Admin bool
}

// Bounds of what is held.
const (
	MaxLabel    = 200 // bytes
	MaxPriority = 100
	MinTTL      = time.Second
	MaxTTL      = 366 * 24 * time.Hour
	maxLeases   = 1000
	maxPath     = 255 // bytes
)

// Errors of the methods of Leases.
var (
	ErrNoPath   = errors.New("there is no such path")
	ErrNotFound = errors.New("keepalive not found")
	ErrNotOwner = errors.New("only the creator or an admin can change this keepalive")
	ErrTooMany  = errors.New("there are too many keepalives")
	ErrClosed   = errors.New("keepalives are being shut down")
)

// DeclaredError is the error of a change to a lease that the configuration owns.
type DeclaredError struct{ Name string }

// Error names the place in the configuration.
func (e *DeclaredError) Error() string {
	return "the configuration file owns this keepalive: change keepalives." + e.Name + " there"
}

// InvalidError is the error of a request that no lease can be made of.
type InvalidError struct{ text string }

// Error says what is wrong.
func (e *InvalidError) Error() string { return e.text }

// EventType is what has happened to a lease.
type EventType string

// The types of event. Each lease has one Added first, unless it is older than
// the process, and at most one Removed last. Lost comes after Attached.
const (
	Added    EventType = "added"
	Attached EventType = "attached" // it is holding
	Lost     EventType = "lost"     // it was holding, and is not any more
	Renewed  EventType = "renewed"  // it had expired, and is back
	Ended    EventType = "expired"  // its time is over
	Removed  EventType = "removed"
)

// Event is what an observer is told.
type Event struct {
	Type   EventType
	At     time.Time
	Lease  Lease // as it was just after
	Reason string
	By     string // who did it; empty: time, or the camera
}

// Health is how the camera of a path is.
type Health struct {
	Warm   bool   // key frames keep arriving on every expected track
	Media  bool   // media arrives
	Reason string // why it is not warm
}

// Paths is what leases are attached to.
type Paths interface {
	// Claim holds a path for a lease until release is called once; ok is false if
	// there is no such path. fresh tells that somebody has asked for it just now.
	// Whoever ends the claim without the lease calls ended, also before Claim has
	// returned: the lease then keeps away for the pause. reason is for people.
	Claim(path string, l Lease, fresh bool, ended func(reason string, pause time.Duration)) (release func(), ok bool)
	// Health returns how the path is and a channel that is closed when that may
	// have changed; ok is false if there is no such path.
	Health(path string) (h Health, changed <-chan struct{}, ok bool)
}

// Config is what Leases work with.
type Config struct {
	Paths   Paths
	Dir     string      // of the state file, made if need be; empty: nothing is kept
	Observe func(Event) // called in order, one at a time, must not block; nil: nobody listens
	// Boot returns what names this boot of the box, and the time since then, also
	// while suspended; "" if that is not known. nil: it never is.
	Boot func() (id string, up time.Duration)
}
