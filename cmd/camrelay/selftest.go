package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/daemon"
	"camrelay/media/srt"
	"camrelay/selftest"
)

// errUnhealthy is a box that does not pass; why has been printed.
var errUnhealthy = errors.New("the box has not passed")

func setupSelftest(fs *flag.FlagSet) runner {
	var files configFlags
	files.add(fs)
	cfg := selftest.Config{
		Version: version, User: "camrelay", Now: time.Now, Floor: built(), Library: library,
		Daemon: runOn, ListenSRT: func(at string) (selftest.Sink, error) { return srt.ListenSink(at) },
	}
	asJSON := fs.Bool("json", false, "print JSON")
	wait := fs.Duration("wait-healthy", 0, "test nothing, wait at most so `long` until the service that runs is well")
	fs.BoolVar(&cfg.Quick, "quick", false, "do not measure how many cameras the box carries")
	fs.StringVar(&cfg.Root, "root", "/", "`directory` with sys and proc of another board: look at its hardware alone")
	fs.StringVar(&cfg.StateDir, "state-dir", stateDir, "state `directory` of the service")
	fs.StringVar(&cfg.RuntimeDir, "runtime-dir", runtimeDir, "runtime `directory` of the service")
	return func(ctx context.Context, c console, _ []string) error {
		cfg.Files = files.options()
		return runSelftest(ctx, c, cfg, *wait, *asJSON)
	}
}

func runSelftest(ctx context.Context, c console, cfg selftest.Config, wait time.Duration, asJSON bool) error {
	cfg.Files.CredentialsDir, cfg.Files.Elsewhere = os.Getenv("CREDENTIALS_DIRECTORY"), true
	if wait > 0 {
		return selftest.WaitHealthy(ctx, cfg.Files, cfg.RuntimeDir, wait)
	}
	cfg.Scratch = scratch(cfg.RuntimeDir)
	cfg.Progress = func(selftest.Result) {}
	if !asJSON {
		cfg.Progress = progress(c.out)
	}
	report, err := selftest.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(report); err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
	} else {
		fmt.Fprintf(c.out, "%s after %.1f s\n", report.Verdict, report.Seconds)
	}
	if report.Verdict != selftest.OK {
		return errUnhealthy
	}
	return nil
}

// library tells which libsrt there is, and why not to use it.
func library() (string, error) { return srt.Version(), srt.CheckLibrary() }

// runOn runs a daemon that says nothing.
func runOn(ctx context.Context, file, state, runtime string) error {
	return daemon.Run(ctx, daemon.Options{
		ConfigFile: file, StateDir: state, RuntimeDir: runtime, Version: version,
	}, slog.New(slog.DiscardHandler))
}

// scratch returns a directory in memory that may be written to.
func scratch(runtimeDir string) string {
	for _, dir := range []string{memoryDir(), runtimeDir} {
		if dir != "" && unix.Access(dir, unix.W_OK) == nil {
			return dir
		}
	}
	return os.TempDir()
}

// built returns a time before which this program did not exist.
func built() time.Time {
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return first
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if at, err := time.Parse(time.RFC3339, s.Value); err == nil && at.After(first) {
				return at.Add(-24 * time.Hour) // the clock of who has built it
			}
		}
	}
	return first
}

// progress prints a line for each check; on a terminal it shows the one that goes on.
func progress(w io.Writer) func(selftest.Result) {
	terminal := false
	if f, ok := w.(*os.File); ok {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		terminal = err == nil
	}
	return func(r selftest.Result) {
		switch {
		case r.Verdict != "" && terminal:
			fmt.Fprintf(w, "\r\x1b[K%-4s  %-9s %s\n", r.Verdict, r.Name, r.Reason)
		case r.Verdict != "":
			fmt.Fprintf(w, "%-4s  %-9s %s\n", r.Verdict, r.Name, r.Reason)
		case terminal:
			fmt.Fprintf(w, "…     %s", r.Name)
		}
	}
}
