//go:build !cgo

package audio

import (
	"testing"

	"camrelay/media/hub"
)

func TestWithoutEncoder(t *testing.T) {
	s := hub.NewStream("cam")
	defer s.Close()
	s.SetTracks(tracks(video, alaw))
	for mode, want := range map[Mode]State{
		{Policy: Auto}: {In: "PCMA", Reason: "this program was built without an AAC encoder, so there is none"},
		{Policy: Auto, Needed: true}: {
			In: "PCMA", Out: "AAC", Reason: "this program was built without an AAC encoder, so there is silence",
		},
	} {
		view, release := View(s, mode)
		want.Mode = mode
		if st := StateOf(view); st != want {
			t.Errorf("got %+v, want %+v", st, want)
		}
		release()
	}
	if _, err := newEncoder(1); err == nil {
		t.Error("there is an encoder after all")
	}
}
