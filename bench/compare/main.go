// Command compare measures what camrelay costs beside "ffmpeg -c copy": both
// pull the same synthetic cameras at the same time and feed the same outputs,
// and the CPU seconds of their processes are taken from /proc. It is a
// yardstick for people; it asserts nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"camrelay/media/testcam"
)

// run is one comparison.
type run struct {
	binary string
	n      int
	window time.Duration
	dir    string
	cams   *testcam.Server
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := compare(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	binary := fs.String("camrelay", "build/camrelay", "`path` of the daemon")
	n := fs.Int("n", 4, "`number` of cameras, 720p25 with AAC")
	window := fs.Duration("window", 15*time.Second, "`time` over which CPU is measured")
	outs := fs.String("out", "warm,hls,rtmp,srt", "outputs to compare")
	if err := fs.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/dev/shm", "camrelay-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var names []string
	for i := range *n {
		names = append(names, fmt.Sprintf("cam%d", i))
	}
	cams := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: testcam.DemoCameras(names...)},
		slog.New(slog.DiscardHandler))
	if err := cams.Listen(); err != nil {
		return err
	}
	camCtx, stopCams := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- cams.Run(camCtx) }()
	defer func() {
		stopCams()
		if err := <-ended; err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "compare: cameras:", err)
		}
	}()
	r := run{binary: *binary, n: *n, window: *window, dir: dir, cams: cams}
	return r.all(ctx, strings.Split(*outs, ","), os.Stdout)
}

// all measures each output and prints a table.
func (r run) all(ctx context.Context, outs []string, w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "output\tcamrelay ms/s\tffmpeg ms/s\tratio\tcamrelay MiB\tffmpeg MiB\tcameras")
	for _, out := range outs {
		ours, theirs, err := r.one(ctx, out)
		if err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%d\n", out, ours.ms, theirs.ms, ours.ms/theirs.ms,
			ours.mib, theirs.mib, r.n)
	}
	return t.Flush()
}

// one starts both sides on one output and measures them over the same window.
func (r run) one(ctx context.Context, out string) (ours, theirs cost, err error) {
	dir, err := os.MkdirTemp(r.dir, out)
	if err != nil {
		return ours, theirs, err
	}
	sinks, err := newSinks(ctx, out, dir, 2*r.n)
	if err != nil {
		return ours, theirs, err
	}
	defer sinks.stop()
	relay, err := r.startCamrelay(ctx, out, dir, sinks)
	if err != nil {
		return ours, theirs, err
	}
	defer stopAll(relay)
	peers, err := r.startFFmpeg(ctx, out, dir, sinks)
	defer stopAll(peers...)
	if err != nil {
		return ours, theirs, err
	}
	if err := pause(ctx, 5*time.Second); err != nil { // both have settled
		return ours, theirs, err
	}
	streamSeconds := r.window.Seconds() * float64(r.n)
	a, err := measure(ctx, r.window, streamSeconds, []*exec.Cmd{relay}, peers)
	if err != nil {
		return ours, theirs, err
	}
	return a[0], a[1], nil
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r run) startCamrelay(ctx context.Context, out, dir string, s *sinks) (*exec.Cmd, error) {
	var b strings.Builder
	hls := "off"
	if out == "hls" {
		hls = "always"
	}
	fmt.Fprintf(&b, "version: 1\naccess: {view: open}\nrtsp: {listen: \"127.0.0.1:0\"}\nhttp: {listen: \"127.0.0.1:0\"}\n"+
		"api: {listen: \"127.0.0.1:0\"}\nhls: {mode: %s, budget: 1GiB}\ndefaults: {transport: tcp}\ncameras:\n", hls)
	for i := range r.n {
		fmt.Fprintf(&b, "  cam%d: {url: \"%s\"}\n", i, r.cams.URL(fmt.Sprintf("cam%d", i)))
	}
	if url := s.url(out, 0); url != "" {
		b.WriteString("pushes:\n")
		for i := range r.n {
			fmt.Fprintf(&b, "  up%d: {camera: cam%d, url: \"%s\"}\n", i, i, s.url(out, i))
		}
	}
	config := filepath.Join(dir, "camrelay.yaml")
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, r.binary, "run", "-c", config, "--runtime-dir", filepath.Join(dir, "run"),
		"--state-dir", filepath.Join(dir, "state"))
	return cmd, cmd.Start()
}

func (r run) startFFmpeg(ctx context.Context, out, dir string, s *sinks) ([]*exec.Cmd, error) {
	var all []*exec.Cmd
	for i := range r.n {
		args := []string{
			"-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp",
			"-i", r.cams.URL(fmt.Sprintf("cam%d", i)), "-c", "copy",
		}
		switch out {
		case "warm":
			args = append(args, "-f", "null", "-")
		case "hls":
			d := filepath.Join(dir, fmt.Sprintf("ffmpeg%d", i))
			if err := os.Mkdir(d, 0o700); err != nil {
				return all, err
			}
			args = append(args, "-f", "hls", "-hls_time", "2", "-hls_list_size", "7", "-hls_flags", "delete_segments",
				"-hls_segment_type", "fmp4", filepath.Join(d, "index.m3u8"))
		case "rtmp":
			args = append(args, "-f", "flv", s.url(out, r.n+i))
		case "srt":
			args = append(args, "-f", "mpegts", s.url(out, r.n+i)+"?pkt_size=1316")
		}
		cmd := exec.CommandContext(ctx, "ffmpeg", args...)
		if err := cmd.Start(); err != nil {
			return all, err
		}
		all = append(all, cmd)
	}
	return all, nil
}

// stopAll ends processes that were started, and waits for them.
func stopAll(cmds ...*exec.Cmd) {
	for _, c := range cmds {
		if c != nil && c.Process != nil {
			// It may have ended by itself; Wait tells all the same.
			_ = c.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, c := range cmds {
		if c != nil && c.Process != nil {
			_ = c.Wait()
		}
	}
}
