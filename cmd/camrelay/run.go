package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"

	"camrelay/daemon"
	"camrelay/daemon/config"
	"camrelay/systemd"
)

// Where a box has the daemon's state, and what lies in memory.
const (
	stateDir   = "/var/lib/camrelay"
	runtimeDir = "/run/camrelay"
)

// mainFile is where the configuration of a box is.
const mainFile = "/etc/camrelay/camrelay.yaml"

// vendorDirs are where packages and tools at boot put theirs, the stronger first.
// Specification: UAPI.6 Configuration Files.
func vendorDirs() []string { return []string{"/run/camrelay", "/usr/lib/camrelay"} }

// configFlags are the flags that say where a configuration is.
type configFlags struct{ file, dirs string }

func (c *configFlags) add(fs *flag.FlagSet) {
	fs.StringVar(&c.file, "c", mainFile, "configuration `file`")
	fs.StringVar(&c.dirs, "conf-dir", "", "`directories` of drop-in files with colons between them, the strongest first "+
		"(default: conf.d beside the file; for "+mainFile+" also conf.d in /run/camrelay and /usr/lib/camrelay)")
}

// options says where the files are. Only the configuration of the box itself has
// files in other places.
func (c *configFlags) options() (o config.Options) {
	o.File = c.file
	if c.file == mainFile {
		for _, dir := range vendorDirs() {
			o.Vendor = append(o.Vendor, filepath.Join(dir, filepath.Base(mainFile)))
		}
	}
	if c.dirs != "" {
		o.Dirs = filepath.SplitList(c.dirs)
		return o
	}
	for _, file := range append([]string{c.file}, o.Vendor...) {
		o.Dirs = append(o.Dirs, filepath.Join(filepath.Dir(file), "conf.d"))
	}
	return o
}

// gcPercent is for a heap that is nearly all media: few and large objects
// without pointers. Collecting them often costs next to nothing, and holding
// dead ones would double the memory.
const gcPercent = 25

func setupRun(fs *flag.FlagSet) runner {
	var o daemon.Options
	var files configFlags
	files.add(fs)
	fs.StringVar(&o.StateDir, "state-dir", stateDir, "`directory` for what survives a reboot")
	fs.StringVar(&o.RuntimeDir, "runtime-dir", runtimeDir, "`directory` on a tmpfs for HLS and the API's socket")
	fs.BoolVar(&o.KeepSegments, "keep-segments", false,
		"leave HLS segments in the runtime directory at exit, so that players go on where a restart interrupts them")
	debugging := fs.Bool("debug", false, "log more than is of use every day; secrets never")
	return func(ctx context.Context, c console, _ []string) error {
		return runDaemon(ctx, c, o, files, *debugging)
	}
}

func runDaemon(ctx context.Context, c console, o daemon.Options, files configFlags, debugging bool) error {
	at := files.options()
	o.ConfigFile, o.ConfigDirs, o.VendorFiles = at.File, at.Dirs, at.Vendor
	o.Version = version
	level := slog.LevelInfo
	if debugging {
		level = slog.LevelDebug
	}
	log := slog.New(systemd.Log(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level})))
	boundMemory(log)
	// A core would hold every secret. It cannot fail: the limit is lowered.
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if err != nil {
		log.Error("a core would be dumped", "err", err)
	}
	if o.Manager, err = systemd.New(); err != nil {
		log.Error("the service manager's watchdog is not fed", "err", err)
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	o.Reload = reload
	return daemon.Run(ctx, o, log)
}

// goShare is the part of the service's memory that Go may have: the rest is for
// HLS, whose tmpfs the kernel counts as the service's, and for libsrt.
const goShare = 0.5

// boundMemory makes the garbage collector keep to what the service may use,
// unless somebody has said otherwise.
func boundMemory(log *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	limit, err := systemd.MemoryLimit(os.DirFS("/proc"), os.DirFS("/sys/fs/cgroup"))
	if err != nil {
		log.Error("the limit of memory is not known", "err", err)
		return
	}
	if limit > 0 {
		debug.SetMemoryLimit(int64(float64(limit) * goShare))
		log.Info("memory is limited", "service_mib", limit>>20, "go_mib", debug.SetMemoryLimit(-1)>>20)
	}
}
