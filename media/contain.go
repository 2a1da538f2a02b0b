package media

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic that Contain has made an error of. Whoever decides
// what follows logs Stack.
type PanicError struct {
	Value any    // as given to panic
	Stack []byte // of the goroutine; holds no contents of memory
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("internal error: %v", e.Value) }

// Contain makes an error of a panic. It is to be deferred, before anything
// that is to be undone in spite of the panic, by what acts on bytes of a peer in
// a goroutine that nobody above it contains: such bytes may be what nobody has
// foreseen, here or in a library, and must end that session only.
//
//	func (s *session) listen() (err error) {
//		defer media.Contain(&err)
func Contain(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{v, debug.Stack()}
	}
}
