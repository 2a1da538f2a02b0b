package accept

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestPlacesAreTakenAndLeft(t *testing.T) {
	p := NewPlaces(Limits{All: 6, FromOne: 2})
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	local, socket := netip.MustParseAddr("::1"), netip.Addr{}
	leave := func() {}
	var got []error
	for _, from := range []netip.Addr{one, one, one, other, local, local, socket, local} {
		left, err := p.Take(from)
		if got = append(got, err); from == one && err == nil {
			leave = left
		}
	}
	if want := []error{nil, nil, ErrFromOne, nil, nil, nil, nil, ErrFull}; !slices.Equal(got, want) {
		t.Errorf("came in: %v, want %v", got, want)
	}
	leave()
	leave() // does nothing
	if n := p.Taken(); n != 5 {
		t.Errorf("%d places are taken after one of 6 was left", n)
	}
	if _, err := p.Take(one); err != nil {
		t.Errorf("a place that was left cannot be taken: %v", err)
	}
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// isClosed tells whether the other side has closed a connection.
func isClosed(t *testing.T, c net.Conn) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

func TestOneTooManyIsClosedAndCounted(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			var lc net.ListenConfig
			inner, err := lc.Listen(t.Context(), network, address)
			if err != nil {
				t.Fatal(err)
			}
			refused := make(chan struct{}, 4)
			l := New(inner, Limits{All: 1, FromOne: 1}, func() { refused <- struct{}{} })
			defer l.Close()
			accepted := make(chan net.Conn)
			go func() {
				defer close(accepted)
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					accepted <- c
				}
			}()
			dial(t, l.Addr())
			first := <-accepted
			if _, ok := first.(io.ReaderFrom); ok != (network == "tcp") {
				t.Errorf("sendfile: %v", ok)
			}
			if !isClosed(t, dial(t, l.Addr())) {
				t.Error("one too many was let in")
			}
			<-refused
			first.Close()
			first.Close() // leaves once
			dial(t, l.Addr())
			second := <-accepted
			if !isClosed(t, dial(t, l.Addr())) {
				t.Error("closing twice has made two places")
			}
			second.Close()
			l.Close()
			if _, more := <-accepted; more {
				t.Error("it goes on after Close")
			}
		})
	}
}

// scarce is a listener whose process has no file descriptors.
type scarce struct {
	net.Listener

	left  int
	after error
}

func (s *scarce) Accept() (net.Conn, error) {
	if s.left--; s.left >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return nil, s.after
}

func TestALackOfDescriptorsPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := New(&scarce{left: 5, after: net.ErrClosed}, Limits{All: 1}, nil).Accept()
		if took := time.Since(began); !errors.Is(err, net.ErrClosed) || took != 5*pause {
			t.Errorf("%v after %v", err, took)
		}
	})
}
