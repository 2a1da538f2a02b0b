package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fake is a service manager that keeps what it is told.
type fake struct {
	t    *testing.T
	conn *net.UnixConn
}

func newFake(t *testing.T) *fake {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return &fake{t, conn}
}

// next returns what it was told next.
func (f *fake) next() string {
	f.t.Helper()
	buf := make([]byte, 4096)
	if err := f.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		f.t.Fatal(err)
	}
	n, err := f.conn.Read(buf)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(buf[:n])
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsTold(t *testing.T) {
	f := newFake(t)
	m, err := New()
	must(t, err)
	if !m.Present() {
		t.Error("the manager is not seen")
	}
	for _, row := range []struct {
		name string
		tell func() error
		want string
	}{
		{"it is ready", m.Ready, "READY=1"},
		{"it is alive", m.Alive, "WATCHDOG=1"},
		{"how it is", func() error { return m.Status("1/2 cameras warm") }, "STATUS=1/2 cameras warm"},
		{
			"a line that is none stays one, and does not become an order",
			func() error { return m.Status("cold\nREADY=1") }, "STATUS=cold READY=1",
		},
		{
			"a long line is cut between its letters",
			func() error { return m.Status(strings.Repeat("ä", 200)) }, "STATUS=" + strings.Repeat("ä", 150) + "…",
		},
		{"it stops", m.Stopping, "STOPPING=1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			must(t, row.tell())
			if got := f.next(); got != row.want {
				t.Errorf("told %q, want %q", got, row.want)
			}
		})
	}
}

func TestReloadingTellsWhen(t *testing.T) {
	f := newFake(t)
	m, err := New()
	must(t, err)
	must(t, m.Reloading())
	first, second, _ := strings.Cut(strings.TrimSpace(f.next()), "\n")
	usec, ok := strings.CutPrefix(second, "MONOTONIC_USEC=")
	if n, err := strconv.ParseInt(usec, 10, 64); first != "RELOADING=1" || !ok || err != nil || n <= 0 {
		t.Errorf("told %q and %q", first, second)
	}
}

func TestStatusIsToldOnce(t *testing.T) {
	f := newFake(t)
	m, err := New()
	must(t, err)
	for range 3 {
		must(t, m.Status("well"))
	}
	must(t, m.Status("unwell"))
	if got := f.next() + " " + f.next(); got != "STATUS=well STATUS=unwell" {
		t.Errorf("told %q", got)
	}
}

func TestWithoutAManagerNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "30000000") // of the one that has started the shell
	m, err := New()
	must(t, err)
	if m.Present() || m.Watchdog() != 0 {
		t.Errorf("present %v, watchdog %v", m.Present(), m.Watchdog())
	}
	for _, tell := range []func() error{m.Ready, m.Reloading, m.Stopping, m.Alive} {
		must(t, tell())
	}
	must(t, m.Status("well"))
}

func TestAManagerThatHasGone(t *testing.T) {
	f := newFake(t)
	m, err := New()
	must(t, err)
	f.conn.Close()
	if err := m.Status("well"); err == nil {
		t.Error("nobody was told, and it is no error")
	}
}

func TestWatchdog(t *testing.T) {
	for _, row := range []struct {
		name, usec, pid string
		want            time.Duration
		bad             bool
	}{
		{"there is none", "", "", 0, false},
		{"there is one", "30000000", "", 30 * time.Second, false},
		{"it is for this process", "500000", fmt.Sprint(os.Getpid()), time.Second / 2, false},
		{"it is for another", "500000", "1", 0, false},
		{"its time is no number", "soon", "", 0, true},
		{"its time is none", "0", "", 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			newFake(t)
			t.Setenv("WATCHDOG_USEC", row.usec)
			t.Setenv("WATCHDOG_PID", row.pid)
			m, err := New()
			if m == nil || m.Watchdog() != row.want || (err != nil) != row.bad {
				t.Errorf("%v, error %v", m.Watchdog(), err)
			}
		})
	}
}
