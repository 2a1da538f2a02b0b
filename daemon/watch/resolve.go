package watch

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the symbolic links followed for one path, as Linux does.
const maxLinks = 40

// targets is where changes of a set of paths show.
type targets struct {
	paths   []string
	dirs    map[string]bool // to be watched, and files that are reached from elsewhere too
	points  map[string]bool // entries of dirs that matter
	listing map[string]bool // directories of which every entry matters
}

// resolve finds, for each path, the directory that holds it, that of each
// symbolic link on the way, and, where something is missing, the one in which
// it would appear.
func resolve(paths []string) targets {
	t := targets{paths: paths, dirs: make(map[string]bool), points: make(map[string]bool), listing: make(map[string]bool)}
	for _, p := range paths {
		if abs, err := filepath.Abs(p); err == nil {
			t.follow(abs)
		}
	}
	return t
}

// follow walks an absolute path component by component.
func (t *targets) follow(path string) {
	at, rest := "/", strings.Split(strings.Trim(path, "/"), "/")
	links := 0
	for i := 0; i < len(rest); i++ {
		if rest[i] == "" || rest[i] == "." {
			continue
		}
		next := filepath.Join(at, rest[i])
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			t.point(at, next)
			return
		case info.Mode()&fs.ModeSymlink != 0:
			t.point(at, next)
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return
			}
			rest = append(strings.Split(target, "/"), rest[i+1:]...)
			i = -1
			if filepath.IsAbs(target) {
				at = "/"
			}
			continue
		case i == len(rest)-1:
			t.point(at, next)
			switch {
			case info.IsDir():
				t.dirs[next], t.listing[next] = true, true
			case elsewhere(next):
				t.dirs[next] = true
			}
		}
		at = next
	}
}

// elsewhere tells whether a file can be written by another name, so that its
// directory does not learn of it: it has several, or is mounted there.
func elsewhere(file string) bool {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, file, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_NLINK, &st); err != nil {
		return false // it is gone
	}
	return st.Nlink > 1 || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// point notes that the entry name of dir matters.
func (t *targets) point(dir, name string) {
	t.dirs[dir], t.points[name] = true, true
}

// concerns tells whether an event of that name matters.
func (t *targets) concerns(name string) bool {
	return name != "" && (t.points[name] || t.dirs[name] || t.listing[filepath.Dir(name)])
}

// fingerprint tells the state of files, and of the entries of directories,
// from another state, without reading them.
func fingerprint(paths []string) string {
	var b strings.Builder
	for _, p := range paths {
		print1(&b, p)
		entries, err := os.ReadDir(p)
		if err != nil {
			continue // a file
		}
		for _, e := range entries {
			print1(&b, filepath.Join(p, e.Name()))
		}
	}
	return b.String()
}

func print1(b *strings.Builder, path string) {
	info, err := os.Stat(path)
	if err != nil {
		fmt.Fprintf(b, "%s -\n", path)
		return
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		fmt.Fprintf(b, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		return
	}
	fmt.Fprintf(b, "%s %d %d %d %d %d.%d\n", path, st.Dev, st.Ino, st.Mode, st.Size, st.Ctim.Sec, st.Ctim.Nsec)
}
