package daemon

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// switchboard is where cameras are that have all just got their power back. It
// thinks about each call for a moment, and then refuses it.
type switchboard struct {
	net.Listener

	calls sync.WaitGroup

	mu         sync.Mutex // guards what follows
	open, most int
	called     map[string]bool // the first line of a request
}

const thought = 100 * time.Millisecond

func (s *switchboard) run() {
	defer s.calls.Wait()
	for {
		c, err := s.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open++
		s.most = max(s.most, s.open)
		s.mu.Unlock()
		s.calls.Go(func() { s.answer(c) })
	}
}

func (s *switchboard) answer(c net.Conn) {
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	timer := time.NewTimer(thought)
	<-timer.C
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if err == nil {
		s.called[line] = true
	}
}

// TestFiftyCamerasAreNotDialledTogether: a switch and fifty cameras that have just
// got their power back are dialled a few at a time, and each in its turn.
func TestFiftyCamerasAreNotDialledTogether(t *testing.T) {
	const cameras = 50
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	board := &switchboard{Listener: ln, called: make(map[string]bool)}
	var all sync.WaitGroup
	all.Go(board.run)
	defer all.Wait()
	defer ln.Close()

	s := newSite(t, "")
	var text strings.Builder
	text.WriteString("version: 1\nhls: {mode: \"off\"}\n")
	for _, server := range []string{"rtsp", "http", "rtmp", "srt", "api", "metrics"} {
		text.WriteString(server + ": {listen: \"\"}\n")
	}
	text.WriteString("cameras:\n")
	for i := range cameras {
		fmt.Fprintf(&text, "  c%d: {url: \"rtsp://%s/c%d\", transport: tcp}\n", i, ln.Addr(), i)
	}
	if err := os.WriteFile(s.opts.ConfigFile, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	all.Go(func() {
		if err := Run(ctx, s.opts, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	})
	defer stop()
	await(t, "each camera has been called", func() bool {
		board.mu.Lock()
		defer board.mu.Unlock()
		return len(board.called) >= cameras
	})
	// A dial that takes long gives its turn to the next: on a slow machine there
	// may be more at a time than dials.
	board.mu.Lock()
	defer board.mu.Unlock()
	if board.most > 2*dials {
		t.Errorf("%d cameras were dialled at a time", board.most)
	}
}
