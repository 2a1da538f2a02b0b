package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Set is the files of a configuration as they were read at one moment.
type Set struct {
	Files []File // the main file, then the drop-ins in order of their names
	errs  Errors // directories that cannot be read
}

// File is one file of a Set.
type File struct {
	Path     string    `json:"path"` // its place: names of secrets are relative to it
	Text     string    `json:"text"`
	Modified time.Time `json:"modified"`          // zero if it could not be read
	Open     bool      `json:"open"`              // everybody on the box can read it
	Machine  bool      `json:"machine,omitempty"` // it is Options.Machine
	shown    string    // what mistakes call it; empty: Path
	err      error     // why it could not be read
}

// Name returns what mistakes call the file.
func (f *File) Name() string {
	if f.shown != "" {
		return f.shown
	}
	return f.Path
}

// SHA256 returns the sum of the text, hexadecimal; empty if it could not be read.
func (f *File) SHA256() string { return sum([]byte(f.Text), f.err) }

// Masked returns the text with everything masked that may be a secret, and without
// comments, which may hold one too.
func (f *File) Masked() string {
	var b strings.Builder
	for line := range strings.Lines(f.Text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(maskLine(line, 1).text + "\n")
		}
	}
	return b.String()
}

// Read reads the files that opts names. What cannot be read is told by Load.
func Read(opts Options) *Set {
	s := &Set{Files: []File{read(opts.main())}}
	names, errs := dropIns(opts.Dirs)
	s.errs = errs
	for _, name := range names {
		s.Files = append(s.Files, read(name))
	}
	if opts.Machine != "" {
		if f := read(opts.Machine); !errors.Is(f.err, fs.ErrNotExist) {
			f.Machine = true
			s.Files = append(s.Files, f)
		}
	}
	return s
}

// main returns the main file: the first that there is, else the first of all.
func (o *Options) main() string {
	for _, name := range o.Vendor {
		if _, err := os.Lstat(o.File); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if _, err := os.Lstat(name); err == nil {
			return name
		}
	}
	return o.File
}

func read(name string) File {
	f := File{Path: name}
	text, err := readFile(name, maxFile)
	if err != nil {
		f.err = err
		return f
	}
	f.Text = string(text)
	if info, err := os.Stat(name); err == nil {
		f.Modified, f.Open = info.ModTime(), info.Mode().Perm()&0o004 != 0
	}
	return f
}

// dropIns returns the files of the directories, by name whatever directory they
// are in. Of those with one name that in the first directory counts.
// Specification: UAPI.6 Configuration Files; systemd.unit(5).
func dropIns(dirs []string) (names []string, errs Errors) {
	found := make(map[string]string)
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, &Error{File: dir, Message: "cannot read the directory: " + reason(err)})
		}
		for _, e := range entries {
			name := e.Name()
			if _, hidden := found[name]; !hidden && IsDropIn(name) && !e.IsDir() {
				found[name] = filepath.Join(dir, name)
			}
		}
	}
	for _, name := range keysOf(found) {
		names = append(names, found[name])
	}
	return names, errs
}

// IsDropIn tells whether a file of that name is read. Those of editors and
// package managers are not.
func IsDropIn(name string) bool {
	return strings.HasSuffix(name, ".yaml") && name[0] != '.' && name == filepath.Base(name)
}

