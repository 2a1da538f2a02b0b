package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"camrelay/daemon"
)

// parse reads the flags of a command; what is wrong with them is printed.
func parse(c console, fs *flag.FlagSet, args []string) error {
	fs.SetOutput(c.err)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if fs.NArg() > 0 {
		fs.Usage()
		return errUsage
	}
	return nil
}

// confDirOf returns the drop-in directory of a main file unless one is given:
// conf.d beside it.
func confDirOf(file, dir string) string {
	if dir != "" {
		return dir
	}
	return filepath.Join(filepath.Dir(file), "conf.d")
}

// gcPercent is for a heap that is nearly all media: few and large objects
// without pointers. Collecting them often costs next to nothing, and holding
// dead ones would double the memory.
const gcPercent = 25

func runDaemon(ctx context.Context, c console, args []string) error {
	fs := flag.NewFlagSet("camrelay run", flag.ContinueOnError)
	var o daemon.Options
	fs.StringVar(&o.ConfigFile, "c", "/etc/camrelay/camrelay.yaml", "configuration `file`")
	fs.StringVar(&o.ConfigDir, "conf-dir", "", "`directory` of drop-in files (default: conf.d beside the file)")
	fs.StringVar(&o.StateDir, "state-dir", "/var/lib/camrelay", "`directory` for what survives a reboot")
	fs.StringVar(&o.RuntimeDir, "runtime-dir", "/run/camrelay", "`directory` on a tmpfs for HLS and the API's socket")
	if err := parse(c, fs, args); err != nil {
		return err
	}
	o.ConfigDir = confDirOf(o.ConfigFile, o.ConfigDir)
	o.Version = version
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	return daemon.Run(ctx, o, slog.New(slog.NewTextHandler(c.err, nil)))
}
