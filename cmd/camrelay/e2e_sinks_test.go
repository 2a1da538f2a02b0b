package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

// freePort returns a port that nothing listens on.
func freePort(t testing.TB, network string) string {
	t.Helper()
	return strconv.Itoa(mediatest.FreePort(t, network))
}

// rtmpSink is nginx with its RTMP module; it records what is published.
type rtmpSink struct {
	t    testing.TB
	dir  string
	port string
	cmd  *exec.Cmd
}

const nginxConf = `load_module %[1]s/ngx_rtmp_module.so;
daemon off; master_process off; user root; worker_processes 1; error_log %[2]s/error.log info; pid %[2]s/nginx.pid;
events { worker_connections 256; }
rtmp { access_log %[2]s/access.log; server { listen 127.0.0.1:%[3]s; chunk_size 4096;
  %[4]s } }
`

// recorder is the application of nginx that records.
const recorder = "application live { live on; record all; record_path %s; record_unique off; record_append on; }"

func startRTMPSink(t testing.TB) *rtmpSink {
	t.Helper()
	return startRTMPSinkOf(t, func(dir string) string { return fmt.Sprintf(recorder, dir) })
}

// startRTMPSinkOf runs nginx with the applications given, for a directory of its own.
func startRTMPSinkOf(t testing.TB, applications func(dir string) string) *rtmpSink {
	t.Helper()
	s := &rtmpSink{t: t, dir: t.TempDir(), port: freePort(t, "tcp")}
	version, err := exec.Command("nginx", "-V").CombinedOutput()
	if err != nil {
		t.Fatalf("nginx is missing, run make test once: %v", err)
	}
	modules := regexp.MustCompile(`--modules-path=(\S+)`).FindSubmatch(version)
	if modules == nil {
		t.Fatal("nginx does not tell where its modules are")
	}
	conf := fmt.Sprintf(nginxConf, modules[1], s.dir, s.port, applications(s.dir))
	if err := os.WriteFile(filepath.Join(s.dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *rtmpSink) start() {
	s.t.Helper()
	s.cmd = exec.Command("nginx", "-e", filepath.Join(s.dir, "error.log"), "-p", s.dir,
		"-c", filepath.Join(s.dir, "nginx.conf"))
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, 10*time.Second, "nginx listens", func() error {
		c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err == nil {
			c.Close()
		}
		return err
	})
}

func (s *rtmpSink) url(key string) string { return "rtmp://127.0.0.1:" + s.port + "/live/" + key }

// recording returns the path of what was published under key.
func (s *rtmpSink) recording(key string) string { return filepath.Join(s.dir, key+".flv") }

func (s *rtmpSink) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// srtSink is srt-live-transmit as a listener; what arrives goes to a file.
type srtSink struct {
	t          testing.TB
	port, path string
	cmd        *exec.Cmd
}

func startSRTSink(t testing.TB) *srtSink {
	t.Helper()
	s := &srtSink{t: t, port: freePort(t, "udp"), path: filepath.Join(t.TempDir(), "sink.ts")}
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start lets the sink listen, again if it was killed; it appends to its file.
func (s *srtSink) start() {
	s.t.Helper()
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	s.cmd = exec.Command("srt-live-transmit", "-q", "-a:yes", "srt://127.0.0.1:"+s.port+"?mode=listener", "file://con")
	s.cmd.Stdout = f
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("srt-live-transmit is missing, run make test once: %v", err)
	}
}

// finish lets the sink write out what it has buffered, and end.
func (s *srtSink) finish() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	s.cmd.Wait()
}

func (s *srtSink) url() string { return "srt://127.0.0.1:" + s.port }

func (s *srtSink) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}
