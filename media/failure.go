package media

import "errors"

// Class tells a supervisor how to treat a failure.
type Class uint8

// The classes of failure.
const (
	ClassNetwork     Class = iota // timed out, closed: try again soon
	ClassBusy                     // the peer has no slot now: try again later
	ClassCredentials              // refused for who we are: try again rarely, it may lock us out
	ClassUnsupported              // cannot work with these settings or codecs: try again rarely
	ClassRefused                  // nobody there, or no such stream: waiting a moment does not help
	ClassUnreachable              // nothing comes back, the way there may be broken: try again soon, nobody hears it
)

var classNames = [...]string{"network", "busy", "credentials", "unsupported", "refused", "unreachable"}

// Classes is how many classes there are.
const Classes = len(classNames)

// String returns the word used in the API and in metrics.
func (c Class) String() string { return classNames[c] }

// failure is an error with a class.
type failure struct {
	class Class
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Fail returns err marked with a class. Its text must hold no secret.
func Fail(class Class, err error) error { return &failure{class, err} }

// ClassOf returns the class of err, ClassNetwork if it was never marked.
func ClassOf(err error) Class {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.class
	}
	return ClassNetwork
}

// Who has ended a session in good order, to be tested with errors.Is.
var (
	ErrPeerClosed = errors.New("closed by the peer")
	ErrClosedHere = errors.New("closed by camrelay")
)

// ending is an error that tells who has ended a session.
type ending struct {
	by   error // ErrPeerClosed or ErrClosedHere
	text string
}

func (e *ending) Error() string        { return e.text }
func (e *ending) Is(target error) bool { return target == e.by }

// EndedBy returns an error with that text that is by: ErrPeerClosed or ErrClosedHere.
func EndedBy(by error, text string) error { return &ending{by, text} }
