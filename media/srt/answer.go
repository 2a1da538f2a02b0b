//go:build cgo

package srt

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"camrelay/media"
)

// answer waits for a receiver to call at the address of a Spec. hangUp ends the
// connection and gives the port back.
func answer(ctx context.Context, spec Spec) (l *link, hangUp func(), err error) {
	ln, err := bindListener(ctx, net.JoinHostPort(spec.Host, strconv.Itoa(int(spec.Port))), spec.options())
	if err != nil {
		return nil, nil, fmt.Errorf("cannot listen for a receiver: %w", err)
	}
	var busy atomic.Bool
	ln.rest.begin()
	err = ln.listen(1, func(c caller) int {
		switch {
		case spec.StreamID != "" && media.Secret(c.streamID) != spec.StreamID:
			return rejectNotFound
		case busy.Load():
			return rejectOverload
		}
		ln.rest.end()
		return 0
	})
	if err != nil {
		ln.close()
		return nil, nil, fmt.Errorf("cannot listen for a receiver: %w", err)
	}
	first := make(chan *link, 1) // closed by the goroutine
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(first)
		for {
			next, _, err := ln.accept()
			if err != nil {
				return
			}
			if busy.Swap(true) {
				next.close()
				continue
			}
			first <- next
		}
	})
	shut := func() {
		ln.close()
		wg.Wait()
		for l := range first {
			l.close()
		}
	}
	select {
	case l = <-first:
		return l, func() { l.close(); shut() }, nil
	case <-ctx.Done():
		shut()
		return nil, nil, ctx.Err()
	}
}
