package daemon

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"camrelay/daemon/api"
	"camrelay/daemon/auth"
	"camrelay/media"
	"camrelay/media/accept"
)

// TestTheOwnerNeedsNoPassword asks over the socket, as the user that runs the
// daemon, and over the network, of a box that has users.
func TestTheOwnerNeedsNoPassword(t *testing.T) {
	access := auth.New(slog.New(slog.DiscardHandler))
	if _, err := access.Set(auth.Rules{Users: []auth.User{{
		Name: "tv", Role: auth.RoleViewer, TokenHashes: []media.Secret{media.Secret(sumOf([]byte("sesame")))},
	}}}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "api.sock")
	srv, err := listenHTTP(accept.Bound, "127.0.0.1:0", socket, apiLimits(), api.New(api.Config{Access: access}),
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	ask := func(network, address, token string) int {
		client := http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, network, address)
			},
			DisableKeepAlives: true,
		}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/v1/config/plan", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.ReadAll(res.Body); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	tcp := srv.listeners[0].Addr().String()
	const planned = http.StatusNotFound // there are no files, but the right
	for _, row := range []struct {
		name, network, address, token string
		want                          int
	}{
		{"the owner, by the socket", "unix", socket, "", planned},
		{"a viewer there", "unix", socket, "sesame", http.StatusForbidden},
		{"a wrong token there", "unix", socket, "simsim", http.StatusUnauthorized},
		{"anybody by the network", "tcp", tcp, "", http.StatusUnauthorized},
	} {
		if got := ask(row.network, row.address, row.token); got != row.want {
			t.Errorf("%s: status %d, want %d", row.name, got, row.want)
		}
	}
}

func TestWhoOwnsTheBox(t *testing.T) {
	for _, row := range []struct {
		name       string
		user, self int
		want       bool
	}{
		{"root", 0, 998, true},
		{"the daemon's user", 998, 998, true},
		{"somebody else", 1000, 998, false},
		{"nobody", 65534, 0, false},
	} {
		if got := owns(row.user, row.self); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}
