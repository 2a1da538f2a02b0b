package relay

import (
	"context"
	"errors"
	"time"

	"camrelay/daemon/health"
	"camrelay/media"
	"camrelay/media/hub"
)

// ErrNoHook is the error of a method of Hooks that has nobody to ask.
var ErrNoHook = errors.New("there is no hook to ask")

// Hooks decide what the configuration leaves open. The methods may be called
// from any goroutine and return soon after their context is done; no error of
// theirs holds a secret.
type Hooks interface {
	// NotFound is asked once for all who want a path that does not exist. The
	// request holds no credentials. After an error the path does not exist.
	NotFound(ctx context.Context, req hub.Request) (Decision, error)
	// NoneReader is asked whether a camera that nobody wants is to be closed.
	// Only true closes it; else it is asked again.
	NoneReader(ctx context.Context, idle Idle) (closeIt bool, err error)
}

// Decision is the answer of a hook to a path that does not exist. The zero
// value says that the path will be added another way; who waits for it then
// waits on.
type Decision struct {
	Close  bool   // the path does not exist
	Reason string // why, for who asked; may be empty
	Source Source // where its media comes from, unless empty
}

// Source is where a path gets its media from.
type Source struct {
	URL media.Secret // it may hold credentials
}

// Sources makes paths at run time.
type Sources interface {
	// Add makes the path and its pull exist; Put is called before it returns.
	Add(ctx context.Context, name string, source Source) error
}

// Idle is a camera that runs though nobody wants it.
type Idle struct {
	Path   string
	Since  time.Time // when the last claim ended that held it
	Bytes  uint64    // received since the path exists
	Asked  int       // how often the hook was asked before, in this time without claims
	Policy Policy
}

// EventType is what has happened.
type EventType string

// The types of event.
const (
	PathReady     EventType = "path.ready"       // media arrives
	PathNotReady  EventType = "path.not_ready"   // media has ended
	PathExpired   EventType = "path.expired"     // a runtime path was not wanted any more
	NoneReader    EventType = "path.none_reader" // the last reader has been gone for the policy's IdleAfter
	NotFound      EventType = "path.not_found"   // somebody wants a path that does not exist
	CameraStopped EventType = "camera.stopped"   // somebody has stopped it
	CameraStarted EventType = "camera.started"   // a stop is over
	HealthRaised  EventType = "health.raised"
	HealthCleared EventType = "health.cleared"
)

// Event is something that has happened. Fields that mean nothing for its type
// are zero.
type Event struct {
	Type      EventType
	At        time.Time
	Path      string
	Reason    string           // for people
	Since     time.Time        // NoneReader: when the last reader left
	Bytes     uint64           // NoneReader: received since the path exists
	Held      []Claim          // NoneReader: what holds the camera all the same
	Condition health.Condition // HealthRaised, HealthCleared
	Recovered bool             // HealthCleared: media says so; else the camera is not looked at any more
	Protocol  string           // NotFound
	Remote    string           // NotFound
}
