package camera

import (
	"context"
	"testing"

	"camrelay/media"
	"camrelay/media/mediatest"
)

// TestACameraThatDoesNotAnswerIsNotThere: viewers are told so soon.
func TestACameraThatDoesNotAnswerIsNotThere(t *testing.T) {
	spec := Spec{URL: "rtsp://" + mediatest.Deaf(t) + "/cam"}
	at, err := spec.target()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	_, _, err = spec.dial(ctx, at)
	if media.ClassOf(err) != media.ClassRefused || ctx.Err() != nil {
		t.Errorf("class %v of %v", media.ClassOf(err), err)
	}
}
