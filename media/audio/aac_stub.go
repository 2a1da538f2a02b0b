//go:build !cgo

package audio

import "errors"

// built tells whether there is an encoder in this build.
const built = false

// newEncoder has none to return in a build without cgo.
func newEncoder(int) (encoder, error) { return nil, errors.New(withoutEncoder) }
