// Command guest is what the test of the package needs in a box that has nothing:
// a camera, and a player that counts. It is no part of the package, and is
// linked statically.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"camrelay/media/testcam"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 2 && args[0] == "camera":
		err = camera(ctx, args[1])
	case len(args) == 3 && args[0] == "follow":
		err = follow(ctx, args[1], args[2])
	default:
		err = errors.New("usage: guest camera ADDRESS | guest follow PLAYLIST REPORT")
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

// camera is the camera gate at an address.
func camera(ctx context.Context, addr string) error {
	srv := testcam.New(testcam.Config{Listen: addr, Cameras: testcam.DemoCameras("gate")},
		slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := srv.Listen(); err != nil {
		return err
	}
	return srv.Run(ctx)
}

// pace is how often a player looks for news.
const pace = 200 * time.Millisecond

// player plays a playlist of HLS as a simple one does, and goes on whatever
// happens.
type player struct {
	client   http.Client
	playlist *url.URL

	last            string // segment
	moved           time.Time
	played, refused int
	longest         time.Duration // between two segments
}

// follow plays until ctx is done, and keeps the report up to date.
func follow(ctx context.Context, playlist, report string) error {
	at, err := url.Parse(playlist)
	if err != nil {
		return err
	}
	p := &player{client: http.Client{Timeout: 5 * time.Second}, playlist: at}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := p.look(ctx); err != nil {
			p.refused++
			fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), err)
		}
		text := fmt.Sprintf("played=%d longest_ms=%d refused=%d\n", p.played, p.longest.Milliseconds(), p.refused)
		if err := os.WriteFile(report+".part", []byte(text), 0o600); err != nil {
			return err
		}
		if err := os.Rename(report+".part", report); err != nil {
			return err
		}
	}
}

// look loads the newest segment, if it is news.
func (p *player) look(ctx context.Context) error {
	body, err := p.get(ctx, p.playlist.String())
	if err != nil {
		return err
	}
	newest := ""
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		if line := lines.Text(); line != "" && !strings.HasPrefix(line, "#") {
			newest = line
		}
	}
	if newest == "" || newest == p.last {
		return nil
	}
	segment, err := p.playlist.Parse(newest)
	if err != nil {
		return err
	}
	if _, err := p.get(ctx, segment.String()); err != nil {
		return err
	}
	now := time.Now()
	if p.played > 0 {
		p.longest = max(p.longest, now.Sub(p.moved))
	}
	p.last, p.moved = newest, now
	p.played++
	return nil
}

// get returns a body that is not empty.
func (p *player) get(ctx context.Context, from string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK || len(body) == 0 {
		return "", fmt.Errorf("%s: %s, %d bytes", from, resp.Status, len(body))
	}
	return string(body), nil
}
