package main

import (
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tapMode is what a tap does with who calls.
type tapMode int

const (
	tapPass tapMode = iota // hands everything on
	tapCut                 // hangs up at once
	tapMute                // takes the call and says nothing
)

// tap stands before a sink, counts who calls, and misbehaves on request.
type tap struct {
	t    testing.TB
	addr string
	to   string // the sink

	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex // guards what follows
	mode  tapMode
	calls []time.Time
	conns map[net.Conn]bool
}

// startTap listens on a loopback port in front of a sink.
func startTap(t testing.TB, to string) *tap {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startTapOn(t, ln, to)
}

func startTapOn(t testing.TB, ln net.Listener, to string) *tap {
	s := &tap{t: t, addr: ln.Addr().String(), to: to, ln: ln, conns: make(map[net.Conn]bool)}
	s.wg.Go(s.serve)
	t.Cleanup(func() {
		s.ln.Close()
		s.hangUp()
		s.wg.Wait()
	})
	return s
}

func (s *tap) url(key string) string { return "rtmp://" + s.addr + "/live/" + key }

func (s *tap) serve() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.calls = append(s.calls, time.Now())
		mode := s.mode
		s.conns[conn] = true
		s.mu.Unlock()
		switch mode {
		case tapCut:
			s.drop(conn)
		case tapPass:
			s.wg.Go(func() { s.pass(conn) })
		case tapMute:
		}
	}
}

func (s *tap) drop(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// pass copies both ways until either side has had enough.
func (s *tap) pass(conn net.Conn) {
	defer s.drop(conn)
	sink, err := net.Dial("tcp", s.to)
	if err != nil {
		return
	}
	s.wg.Go(func() {
		_, _ = io.Copy(conn, sink) // the other direction ends both
		conn.Close()
	})
	_, _ = io.Copy(sink, conn)
	sink.Close()
}

// set changes what becomes of those who call from now on.
func (s *tap) set(mode tapMode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
}

// hangUp ends all calls.
func (s *tap) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
}

// called returns when somebody has called.
func (s *tap) called() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.calls...)
}

// listenIn listens in a network namespace of ip-netns(8).
func listenIn(t testing.TB, namespace, addr string) net.Listener {
	t.Helper()
	type answer struct {
		ln  net.Listener
		err error
	}
	done := make(chan answer)
	go func() {
		// The thread is not given back: it ends in the other namespace.
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
		}
		if err != nil {
			done <- answer{nil, err}
			return
		}
		ln, err := net.Listen("tcp4", addr)
		done <- answer{ln, err}
	}()
	a := <-done
	if a.err != nil {
		t.Fatalf("cannot listen in another network namespace: %v", a.err)
	}
	return a.ln
}
