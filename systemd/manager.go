// Package systemd speaks to the service manager that has started this process:
// it says when the service is ready, how it is and that it is alive, and reads
// what the manager has decided: the watchdog's time, the limit of memory. Sockets
// are held by both. It watches nothing itself, and knows nothing of the hardware's
// watchdog. Where no manager has started the process, everything does nothing.
//
// The methods of a Manager may be called from any goroutine.
package systemd

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// maxStatus bounds a line of status in bytes: it is shown in one.
const maxStatus = 300

// Manager is the service manager. The zero Manager stands for none.
// Specification: sd_notify(3).
type Manager struct {
	socket   string // empty: nobody listens
	watchdog time.Duration

	mu     sync.Mutex // guards status
	status string     // as it was told last
}

// New returns the manager that the environment names, one that does nothing if
// it names none. The error is that of a watchdog's time that is no number; the
// manager is usable nevertheless.
func New() (*Manager, error) {
	m := &Manager{socket: os.Getenv("NOTIFY_SOCKET")}
	if m.socket == "" {
		return m, nil
	}
	var err error
	if m.watchdog, err = daemon.SdWatchdogEnabled(false); err != nil {
		return m, fmt.Errorf("cannot read the time of the watchdog: %w", err)
	}
	return m, nil
}

// Present tells whether there is a manager.
func (m *Manager) Present() bool { return m.socket != "" }

// Watchdog returns the longest time between two calls of Alive, after which the
// manager ends this process; 0 if it does not wait for them.
func (m *Manager) Watchdog() time.Duration { return m.watchdog }

// Ready tells that the service has started, or has taken over an edit.
func (m *Manager) Ready() error { return m.send(daemon.SdNotifyReady) }

// Reloading tells that an edit is being taken over; Ready follows.
func (m *Manager) Reloading() error {
	return m.send(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping tells that the service stops.
func (m *Manager) Stopping() error { return m.send(daemon.SdNotifyStopping) }

// Alive tells that the service makes progress.
func (m *Manager) Alive() error { return m.send(daemon.SdNotifyWatchdog) }

// Status tells how the service is, in a line for people, if that is news.
func (m *Manager) Status(text string) error {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxStatus {
		text = strings.ToValidUTF8(text[:maxStatus], "") + "…"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.status == text {
		return nil
	}
	if err := m.send("STATUS=" + text); err != nil {
		return err
	}
	m.status = text
	return nil
}

// sendTimeout bounds how long a manager that does not read holds the caller up.
const sendTimeout = 2 * time.Second

// send sends assignments, one a line, and control messages with them.
func (m *Manager) send(state string, control ...byte) error {
	if m.socket == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open a socket to the service manager: %w", err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(sendTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
		return fmt.Errorf("cannot limit the time of the service manager: %w", err)
	}
	to := &unix.SockaddrUnix{Name: m.socket}
	if err := unix.Sendmsg(fd, []byte(state), control, to, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("cannot tell the service manager: %w", err)
	}
	return nil
}
