package systemd

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// holder is a service manager that holds sockets.
type holder struct {
	*fake

	mu   sync.Mutex // guards held
	held map[string]*os.File
}

func newHolder(t *testing.T) *holder {
	t.Helper()
	h := &holder{fake: newFake(t), held: make(map[string]*os.File)}
	var wg sync.WaitGroup
	wg.Go(h.run)
	t.Cleanup(func() {
		h.conn.Close()
		wg.Wait()
	})
	return h
}

// run does what the manager is told until its socket is closed.
func (h *holder) run() {
	buf, control := make([]byte, 4096), make([]byte, 256)
	for {
		n, oobn, _, _, err := h.conn.ReadMsgUnix(buf, control)
		if err != nil {
			return
		}
		files, err := filesOf(control[:oobn])
		if err != nil {
			h.t.Error(err)
		}
		h.obey(string(buf[:n]), files)
	}
}

func filesOf(control []byte) (files []*os.File, err error) {
	msgs, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	for _, msg := range msgs {
		fds, err := unix.ParseUnixRights(&msg)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "handed in"))
		}
	}
	return files, nil
}

func (h *holder) obey(order string, files []*os.File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first, name, _ := strings.Cut(order, "\nFDNAME=")
	switch {
	case first == "FDSTORE=1" && len(files) == 1 && name != "" && !strings.Contains(name, ":"):
		h.held[name] = files[0]
		return
	case first == "FDSTOREREMOVE=1" && h.held[name] != nil:
		files = append(files, h.held[name])
		delete(h.held, name)
	case order == "BARRIER=1" && len(files) == 1:
	default:
		h.t.Errorf("told %q with %d files", order, len(files))
	}
	for _, f := range files {
		f.Close()
	}
}

// names returns what is held.
func (h *holder) names() (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.held {
		names = append(names, name)
	}
	return names
}

func newSockets(t *testing.T) *Sockets {
	t.Helper()
	m, err := New()
	must(t, err)
	return NewSockets(m, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// freePort returns a port that nobody has.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// calls tells whether somebody who calls is let in, or at least waits.
func calls(t *testing.T, addr string) bool {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
		return false
	}
	c.Close()
	return true
}

func TestASocketStaysOpenOverTheEndOfTheProcess(t *testing.T) {
	h := newHolder(t)
	s := newSockets(t)
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	ln, err := s.Listen(t.Context(), addr)
	must(t, err)
	must(t, s.manager.barrier())
	if got, want := fmt.Sprint(h.names()), "[kept-"+strings.Replace(addr, ":", "_", 1)+"]"; got != want {
		t.Errorf("the manager holds %s, want %s", got, want)
	}
	s.Leave()
	must(t, ln.Close())
	if !calls(t, addr) {
		t.Error("who calls after the end of the process is refused")
	}
}

func TestAnEditTakesASocketBackFromTheManager(t *testing.T) {
	h := newHolder(t)
	s := newSockets(t)
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	ln, err := s.Listen(t.Context(), addr)
	must(t, err)
	must(t, ln.Close())
	must(t, ln.Close()) // servers close twice
	if calls(t, addr) || len(h.names()) > 0 {
		t.Errorf("the port of a server that is switched off is open; the manager holds %q", h.names())
	}
	again, err := s.Listen(t.Context(), addr)
	must(t, err)
	must(t, again.Close())
}

func TestWhatIsNobodyElsesIsNotHandedIn(t *testing.T) {
	h := newHolder(t)
	s := newSockets(t)
	for _, addr := range []string{"127.0.0.1:0", fmt.Sprintf("localhost:%d", freePort(t))} {
		ln, err := s.Listen(t.Context(), addr)
		must(t, err)
		must(t, s.manager.barrier())
		if len(h.names()) > 0 {
			t.Errorf("%s: the manager holds %q", addr, h.names())
		}
		must(t, ln.Close())
	}
}

// takenOver is the environment that makes a test the process that comes next.
const takenOver = "CAMRELAY_TEST_TAKEN_OVER"

// TestTheNextProcessTakesTheSocketsOver starts itself as systemd would.
func TestTheNextProcessTakesTheSocketsOver(t *testing.T) {
	if addrs := os.Getenv(takenOver); addrs != "" {
		next(t, strings.Fields(addrs))
		return
	}
	h := newHolder(t)
	s := newSockets(t)
	var addrs []string
	var all []net.Listener
	for range 4 { // wanted, of a socket unit, wanted at all addresses, wanted no more
		addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		ln, err := s.Listen(t.Context(), addr)
		must(t, err)
		addrs, all = append(addrs, addr), append(all, ln)
	}
	must(t, s.manager.barrier())
	s.Leave()
	for _, ln := range all {
		must(t, ln.Close())
	}
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh",
		self, "-test.run=^"+t.Name()+"$", "-test.v")
	names := make([]string, len(addrs))
	h.mu.Lock()
	for i, addr := range addrs {
		names[i] = "kept-" + strings.Replace(addr, ":", "_", 1)
		cmd.ExtraFiles = append(cmd.ExtraFiles, h.held[names[i]])
		if i == 1 {
			delete(h.held, names[i]) // the unit holds it, not the store
			names[i] = "camrelay.socket"
		}
	}
	cmd.Env = append(os.Environ(), takenOver+"="+strings.Join(addrs, " "), "LISTEN_FDS=4",
		"LISTEN_FDNAMES="+strings.Join(names, ":"))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	h.mu.Unlock()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, addr := range addrs[2:] {
		if calls(t, addr) {
			t.Errorf("%s is still open, which the next process did not want", addr)
		}
	}
	if got := fmt.Sprint(h.names()); got != "["+names[0]+"]" {
		t.Errorf("the manager holds %s", got)
	}
}

// next is the process that comes next.
func next(t *testing.T, addrs []string) {
	t.Helper()
	s := newSockets(t)
	for i, addr := range addrs[:2] {
		var ln net.Listener
		for range i + 1 { // that of a unit as often as it is wanted
			var err error
			ln, err = s.Listen(t.Context(), addr)
			must(t, err)
			if !calls(t, addr) {
				t.Fatalf("%s is not open", addr)
			}
			c, err := ln.Accept()
			must(t, err)
			must(t, c.SetDeadline(time.Now().Add(time.Minute)))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			must(t, c.Close())
			if i == 1 {
				must(t, ln.Close())
			}
		}
	}
	_, port, err := net.SplitHostPort(addrs[2])
	must(t, err)
	wide, err := s.Listen(t.Context(), ":"+port)
	must(t, err)
	must(t, wide.Close())
	s.Settle()
	s.Leave()
}

func TestAddressesThatAreOne(t *testing.T) {
	for _, row := range []struct {
		name, a, b string
		want       bool
	}{
		{"all addresses, however written", ":80", "0.0.0.0:80", true},
		{"all addresses of both families", "[::]:80", "0.0.0.0:80", true},
		{"an address, mapped", "[::ffff:10.0.0.1]:80", "10.0.0.1:80", true},
		{"one of all", ":80", "127.0.0.1:80", false},
		{"another port", ":80", ":81", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, ok1 := literal(row.a)
			b, ok2 := literal(row.b)
			if !ok1 || !ok2 || same(a, b) != row.want {
				t.Errorf("%v %v: not %v", a, b, row.want)
			}
		})
	}
	for _, addr := range []string{"", "80", "box:80", ":http", ":0", "127.0.0.1:70000"} {
		if at, ok := literal(addr); ok {
			t.Errorf("%q is %v", addr, at)
		}
	}
}
