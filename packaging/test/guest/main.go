// Command guest is what the tests of the package need in a box that has nothing:
// a camera, a player that counts, and a way in. It is no part of the package, and
// is linked statically.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
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
	case len(args) == 2 && args[0] == "hold":
		err = hold(ctx, args[1])
	case len(args) == 2 && args[0] == "obey":
		err = obey(ctx, args[1])
	case len(args) == 3 && args[0] == "tell":
		err = tell(ctx, args[1], args[2])
	default:
		err = errors.New("usage: guest camera ADDRESS | guest follow PLAYLIST REPORT | " +
			"guest hold ADDRESS | guest obey ADDRESS | guest tell ADDRESS SCRIPT")
	}
	if code, ok := errors.AsType[exitError](err); ok {
		os.Exit(int(code))
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

// camera is the camera gate at an address, and door, which costs an emulator less.
func camera(ctx context.Context, addr string) error {
	cameras := append(testcam.DemoCameras("gate"), testcam.Camera{Path: "door", Height: 180, FPS: 10})
	srv := testcam.New(testcam.Config{Listen: addr, Cameras: cameras},
		slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := srv.Listen(); err != nil {
		return err
	}
	return srv.Run(ctx)
}

// hold has an address for itself, for TCP and for UDP.
func hold(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	tcp, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer tcp.Close()
	udp, err := lc.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return err
	}
	defer udp.Close()
	fmt.Fprintln(os.Stdout, "held")
	<-ctx.Done()
	return nil
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
	played, failed  int
	refused         int           // of those that failed: nobody listened
	discontinuities int           // of the stream since it began
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
			p.failed++
			if errors.Is(err, syscall.ECONNREFUSED) {
				p.refused++
			}
			fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), err)
		}
		text := fmt.Sprintf("played=%d longest_ms=%d failed=%d refused=%d discontinuities=%d\n",
			p.played, p.longest.Milliseconds(), p.failed, p.refused, p.discontinuities)
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
	newest, breaks := "", 0
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		gone, isGone := strings.CutPrefix(line, "#EXT-X-DISCONTINUITY-SEQUENCE:")
		switch {
		case isGone:
			n, err := strconv.Atoi(gone)
			if err != nil {
				return err
			}
			breaks += n
		case line == "#EXT-X-DISCONTINUITY":
			breaks++
		case line != "" && !strings.HasPrefix(line, "#"):
			newest = line
		}
	}
	p.discontinuities = breaks
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
