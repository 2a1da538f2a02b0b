package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"camrelay/daemon/config"
)

// TestTheDemoOpensItselfToThisMachine alone, unless it is told otherwise, and
// says who may watch.
func TestTheDemoOpensItselfToThisMachine(t *testing.T) {
	for host, says := range map[string]string{
		"127.0.0.1": "this machine alone (127.0.0.1)", "::1": "this machine alone (::1)",
		"0.0.0.0": "Anybody who reaches 0.0.0.0 may watch", "192.0.2.1": "Anybody who reaches 192.0.2.1",
	} {
		var out bytes.Buffer
		printDemo(console{out: &out}, host, "c.yaml")
		if !strings.Contains(out.String(), says) {
			t.Errorf("%s: %s", host, &out)
		}
		for _, output := range []string{
			":8888/gate/index.m3u8", " hls.m3u8", " ts.m3u8", "/gate/manifest.mpd", "/gate/mpegts", "/gate.flv",
			"/gate/keyframe.mp4", ":8554/gate", ":1935/gate", ":8890?streamid=gate",
		} {
			if !strings.Contains(out.String(), output) {
				t.Errorf("%s is not told of %s", host, output)
			}
		}
		if host == "::1" && !strings.Contains(out.String(), "http://[::1]:8888/") {
			t.Errorf("it tells %s", &out)
		}
	}
	dir := t.TempDir()
	if file, err := writeDemo(dir, "127.0.0.1:1", "::1"); err != nil {
		t.Error(err)
	} else if _, _, err := config.Load(config.Options{File: file}); err != nil {
		t.Errorf("it cannot listen at an address of IPv6: %v", err)
	}
	file, err := writeDemo(dir, "127.0.0.1:1", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(config.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{
		cfg.RTSP.Listen, cfg.HTTP.Listen, cfg.RTMP.Listen, cfg.SRT.Listen, cfg.API.Listen, cfg.Metrics.Listen,
	} {
		if !strings.HasPrefix(listen, "127.0.0.1:") {
			t.Errorf("it listens at %s", listen)
		}
	}
}

// TestANewBoxIsClosed: with the file of the package nobody on the network may
// watch or control.
func TestANewBoxIsClosed(t *testing.T) {
	main, err := filepath.Abs("../../rootfs/etc/camrelay/camrelay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(config.Options{File: main})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Access.View != config.ViewClosed || len(cfg.Users) > 0 {
		t.Errorf("%+v, %d users", cfg.Access, len(cfg.Users))
	}
	for _, listen := range []string{cfg.API.Listen, cfg.Metrics.Listen} {
		if !strings.HasPrefix(listen, "127.0.0.1:") {
			t.Errorf("it is controlled at %s", listen)
		}
	}
}
