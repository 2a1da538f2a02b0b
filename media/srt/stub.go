//go:build !cgo

package srt

import (
	"context"
	"errors"
	"log/slog"

	"camrelay/media"
	"camrelay/media/hub"
)

// CheckLibrary has nothing to check in a build without cgo.
func CheckLibrary() error { return nil }

// Caller stands for the one of a build with cgo.
type Caller struct{}

// Run says that this build cannot push by SRT.
func (*Caller) Run(context.Context, Spec, *hub.Stream, *media.Progress, *slog.Logger) error {
	return media.Fail(media.ClassUnsupported, errors.New("built without SRT"))
}
