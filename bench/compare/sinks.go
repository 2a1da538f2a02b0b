package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// sinks are the far ends of the pushes: nginx for RTMP, one srt-live-transmit
// per SRT stream.
type sinks struct {
	rtmp string
	srt  []string
	cmds []*exec.Cmd
}

const nginxConf = `load_module %[1]s/ngx_rtmp_module.so;
daemon off; master_process off; user root; worker_processes 1; error_log %[2]s/error.log crit; pid %[2]s/nginx.pid;
events { worker_connections 1024; }
rtmp { server { listen %[3]s; chunk_size 4096; application live { live on; record off; } } }
`

func newSinks(ctx context.Context, out, dir string, n int) (*sinks, error) {
	s := &sinks{}
	var err error
	switch out {
	case "rtmp":
		err = s.startRTMP(ctx, dir)
	case "srt":
		err = s.startSRT(ctx, n)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// freeAddr returns a loopback address that nothing uses now.
func freeAddr(ctx context.Context, network string) (string, error) {
	var lc net.ListenConfig
	if network == "udp" {
		c, err := lc.ListenPacket(ctx, network, "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		return c.LocalAddr().String(), c.Close()
	}
	ln, err := lc.Listen(ctx, network, "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

func (s *sinks) startRTMP(ctx context.Context, dir string) error {
	version, err := exec.CommandContext(ctx, "nginx", "-V").CombinedOutput()
	if err != nil {
		return fmt.Errorf("nginx with its RTMP module is needed: %w", err)
	}
	modules := regexp.MustCompile(`--modules-path=(\S+)`).FindSubmatch(version)
	if modules == nil {
		return fmt.Errorf("nginx does not tell where its modules are")
	}
	if s.rtmp, err = freeAddr(ctx, "tcp"); err != nil {
		return err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, modules[1], dir, s.rtmp), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "nginx", "-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", conf)
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmds = append(s.cmds, cmd)
	return s.await(ctx)
}

// await waits until the RTMP sink accepts connections.
func (s *sinks) await(ctx context.Context) error {
	var d net.Dialer
	for range 100 {
		c, err := d.DialContext(ctx, "tcp", s.rtmp)
		if err == nil {
			return c.Close()
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("nginx does not listen")
}

func (s *sinks) startSRT(ctx context.Context, n int) error {
	for range n {
		addr, err := freeAddr(ctx, "udp")
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "srt-live-transmit", "-q", "-a:yes", "srt://"+addr+"?mode=listener", "file://con")
		if err := cmd.Start(); err != nil {
			return err
		}
		s.srt = append(s.srt, "srt://"+addr)
		s.cmds = append(s.cmds, cmd)
	}
	return nil
}

// url returns where stream i of an output goes, empty if it is no push.
func (s *sinks) url(out string, i int) string {
	switch out {
	case "rtmp":
		return fmt.Sprintf("rtmp://%s/live/s%d", s.rtmp, i)
	case "srt":
		return s.srt[i]
	}
	return ""
}

func (s *sinks) stop() { stopAll(s.cmds...) }
