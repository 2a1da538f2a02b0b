//go:build !cgo

package srt

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"camrelay/media"
	"camrelay/media/hub"
)

var errWithout = errors.New("built without SRT")

// CheckLibrary has nothing to check in a build without cgo.
func CheckLibrary() error { return nil }

// Version returns the empty string: there is no libsrt in this build.
func Version() string { return "" }

// Caller stands for the one of a build with cgo.
type Caller struct{}

// Run says that this build cannot push by SRT.
func (*Caller) Run(context.Context, Spec, *hub.Stream, *media.Progress, *slog.Logger) error {
	return media.Fail(media.ClassUnsupported, errWithout)
}

// Server stands for the one of a build with cgo.
type Server struct{}

// New returns a server that cannot serve.
func New(Config, hub.Opener, *slog.Logger) *Server { return &Server{} }

// Listen says that this build cannot serve SRT.
func (*Server) Listen() error { return errWithout }

// Run says that this build cannot serve SRT.
func (*Server) Run(context.Context) error { return errWithout }

// Addr returns nil.
func (*Server) Addr() net.Addr { return nil }

// Stats returns no counts.
func (*Server) Stats() Stats { return Stats{} }

// Sink stands for the one of a build with cgo.
type Sink struct{}

// ListenSink says that this build cannot receive by SRT.
func ListenSink(string) (*Sink, error) { return nil, errWithout }

// Addr returns nil.
func (*Sink) Addr() net.Addr { return nil }

// Run says that this build cannot receive by SRT.
func (*Sink) Run(context.Context, func([]byte)) error { return errWithout }