// Hash sums up the names and texts of the files. It is the same wherever they
// lie, and knows nothing of secrets in other files.
func (s *Set) Hash() string {
	h := sha256.New()
	for i := range s.Files {
		fmt.Fprintln(h, filepath.Base(s.Files[i].Path), s.Files[i].SHA256())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// With returns the set with one file replaced or added. as is the place it is
// meant for: the base name of the main file or that of a drop-in. Mistakes are
// told of shown.
func (s *Set) With(as, shown string, text []byte, opts Options) (*Set, error) {
	main := filepath.Base(s.Files[0].Path)
	next := &Set{Files: slices.Clone(s.Files), errs: s.errs}
	f := File{Path: s.Files[0].Path, Text: string(text), shown: shown}
	if as == main {
		next.Files[0] = f
		return next, nil
	}
	if !IsDropIn(as) || len(opts.Dirs) == 0 {
		return nil, fmt.Errorf("%q is not %s and no name of a drop-in, which ends in .yaml", as, main)
	}
	f.Path = filepath.Join(opts.Dirs[0], as)
	for i := range next.Files[1:] {
		if filepath.Base(next.Files[i+1].Path) == as {
			next.Files[i+1] = f
			return next, nil
		}
	}
	next.Files = append(next.Files, f)
	slices.SortStableFunc(next.Files[1:], func(a, b File) int {
		switch {
		case a.Machine:
			return 1
		case b.Machine:
			return -1
		}
		return strings.Compare(filepath.Base(a.Path), filepath.Base(b.Path))
	})
	return next, nil
}

// without returns the set without the files, and directories, that are called so.
func (s *Set) without(names []string) *Set {
	return &Set{
		Files: slices.DeleteFunc(slices.Clone(s.Files), func(f File) bool { return slices.Contains(names, f.Name()) }),
		errs:  slices.DeleteFunc(slices.Clone(s.errs), func(e *Error) bool { return slices.Contains(names, e.File) }),
	}
}

// Result is what has become of a Set.
type Result struct {
	Config  *Config  // nil: the set is rejected
	Sources []Source // files that were read, or were to be, secrets among them
	Errors  Errors   // all mistakes of all files, also of those left out
	Taken   *Set     // what Config was made of
	LeftOut []string // names of files with mistakes, or FILE: pushes.NAME; see Load
}

// Load makes the configuration, and reads the secrets that it names. With
// on_invalid: skip_file it leaves out drop-ins with mistakes. Of the machine's file
// always pushes with mistakes are left out, or all of it where a mistake is in none,
// rather than all refused.
func (s *Set) Load(opts Options) Result {
	all, skips := s.load(opts, nil)
	all.Taken = s
	var files, pushes []string // that are left out, pushes of the machine's file
	for last := all; last.Config == nil; {
		bad := last.wrong(s.Files[0].Name())
		if !skips {
			bad = slices.DeleteFunc(bad, func(name string) bool { return !s.isMachine(name) })
		}
		if len(bad) == 0 {
			return all
		}
		for _, name := range bad {
			if more := last.wrongPushes(name, pushes); s.isMachine(name) && more != nil {
				pushes = append(pushes, more...)
			} else {
				files = append(files, name)
			}
		}
		all.LeftOut = s.leftOut(files, pushes)
		all.Taken = s.without(files)
		last, _ = all.Taken.load(opts, pushes)
		all.Config = last.Config
		all.Sources = union(all.Sources, last.Sources)
		for _, e := range last.Errors {
			if !slices.ContainsFunc(all.Errors, func(old *Error) bool { return old.Error() == e.Error() }) {
				all.Errors = append(all.Errors, e)
			}
		}
	}
	return all
}

// isMachine tells whether that is the name of the machine's file.
func (s *Set) isMachine(name string) bool {
	last := &s.Files[len(s.Files)-1]
	return last.Machine && last.Name() == name
}

// wrong returns the drop-ins with mistakes; none if not all mistakes are in drop-ins.
func (r *Result) wrong(main string) (names []string) {
	for _, e := range r.Errors {
		if e.File == main {
			return nil
		}
		if !slices.Contains(names, e.File) {
			names = append(names, e.File)
		}
	}
	return names
}

// wrongPushes returns the pushes of a file with mistakes; none if a mistake is in no
// push, or in one of those that are left out already.
func (r *Result) wrongPushes(file string, out []string) (names []string) {
	for _, e := range r.Errors {
		if e.File != file {
			continue
		}
		key, ok := strings.CutPrefix(e.Key, "pushes.")
		name, _, _ := strings.Cut(key, ".")
		if !ok || slices.Contains(out, name) {
			return nil
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// leftOut names files, and pushes of the machine's file unless that is one of them.
func (s *Set) leftOut(files, pushes []string) []string {
	all := slices.Clone(files)
	machine := s.Files[len(s.Files)-1].Name()
	for _, name := range pushes {
		if !slices.Contains(files, machine) {
			all = append(all, machine+": pushes."+name)
		}
	}
	return all
}

func union(a, b []Source) []Source {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// load is Load of all files without those pushes of the machine's, and tells whether
// drop-ins may be left out.
func (s *Set) load(opts Options, without []string) (r Result, skips bool) {
	l := &loader{Options: opts}
	d := newDecoder()
	d.without = without
	errs := slices.Clone(s.errs)
	var files []*source
	names := make([]string, len(s.Files))
	for i := range s.Files {
		f := &s.Files[i]
		names[i] = f.Name()
		l.sources = append(l.sources, Source{Path: f.Path, SHA256: f.SHA256()})
		if f.err != nil {
			errs = append(errs, &Error{File: f.Name(), Message: "cannot read the file: " + reason(f.err)})
			continue
		}
		src, bad := readTree(f.Name(), []byte(f.Text))
		src.dir, src.open, src.machine = filepath.Dir(f.Path), f.Open, f.Machine
		if bad != nil {
			errs = append(errs, bad)
			continue
		}
		files = append(files, src)
	}
	if len(errs) > 0 {
		d.errs = errs
		// The other files are read all the same: all mistakes at once. What is
		// across files is not looked at.
		for _, src := range files {
			d.file(src)
		}
		for _, f := range d.later {
			f()
		}
		return Result{Sources: l.sources, Errors: d.errs.sorted(names)}, d.skips(opts)
	}
	cfg, wrong := d.finish(files, l)
	return Result{Config: cfg, Sources: l.sources, Errors: wrong}, d.skips(opts)
}

func (d *decoder) skips(opts Options) bool { return d.cfg.OnInvalid == InvalidSkip || opts.SkipFiles }
