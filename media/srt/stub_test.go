//go:build !cgo

package srt

import (
	"log/slog"
	"testing"

	"camrelay/media"
	"camrelay/media/hub"
)

func TestWithoutSRT(t *testing.T) {
	s := hub.NewStream("cam")
	defer s.Close()
	err := new(Caller).Run(t.Context(), Spec{}, s, media.NewProgress(func() {}), slog.New(slog.DiscardHandler))
	if media.ClassOf(err) != media.ClassUnsupported || err.Error() != "built without SRT" {
		t.Errorf("got %v", err)
	}
	server := New(Config{Listen: "127.0.0.1:0"}, nil, slog.New(slog.DiscardHandler))
	for _, err := range []error{server.Listen(), server.Run(t.Context())} {
		if err == nil || err.Error() != "built without SRT" {
			t.Errorf("the server: %v", err)
		}
	}
	if Version() != "" || server.Addr() != nil || server.Stats() != (Stats{}) {
		t.Error("there is a server in spite of that")
	}
}
