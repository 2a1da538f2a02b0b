package daemon

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"camrelay/daemon/api"
	"camrelay/media/mediatest"
)

// TestAPortThatIsTaken by another program is said wherever somebody looks, until it
// is free: nothing says that all is well. The socket answers meanwhile.
func TestAPortThatIsTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s, told := newManagedSite(t, "")
	const text = "version: 1\naccess: {view: open}\nrtsp: {listen: \"\"}\nhttp: {listen: \"\"}\n" +
		"rtmp: {listen: \"\"}\nsrt: {listen: \"\"}\nmetrics: {listen: \"\"}\napi: {listen: %q}\n"
	if err := os.WriteFile(s.opts.ConfigFile, fmt.Appendf(nil, text, ln.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	var log mediatest.Log
	s.startLogged(t, &log)
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
	if len(log.Lines("level=WARN", "configuration applied", taken)) == 0 ||
		len(log.Lines("level=WARN", "camrelay runs", taken)) == 0 || len(log.Lines(again)) > 0 {
		t.Errorf("logged %s", &log)
	}
	ln.Close()
	await(t, "it is ready", func() bool { return strings.Contains(s.get("/readyz"), `"ready"`) })
	if len(log.Lines(again, "server=api")) == 0 {
		t.Errorf("logged %s", &log)
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
