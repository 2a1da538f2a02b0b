package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// quay holds the ports of a box without a network, each free, taken by somebody else
// or ours.
type quay struct {
	taken  map[string]bool
	ours   map[string]bool
	opened []string // tries, in order
	log    bytes.Buffer
}

// portServer is one server; it ends by itself with what is sent to it.
type portServer struct {
	ports *quay
	addr  string
	fails chan error
}

func (s *portServer) Run(ctx context.Context) error {
	defer func() { s.ports.ours[s.addr] = false }()
	select {
	case err := <-s.fails:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slot returns one whose last server is last.
func (p *quay) slot(last **portServer) *slot[string] {
	p.taken, p.ours = make(map[string]bool), make(map[string]bool)
	return &slot[string]{
		name: "rtsp", addr: func(addr string) string { return addr }, log: slog.New(slog.NewTextHandler(&p.log, nil)),
		open: func(addr string) (runner, error) {
			p.opened = append(p.opened, addr)
			_, port, _ := net.SplitHostPort(addr)
			for other, ours := range p.ours {
				if _, at, _ := net.SplitHostPort(other); ours && at == port {
					return nil, fmt.Errorf("listen %s: %w", addr, syscall.EADDRINUSE)
				}
			}
			if p.taken[addr] {
				return nil, fmt.Errorf("listen %s: %w", addr, syscall.EADDRINUSE)
			}
			p.ours[addr] = true
			*last = &portServer{p, addr, make(chan error, 1)}
			return *last, nil
		},
	}
}

// logged returns how many lines have the text.
func (p *quay) logged(text string) int { return strings.Count(p.log.String(), text) }

func TestAPortInUseIsTriedAgainAndToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p quay
		var last *portServer
		s := p.slot(&last)
		p.taken[":1"] = true
		s.apply(t.Context(), ":1")
		for range 5 {
			s.retry(t.Context())
		}
		if s.problem() == nil || len(p.opened) != 6 || p.logged("level=ERROR") != 1 {
			t.Errorf("%v after %d tries, log\n%s", s.problem(), len(p.opened), &p.log)
		}
		p.taken[":1"] = false
		s.retry(t.Context())
		s.retry(t.Context())
		s.apply(t.Context(), ":1")
		if s.problem() != nil || len(p.opened) != 7 || p.logged("again") != 2 { // a line of each
			t.Errorf("%v after %d tries, log\n%s", s.problem(), len(p.opened), &p.log)
		}
		s.close()
	})
}

func TestThePortOfAnotherCostsNoViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p quay
		var last *portServer
		s := p.slot(&last)
		s.apply(t.Context(), ":1")
		first := last
		p.taken[":2"] = true
		s.apply(t.Context(), ":2")
		s.retry(t.Context())
		if s.problem() == nil || last != first || !p.ours[":1"] {
			t.Errorf("the old server went: %v, tries %v", s.problem(), p.opened)
		}
		s.apply(t.Context(), ":1")
		if s.problem() != nil || last != first || len(p.opened) != 3 {
			t.Errorf("%v, tries %v", s.problem(), p.opened)
		}
		s.apply(t.Context(), "")
		if s.problem() != nil || p.ours[":1"] {
			t.Errorf("%v, it runs on", s.problem())
		}
	})
}

func TestAServerMovesOnItsOwnPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p quay
		var last *portServer
		s := p.slot(&last)
		s.apply(t.Context(), ":1")
		s.apply(t.Context(), "127.0.0.1:1")
		if s.problem() != nil || !p.ours["127.0.0.1:1"] || p.ours[":1"] {
			t.Errorf("%v, tries %v", s.problem(), p.opened)
		}
		// Somebody else is in the way too: the old one is taken back, and not given up at each try.
		p.taken["0.0.0.0:1"] = true
		s.apply(t.Context(), "0.0.0.0:1")
		back := last
		s.retry(t.Context())
		if s.problem() == nil || !p.ours["127.0.0.1:1"] || last != back {
			t.Errorf("%v, tries %v", s.problem(), p.opened)
		}
		s.close()
	})
}

// TestAServerThatEndsByItselfIsMended: it is told, and begins again.
func TestAServerThatEndsByItselfIsMended(t *testing.T) {
	for _, why := range []error{errors.New("accept: too bad"), nil} {
		synctest.Test(t, func(t *testing.T) {
			var p quay
			var last *portServer
			s := p.slot(&last)
			s.apply(t.Context(), ":1")
			last.fails <- why
			synctest.Wait()
			want := "rtsp: " + errSilent.Error()
			if why != nil {
				want = "rtsp: " + why.Error()
			}
			if err := s.problem(); err == nil || err.Error() != want || p.logged("level=ERROR") != 1 {
				t.Errorf("problem %v, log\n%s", err, &p.log)
			}
			s.retry(t.Context())
			if s.problem() != nil || !p.ours[":1"] || !slices.Equal(p.opened, []string{":1", ":1"}) {
				t.Errorf("%v, tries %v", s.problem(), p.opened)
			}
			s.close()
			if s.problem() != nil {
				t.Errorf("who is closed has ended by himself: %v", s.problem())
			}
		})
	}
}
