package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// askTimeout bounds one question to a daemon on the same box.
const askTimeout = 5 * time.Second

// Ask asks the daemon that has a socket for the answer to GET path.
func Ask(ctx context.Context, socket, path string, into any) error {
	client := &http.Client{
		Timeout: askTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", socket)
			},
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://camrelay"+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("cannot ask the daemon: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot ask the daemon: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("cannot ask the daemon: it answers %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("cannot understand the daemon: %w", err)
	}
	return nil
}
