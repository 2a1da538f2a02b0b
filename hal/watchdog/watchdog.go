// Package watchdog reads the hardware's watchdogs and, when told to, feeds one. As
// a rule that is the service manager's: it feeds the hardware, and this process
// feeds it. Only where the manager leaves the device alone may Open take it.
package watchdog

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/hal"
)

// Device is one watchdog.
type Device struct {
	Name     string `json:"name"` // watchdog0
	Identity string `json:"identity"`
	Active   bool   `json:"active"` // somebody feeds it
	Timeout  int64  `json:"timeout_seconds,omitempty"`
	NoWayOut bool   `json:"no_way_out,omitempty"` // it cannot be disarmed
	// Reset tells that the board was started by this watchdog.
	Reset bool `json:"reset,omitempty"`
}

// cardReset is the bit of bootstatus for a start by the watchdog.
const cardReset = 0x20 // WDIOF_CARDRESET of linux/watchdog.h

// Read reads all watchdogs.
//
// Files: /sys/class/watchdog/watchdog*/*;
// Documentation/ABI/testing/sysfs-class-watchdog of the kernel.
func Read(b *hal.Board) []Device {
	const class = "class/watchdog/"
	var all []Device
	for _, name := range b.Sys.List(class) {
		dir := class + name + "/"
		d := Device{Name: name, Identity: b.Sys.Line(dir + "identity"), Active: b.Sys.Line(dir+"state") == "active"}
		if n := b.Sys.Int(dir + "timeout"); n != nil && *n > 0 {
			d.Timeout = *n
		}
		if n := b.Sys.Int(dir + "nowayout"); n != nil {
			d.NoWayOut = *n == 1
		}
		if n := b.Sys.Int(dir + "bootstatus"); n != nil {
			d.Reset = *n&cardReset != 0
		}
		all = append(all, d)
	}
	return all
}

// Judge tells what is to be known: watchdog_reset.
func Judge(all []Device) []hal.Fault {
	for _, d := range all {
		if d.Reset {
			return []hal.Fault{{Name: "watchdog_reset", Severity: hal.Notice, Text: fmt.Sprintf(
				"the board was restarted by its watchdog (%s): it had hung", hal.Line([]byte(d.Identity)))}}
		}
	}
	return nil
}

// kernel is what is asked of an open device.
type kernel interface {
	setTimeout(seconds int) (int, error)
	write(text string) error
	close() error
}

// Dog is a watchdog that is armed: if it is not fed within its timeout, the board
// starts anew. It belongs to one goroutine.
type Dog struct {
	device  kernel
	timeout time.Duration
}

// leastTimeout is what whoever feeds it each five seconds can keep.
const leastTimeout = 15 * time.Second

// Open arms the watchdog of that name, watchdog0 for example, which nobody else
// may have open. The hardware may round timeout, and has its own if it cannot do
// that long; one of less than 15 s is left alone.
// Specification: https://docs.kernel.org/watchdog/watchdog-api.html
func Open(b *hal.Board, name string, timeout time.Duration) (*Dog, error) {
	if name != path.Base(name) || !strings.HasPrefix(name, "watchdog") {
		return nil, fmt.Errorf("cannot arm the watchdog: %q is no name of one", name)
	}
	f, err := b.Dev.OpenFile(name, os.O_WRONLY, func(f *os.File) {
		_ = (&Dog{device: device{f}}).Disarm() // opening has armed it, and nobody would feed it
	})
	if err != nil {
		return nil, fmt.Errorf("cannot arm the watchdog: %w", err)
	}
	return arm(device{f}, timeout)
}

func arm(k kernel, timeout time.Duration) (*Dog, error) {
	seconds, err := k.setTimeout(int(math.Ceil(timeout.Seconds())))
	if got := time.Duration(seconds) * time.Second; err == nil && got < min(timeout, leastTimeout) {
		err = fmt.Errorf("it is %v, too short to be fed in time", got)
	}
	if err != nil {
		d := Dog{device: k}
		_ = d.Disarm() // opening has armed it
		return nil, fmt.Errorf("cannot set the time of the watchdog: %w", err)
	}
	return &Dog{k, time.Duration(seconds) * time.Second}, nil
}

// Timeout returns the time within which Feed is to be called.
func (d *Dog) Timeout() time.Duration { return d.timeout }

// Feed tells that all is well.
func (d *Dog) Feed() error {
	if err := d.device.write("\n"); err != nil {
		return fmt.Errorf("cannot feed the watchdog: %w", err)
	}
	return nil
}

// Disarm ends it: the board goes on without a watchdog. Without it, also when the
// process dies, the board starts anew.
func (d *Dog) Disarm() error {
	err := d.device.write("V") // the magic close
	if failed := d.device.close(); err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("cannot disarm the watchdog: %w", err)
	}
	return nil
}

// device is the real one.
type device struct{ f *os.File }

func (d device) setTimeout(seconds int) (int, error) {
	err := unix.IoctlSetPointerInt(int(d.f.Fd()), unix.WDIOC_SETTIMEOUT, seconds)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
		return 0, err // else it cannot do so long, or has one for good
	}
	return unix.IoctlGetInt(int(d.f.Fd()), unix.WDIOC_GETTIMEOUT)
}

func (d device) write(text string) error {
	_, err := d.f.WriteString(text)
	return err
}

func (d device) close() error { return d.f.Close() }
