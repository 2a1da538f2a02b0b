package mediatest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Line is a network namespace of ip-netns(8) and the link to it.
type Line struct {
	Space     string // name of the namespace
	Near, Far string // addresses of the link's ends, the far one in the namespace

	device string // the far end
}

// NewLine makes a line for the length of the test, which needs root. A test
// program has one at a time.
func NewLine(tb testing.TB) *Line {
	tb.Helper()
	id := os.Getpid() % 10000
	l := &Line{
		Space: fmt.Sprintf("camrelay%d", id), device: fmt.Sprintf("crf%d", id),
		Near: fmt.Sprintf("10.%d.%d.1", 64+id/256, id%256), Far: fmt.Sprintf("10.%d.%d.2", 64+id/256, id%256),
	}
	near := fmt.Sprintf("crn%d", id)
	ip(tb, "netns", "add", l.Space)
	tb.Cleanup(func() {
		ctx := context.WithoutCancel(tb.Context())
		if out, err := exec.CommandContext(ctx, "ip", "netns", "delete", l.Space).CombinedOutput(); err != nil {
			tb.Errorf("%v\n%s", err, out)
		}
	})
	ip(tb, "link", "add", near, "type", "veth", "peer", "name", l.device, "netns", l.Space)
	ip(tb, "address", "add", l.Near+"/30", "dev", near)
	ip(tb, "link", "set", near, "up")
	ip(tb, "-n", l.Space, "address", "add", l.Far+"/30", "dev", l.device)
	ip(tb, "-n", l.Space, "link", "set", "lo", "up")
	l.Set(tb, "up")
	return l
}

// Set takes the far end up or down.
func (l *Line) Set(tb testing.TB, state string) {
	tb.Helper()
	ip(tb, "-n", l.Space, "link", "set", l.device, state)
}

// Route has the far end send to a network by the line.
func (l *Line) Route(tb testing.TB, network string) {
	tb.Helper()
	ip(tb, "-n", l.Space, "route", "add", network, "dev", l.device)
}

// Command returns a command that runs at the far end until ctx is done.
func (l *Line) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.Space, name}, args...)...)
}

func ip(tb testing.TB, args ...string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		tb.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
