package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"camrelay/daemon/api"
	"camrelay/systemd"
)

// notes is a log that many write.
type notes struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (n *notes) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(b)
}

// has tells whether a line holds all of text.
func (n *notes) has(text ...string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(n.b.String()) {
		all := true
		for _, t := range text {
			all = all && strings.Contains(line, t)
		}
		if all {
			return true
		}
	}
	return false
}

// TestAPortThatIsTaken by another program is said wherever somebody looks, until it
// is free: nothing says that all is well. The socket answers meanwhile.
func TestAPortThatIsTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	told := listen(t)
	s := newSite(t, "")
	if s.opts.Manager, err = systemd.New(); err != nil {
		t.Fatal(err)
	}
	const text = "version: 1\naccess: {view: open}\nrtsp: {listen: \"\"}\nhttp: {listen: \"\"}\n" +
		"rtmp: {listen: \"\"}\nsrt: {listen: \"\"}\nmetrics: {listen: \"\"}\napi: {listen: %q}\n"
	if err := os.WriteFile(s.opts.ConfigFile, fmt.Appendf(nil, text, ln.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	var log notes
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, s.opts, slog.New(slog.NewTextHandler(&log, nil))) }()
	taken := fmt.Sprintf("api: %s is taken by another program", ln.Addr())
	expect(t, told, "READY=1", "STATUS=no cameras, config #1, "+taken)
	var st api.Status
	if err := json.Unmarshal([]byte(s.get("/v1/status")), &st); err != nil {
		t.Fatalf("the socket does not answer: %v", err)
	}
	if len(st.Config.Problems) != 1 || st.Config.Problems[0] != taken || st.Listeners["api"] != "" {
		t.Errorf("problems %q, listeners %v", st.Config.Problems, st.Listeners)
	}
	if text := s.get("/readyz"); !strings.Contains(text, "api does not listen") {
		t.Errorf("it is ready: %s", text)
	}
	const again = "a server runs as configured again"
	if !log.has("level=WARN", "configuration applied", taken) || !log.has("level=WARN", "camrelay runs", taken) ||
		log.has(again) {
		t.Errorf("logged %s", &log.b)
	}
	ln.Close()
	await(t, "it is ready", func() bool { return strings.Contains(s.get("/readyz"), `"ready"`) })
	if !log.has(again, "server=api") {
		t.Errorf("logged %s", &log.b)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestASocketThatIsTaken is left to who has it; one that nobody hears is not.
func TestASocketThatIsTaken(t *testing.T) {
	path := t.TempDir() + "/api.sock"
	first, err := listenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(t.Context(), path); err == nil || err.Error() != path+" is taken by another program" {
		t.Errorf("the second got %v", err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as by kill -9
	first.Close()
	next, err := listenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it is left: %v", err)
	}
}
