package selftest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"camrelay/daemon/config"
)

// checkConfig reads the configuration as the daemon does.
func checkConfig(_ context.Context, r *run) Result {
	cfg, sources, err := config.Load(r.Files)
	r.sources = sources
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(config.Format(err, false)), "\n")
		if errors.Is(err, fs.ErrPermission) {
			first = err.Error()
		}
		return result(Fail, "%s; camrelay check tells everything", first)
	}
	r.conf = cfg
	words := fmt.Sprintf("%d cameras, %d pushes", len(cfg.Cameras), len(cfg.Pushes))
	if n := len(cfg.Warnings); n > 0 {
		first, _, _ := strings.Cut(config.FormatWarnings(cfg.Warnings, false), "\n")
		return result(Warn, "%s; %d warnings, the first: %s", words, n, first)
	}
	return result(OK, "%s", words)
}

// account is whom the service runs as.
type account struct {
	name   string
	uid    int
	groups []int
}

// who returns the account of the service, or that of the caller.
func (r *run) who() account {
	me := account{"this user", os.Geteuid(), []int{os.Getegid()}}
	if me.uid != 0 || r.User == "" {
		return me
	}
	u, err := user.Lookup(r.User)
	if err != nil {
		return me // it is not installed, or runs as root
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return me
	}
	it := account{name: r.User, uid: uid}
	ids, err := u.GroupIds()
	if err != nil {
		ids = []string{u.Gid}
	}
	for _, id := range ids {
		if gid, err := strconv.Atoi(id); err == nil {
			it.groups = append(it.groups, gid)
		}
	}
	return it
}

// may tells whether an account has the rights (4 read, 2 write, 1 enter) to a file.
func (a account) may(st fs.FileInfo, want fs.FileMode) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || a.uid == 0 {
		return true
	}
	mode := st.Mode().Perm()
	if int(sys.Uid) == a.uid {
		return mode>>6&want == want
	}
	if slices.Contains(a.groups, int(sys.Gid)) {
		return mode>>3&want == want
	}
	return mode&want == want
}

// right is one that the service must have.
type right struct {
	path string
	want fs.FileMode
	what string
}

// checkFiles tells whether the service may write and read what it must.
func checkFiles(_ context.Context, r *run) Result {
	it := r.who()
	var bad []string
	rows := []right{
		{r.StateDir, 7, "write to"},
		{r.RuntimeDir, 7, "write to"},
		{filepath.Dir(r.Files.File), 5, "read"},
		{r.Files.File, 4, "read"},
	}
	for _, s := range r.sources { // drop-ins and secrets too: whoever calls may be root
		if s.Path != r.Files.File {
			rows = append(rows, right{filepath.Dir(s.Path), 1, "enter"}, right{s.Path, 4, "read"})
		}
	}
	slices.SortFunc(rows[4:], func(a, b right) int { return strings.Compare(a.path, b.path) })
	for _, row := range slices.Compact(rows) {
		st, err := os.Stat(row.path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // the service makes its directories, and runs without a file
		case err != nil:
			bad = append(bad, err.Error())
		case !it.may(st, row.want):
			bad = append(bad, fmt.Sprintf("%s may not %s %s (%s)", it.name, row.what, row.path, st.Mode()))
		default:
			if row.want == 7 && !st.IsDir() {
				bad = append(bad, row.path+" is no directory")
			}
		}
	}
	if len(bad) > 0 {
		return result(Fail, "%s", strings.Join(bad, "; "))
	}
	return result(OK, "%s may write to %s and %s", it.name, r.StateDir, r.RuntimeDir)
}

// address is one that the configuration has a server listen at.
type address struct{ name, network, at string }

func addresses(c *config.Config) []address {
	var all []address
	for _, a := range []address{
		{"rtsp", "tcp", c.RTSP.Listen},
		{"rtsps", "tcp", c.RTSP.TLS.Listen},
		{"http", "tcp", c.HTTP.Listen},
		{"https", "tcp", c.HTTP.TLS.Listen},
		{"rtmp", "tcp", c.RTMP.Listen},
		{"srt", "udp", c.SRT.Listen},
		{"api", "tcp", c.API.Listen},
		{"metrics", "tcp", c.Metrics.Listen},
	} {
		if a.at != "" {
			all = append(all, a)
		}
	}
	return all
}

// checkPorts tells whether the ports of the configuration can be had. Those of a
// service that runs are its own.
func checkPorts(ctx context.Context, r *run) Result {
	if r.conf == nil {
		return result(Skip, "the configuration is broken")
	}
	all := addresses(r.conf)
	if st, err := status(ctx, socketOf(r.conf, r.RuntimeDir)); err == nil {
		r.running = true
		if len(st.Config.Errors) > 0 {
			first, _, _ := strings.Cut(strings.TrimSpace(config.Format(st.Config.Errors, false)), "\n")
			return result(Fail, "the service that runs has rejected the configuration: %s", first)
		}
		if len(st.Config.Problems) > 0 {
			return result(Fail, "the service that runs says: %s", strings.Join(st.Config.Problems, "; "))
		}
		return result(OK, "camrelay %s runs and has its %d ports", st.Version, len(st.Listeners))
	}
	var bad, low []string
	for _, a := range all {
		if r.takesRight(a) {
			low = append(low, a.name+" at "+a.at)
		}
		if err := try(ctx, a); err != nil {
			bad = append(bad, fmt.Sprintf("%s cannot listen at %s: %v", a.name, a.at, reason(err)))
		}
	}
	if len(bad) > 0 {
		return result(Fail, "%s", strings.Join(bad, "; "))
	}
	if len(low) > 0 {
		return result(Warn, "all %d are free, but without low-ports.conf, see the examples, %s may not listen: %s",
			len(all), r.who().name, strings.Join(low, ", "))
	}
	return result(OK, "all %d are free", len(all))
}

// takesRight tells whether root may listen at an address, and the service by a right
// of its own only.
func (r *run) takesRight(a address) bool {
	_, digits, err := net.SplitHostPort(a.at)
	if err != nil {
		return false
	}
	port, err := strconv.Atoi(digits)
	first := r.board.Proc.Int("sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil || port == 0 || first == nil {
		return false
	}
	return os.Geteuid() == 0 && r.who().uid != 0 && int64(port) < *first
}

// try binds an address for a moment.
func try(ctx context.Context, a address) error {
	var lc net.ListenConfig
	if a.network == "udp" {
		c, err := lc.ListenPacket(ctx, "udp", a.at)
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := lc.Listen(ctx, "tcp", a.at)
	if err != nil {
		return err
	}
	return l.Close()
}

// reason says in words why an address cannot be had.
func reason(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program has the port"
	case errors.Is(err, syscall.EACCES):
		return "ports below 1024 need a right, see low-ports.conf in the examples"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "the box does not have this address"
	}
	return err.Error()
}
