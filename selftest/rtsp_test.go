package selftest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"camrelay/media/testcam"
)

// TestPlayRTSPEnds: it ends with its context, though the camera sends on.
func TestPlayRTSPEnds(t *testing.T) {
	cam := testcam.New(testcam.Config{
		Listen: "127.0.0.1:0", Cameras: []testcam.Camera{{Path: name, Height: 180, FPS: 50, Silent: true}},
	}, slog.New(slog.DiscardHandler))
	if err := cam.Listen(); err != nil {
		t.Fatal(err)
	}
	working, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- cam.Run(working) }()
	defer func() { stop(); <-served }()

	for range 10 {
		ctx, cancel := context.WithCancel(working)
		ended := make(chan error, 1)
		go func() {
			ended <- playRTSP(ctx, cam.URL(name), func([]byte) {
				told := make(chan struct{})
				context.AfterFunc(ctx, func() { close(told) })
				cancel()
				<-told // and so may be who ends the connection
			})
		}()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("it plays on")
		}
	}
}
