package camera

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

func listenAt(t *testing.T, addr string) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func TestAwaitReturn(t *testing.T) {
	ln := listenAt(t, fmt.Sprintf("127.0.0.1:%d", mediatest.FreePort(t, "tcp")))
	addr := ln.Addr().String()
	spec := Spec{URL: "rtsp://" + addr + "/cam"}
	if AwaitReturn(t.Context(), spec) {
		t.Error("a camera that was there has returned")
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if AwaitReturn(ctx, spec) {
		t.Error("a camera that is gone has returned")
	}
	returned := make(chan bool, 1)
	go func() { returned <- AwaitReturn(t.Context(), spec) }()
	select {
	case <-returned:
		t.Fatal("returned before it was there")
	case <-time.After(200 * time.Millisecond):
	}
	listenAt(t, addr)
	select {
	case ok := <-returned:
		if !ok {
			t.Error("the camera is there and has not returned")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the camera is there and is not noticed")
	}
}
