package mediatest

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// Serve runs a server until stop is called, which returns what run returned, or
// the test has ended. Then a server returns that it was cancelled.
func Serve(t testing.TB, run func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var result error
	wg.Go(func() { result = run(ctx) })
	stop = sync.OnceValue(func() error { cancel(); wg.Wait(); return result })
	t.Cleanup(func() {
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	return stop
}
