package api

import (
	"context"
	"fmt"
	"time"
)

// askTimeout bounds one question to a daemon on the same box.
const askTimeout = 5 * time.Second

// Ask asks the daemon that has a socket for the answer to GET path.
func Ask(ctx context.Context, socket, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := NewClient(socket, "").Get(ctx, path, into); err != nil {
		return fmt.Errorf("cannot ask the daemon: %w", err)
	}
	return nil
}
