package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"camrelay/daemon"
	"camrelay/media"
	"camrelay/media/testcam"
)

// demoConfig has two cameras, one of them with a password; %s are the camera
// server's address and the directory of its secret.
const demoConfig = `version: 1
access: {view: open}
rtsp: {listen: "%[3]s:8554"}
rtmp: {listen: "%[3]s:1935"}
srt: {listen: "%[3]s:8890"}
http: {listen: "%[3]s:8888"}
api: {listen: "127.0.0.1:9997"}
cameras:
  gate:
    title: Front gate
    url: rtsp://%[1]s/gate
    username: demo
    password_file: %[2]s/password
    sub: {url: "rtsp://%[1]s/gate_sub"}
  yard:
    title: Back yard
    url: rtsp://%[1]s/yard
    username: demo
    password_file: %[2]s/password
`

// demoPassword protects the synthetic cameras, so that the demo shows how
// credentials are given.
const demoPassword = "p@ss:w/rd"

func setupDemo(fs *flag.FlagSet) runner {
	host := fs.String("host", "127.0.0.1", "`address` for viewers; 0.0.0.0 lets the LAN in")
	return func(ctx context.Context, c console, _ []string) error { return runDemo(ctx, c, *host) }
}

func runDemo(ctx context.Context, c console, host string) error {
	dir, err := os.MkdirTemp(memoryDir(), "camrelay-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log := slog.New(slog.NewTextHandler(c.err, nil))
	cams := testcam.New(testcam.Config{
		Listen: "127.0.0.1:0", Auth: testcam.AuthDigestSHA256, User: "demo", Password: media.Secret(demoPassword),
		Cameras: testcam.DemoCameras("gate", "yard"),
	}, log)
	if err := cams.Listen(); err != nil {
		return err
	}
	config, err := writeDemo(dir, cams.Addr(), host)
	if err != nil {
		return err
	}
	camCtx, stopCams := context.WithCancel(context.WithoutCancel(ctx)) // they see the daemon's goodbye
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := cams.Run(camCtx); err != nil && camCtx.Err() == nil {
			log.Error("synthetic cameras ended", "err", err)
		}
	})
	defer wg.Wait()
	defer stopCams()
	printDemo(c, host, config)
	return daemon.Run(ctx, daemon.Options{
		ConfigFile: config, ConfigDirs: []string{filepath.Join(dir, "conf.d")}, StateDir: filepath.Join(dir, "state"),
		RuntimeDir: filepath.Join(dir, "run"), Version: version,
	}, log)
}

// memoryDir returns a tmpfs if the system has the usual one, else the default
// place for temporary files.
func memoryDir() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func writeDemo(dir, cameras, host string) (config string, err error) {
	if net.ParseIP(host) == nil {
		return "", fmt.Errorf("host %q is not an IP address", host)
	}
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte(demoPassword), 0o600); err != nil {
		return "", err
	}
	config = filepath.Join(dir, "camrelay.yaml")
	return config, os.WriteFile(config, fmt.Appendf(nil, demoConfig, cameras, dir, inURL(host)), 0o600)
}

// inURL returns an IP address as it stands before a port.
func inURL(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func printDemo(c console, host, config string) {
	who := "Nobody is asked for a password; it listens on this machine alone (" + host + ")."
	if !net.ParseIP(host).IsLoopback() {
		who = "Anybody who reaches " + host + " may watch without a password."
	}
	if net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	fmt.Fprintf(c.out, `
camrelay demo: two synthetic cameras. Open

  page   http://%[1]s:8888/
  HLS    http://%[1]s:8888/gate/index.m3u8   (also gate_sub, yard; hls.m3u8 without low latency, ts.m3u8 of MPEG-TS)
  DASH   http://%[1]s:8888/gate/manifest.mpd
  RTSP   rtsp://%[1]s:8554/gate
  RTMP   rtmp://%[1]s:1935/gate
  SRT    srt://%[1]s:8890?streamid=gate
  TS     http://%[1]s:8888/gate/mpegts
  FLV    http://%[1]s:8888/gate.flv
  MP4    http://%[1]s:8888/gate/keyframe.mp4   (newest key frame)
  API    http://127.0.0.1:9997/v1/status
  Prometheus   http://127.0.0.1:9998/metrics

%[3]s
The configuration is %[2]s: edit it and watch. Ctrl-C ends the demo.

`, inURL(host), config, who)
}
