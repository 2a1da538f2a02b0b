package systemd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// Sockets are those at which the service listens by TCP. The manager holds each
// of them as well, over the end of this process: who calls meanwhile, after a
// crash or during an upgrade, waits for the next one and is not refused. The
// sockets of a socket unit are among them. They may be used from any goroutine.
//
// Those of UDP are not: what a datagram belongs to has ended with the process.
// Specification: sd_pid_notify_with_fds(3), sd_listen_fds(3).
type Sockets struct {
	manager *Manager
	log     *slog.Logger

	mu      sync.Mutex // guards what follows
	waiting []socket   // handed over and not asked for
	leaving bool
}

// socket is one that the manager has handed over.
type socket struct {
	file *os.File
	name string // as the manager knows it
	addr netip.AddrPort
	unit bool // it is of a socket unit, which holds it for as long as it likes
}

// keptPrefix begins the names of the sockets that the service has handed in.
const keptPrefix = "kept-"

// resolve is how long the name of a host may take: whoever listens may be whoever
// feeds the watchdog.
const resolve = 2 * time.Second

// NewSockets takes over what the manager has handed to this process, once: the
// environment that tells of it is cleared. Without a manager m may be nil.
func NewSockets(m *Manager, log *slog.Logger) *Sockets {
	if m == nil {
		m = &Manager{}
	}
	s := &Sockets{manager: m, log: log}
	for _, file := range activation.Files(true) {
		addr, err := listensAt(file)
		if err != nil {
			log.Warn("the service manager has handed over what cannot be used", "name", file.Name(), "err", err)
			s.discard(socket{file: file, name: file.Name(), unit: !strings.HasPrefix(file.Name(), keptPrefix)})
			continue
		}
		s.waiting = append(s.waiting, socket{file, file.Name(), addr, !strings.HasPrefix(file.Name(), keptPrefix)})
	}
	return s
}

// listensAt returns where a file listens by TCP.
func listensAt(file *os.File) (netip.AddrPort, error) {
	ln, err := net.FileListener(file)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer ln.Close() // a copy
	tcp, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("it is %s, not TCP", ln.Addr().Network())
	}
	return tcp.AddrPort(), nil
}

// Listen listens at host:port by TCP: with the socket that the manager holds, or
// one that it holds from now on. One whose host is a name or whose port is 0 is
// nobody's but the process's. Closing the listener takes the socket back from the
// manager, unless Leave was called.
func (s *Sockets) Listen(ctx context.Context, address string) (net.Listener, error) {
	want, fixed := literal(address)
	if fixed {
		if ln, err := s.claim(want); ln != nil || err != nil {
			return ln, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, resolve)
	defer cancel()
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) && fixed && s.forget(want.Port()) {
		ln, err = lc.Listen(ctx, "tcp", address)
	}
	if err != nil || !fixed || !s.manager.Present() {
		return ln, err
	}
	tcp := ln.(*net.TCPListener)
	name := keptPrefix + strings.ReplaceAll(tcp.Addr().String(), ":", "_")
	if err := s.keep(tcp, name); err != nil {
		s.log.Warn("the service manager does not hold a socket", "addr", address, "err", err)
	}
	return &lasting{TCPListener: tcp, sockets: s, name: name}, nil
}

// literal reads host:port if its host is an address or empty, which is the
// unspecified address, and its port is fixed.
func literal(address string) (at netip.AddrPort, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return at, false
	}
	if host == "" {
		host = "::"
	}
	at, err = netip.ParseAddrPort(net.JoinHostPort(host, port))
	return at, err == nil && at.Port() != 0
}

// same tells whether to listen at a is to listen at b. Go listens at all
// addresses whichever of the unspecified ones it is told.
func same(a, b netip.AddrPort) bool {
	x, y := a.Addr().Unmap(), b.Addr().Unmap()
	return a.Port() == b.Port() && (x == y || x.IsUnspecified() && y.IsUnspecified())
}

