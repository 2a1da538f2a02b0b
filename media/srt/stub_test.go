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
}
