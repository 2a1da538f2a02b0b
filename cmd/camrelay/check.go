package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"camrelay/daemon"
	"camrelay/daemon/config"
)

func runCheck(ctx context.Context, c console, args []string) error {
	fs := flag.NewFlagSet("camrelay check", flag.ContinueOnError)
	file := fs.String("c", "/etc/camrelay/camrelay.yaml", "configuration `file`")
	dir := fs.String("conf-dir", "", "`directory` of drop-in files (default: conf.d beside the file)")
	old := fs.String("diff", "", "`file` that runs now: tell what the change would touch")
	runtime := fs.String("runtime-dir", "/run/camrelay",
		"runtime `directory` of the daemon, which is asked what the cameras of pushes send")
	if err := parse(c, fs, args); err != nil {
		return err
	}
	cfg, err := load(c, *file, confDirOf(*file, *dir))
	if err != nil {
		return err
	}
	if *old != "" {
		was, err := load(c, *old, confDirOf(*old, *dir))
		if err != nil {
			return err
		}
		changes := daemon.Diff(was, cfg)
		for _, line := range changes {
			fmt.Fprintln(c.out, line)
		}
		if len(changes) == 0 {
			fmt.Fprintln(c.out, "nothing would be touched")
		}
		return nil
	}
	if advice, err := daemon.Advice(ctx, cfg, *runtime); err == nil { // else no daemon runs, and nobody knows
		for _, line := range advice {
			fmt.Fprintln(c.err, "warning", line)
		}
	}
	fmt.Fprintf(c.out, "%s: ok, %d cameras, %d pushes\n", *file, len(cfg.Cameras), len(cfg.Pushes))
	return nil
}

// load reads a configuration and prints what is wrong with it.
func load(c console, file, dir string) (*config.Config, error) {
	cfg, _, err := config.Load(config.Options{
		File: file, Dir: dir, CredentialsDir: os.Getenv("CREDENTIALS_DIRECTORY"), Elsewhere: true,
	})
	if err != nil {
		fmt.Fprint(c.err, config.Format(err, false))
		return nil, errInvalid
	}
	fmt.Fprint(c.err, config.FormatWarnings(cfg.Warnings, false))
	return cfg, nil
}