// claim returns the socket that was handed over for an address, nil if there is
// none.
func (s *Sockets) claim(at netip.AddrPort) (net.Listener, error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.waiting, func(k socket) bool { return same(k.addr, at) })
	if i < 0 {
		s.mu.Unlock()
		return nil, nil
	}
	k := s.waiting[i]
	if !k.unit { // that of a unit can be claimed again and again
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	s.mu.Unlock()
	ln, err := net.FileListener(k.file)
	if err != nil {
		return nil, fmt.Errorf("cannot use the socket of the service manager: %w", err)
	}
	if k.unit {
		return ln, nil
	}
	if err := k.file.Close(); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return &lasting{TCPListener: ln.(*net.TCPListener), sockets: s, name: k.name}, nil
}

// forget gives up those nobody has asked for that have the port, perhaps at
// another address, and tells whether there were any.
func (s *Sockets) forget(port uint16) bool {
	return s.drop(func(k socket) bool { return k.addr.Port() == port })
}

// Settle gives up what nobody has asked for since the start.
func (s *Sockets) Settle() { s.drop(func(socket) bool { return true }) }

func (s *Sockets) drop(which func(socket) bool) bool {
	s.mu.Lock()
	var gone []socket
	s.waiting = slices.DeleteFunc(s.waiting, func(k socket) bool {
		out := !k.unit && which(k)
		if out {
			gone = append(gone, k)
		}
		return out
	})
	s.mu.Unlock()
	for _, k := range gone {
		s.discard(k)
	}
	return len(gone) > 0
}

// discard closes a socket here and there.
func (s *Sockets) discard(k socket) {
	_ = k.file.Close() // nobody has used it
	if k.unit {
		return
	}
	if err := s.release(k.name); err != nil {
		s.log.Warn("the service manager does not let go of a socket", "name", k.name, "err", err)
	}
}

// Leave makes what is closed from now on stay with the manager, for the process
// that comes next.
func (s *Sockets) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
}

// lasting is a listener whose socket the manager holds.
type lasting struct {
	*net.TCPListener

	sockets *Sockets
	name    string
	once    sync.Once
	err     error // of Close
}

// Close implements net.Listener.
func (k *lasting) Close() error {
	k.once.Do(func() {
		k.err = k.TCPListener.Close()
		k.sockets.mu.Lock()
		leaving := k.sockets.leaving
		k.sockets.mu.Unlock()
		if leaving {
			return
		}
		k.err = errors.Join(k.err, k.sockets.release(k.name))
	})
	return k.err
}

// keep hands a socket to the manager.
func (s *Sockets) keep(ln *net.TCPListener, name string) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	return s.manager.sendFile("FDSTORE=1\nFDNAME="+name, raw)
}

// release makes the manager let go of a socket, and returns when it has.
func (s *Sockets) release(name string) error {
	if err := s.manager.send("FDSTOREREMOVE=1\nFDNAME=" + name); err != nil {
		return err
	}
	return s.manager.barrier()
}

// barrier returns when the manager has done what it was told before. It closes
// the file that it is handed when its turn comes.
// Specification: sd_notify_barrier(3).
func (m *Manager) barrier() error {
	if m.socket == "" {
		return nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot wait for the service manager: %w", err)
	}
	defer r.Close()
	raw, err := w.SyscallConn()
	if err == nil {
		err = m.sendFile("BARRIER=1", raw)
	}
	if err := errors.Join(err, w.Close(), r.SetReadDeadline(time.Now().Add(sendTimeout))); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot wait for the service manager: %w", err)
	}
	return nil
}

// sendFile sends assignments together with a file.
func (m *Manager) sendFile(state string, raw syscall.RawConn) error {
	var err error
	if e := raw.Control(func(fd uintptr) { err = m.send(state, unix.UnixRights(int(fd))...) }); e != nil {
		return e
	}
	return err
}
