package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Options says where the configuration is.
type Options struct {
	File           string // the main file
	Dir            string // drop-ins, *.yaml in order of name; may be empty or absent
	CredentialsDir string // $CREDENTIALS_DIRECTORY, for ${cred:name}; may be empty
	// Salt goes into the sums of secret files, which must not be guessed at.
	// Without it they have none.
	Salt []byte
}

// Source is a file that the configuration comes from.
type Source struct {
	Path   string
	SHA256 string // of what was read, hexadecimal; empty if it could not be read
	Secret bool   // a secret file: the sum is salted and of use to this process only
}

// Parse reads one file that is called name in errors. Secrets that are
// references stay empty. A returned error is of type Errors.
func Parse(name string, data []byte) (*Config, error) {
	d := newDecoder()
	src, err := readTree(name, data)
	if err != nil {
		return nil, Errors{err}
	}
	return d.finish([]*source{src}, nil)
}

// Load reads the main file and the drop-ins as one configuration, and the
// secrets that they name. The sources are returned also with an error, which
// is of type Errors and holds all mistakes of all files.
func Load(opts Options) (*Config, []Source, error) {
	l := &loader{Options: opts}
	d := newDecoder()
	var files []*source
	names, errs := l.files()
	for _, name := range names {
		data, err := readFile(name, maxFile)
		l.sources = append(l.sources, Source{Path: name, SHA256: sum(data, err)})
		if err != nil {
			errs = append(errs, &Error{File: name, Message: "cannot read the file: " + reason(err)})
			continue
		}
		src, bad := readTree(name, data)
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
		return nil, l.sources, d.errs.sorted(names)
	}
	cfg, err := d.finish(files, l)
	if err != nil {
		return nil, l.sources, err
	}
	return cfg, l.sources, nil
}

func newDecoder() *decoder {
	return &decoder{cfg: standard(), at: make(map[string]value)}
}

// finish reads all trees, resolves the secrets, with l if it is not nil, and
// makes the checks.
func (d *decoder) finish(files []*source, l *loader) (*Config, error) {
	names := make([]string, len(files))
	for i, src := range files {
		names[i] = src.name
		d.file(src)
	}
	for _, f := range d.later {
		f()
	}
	for _, ref := range d.secrets {
		ref.settle(l)
	}
	for path, cam := range d.cfg.Cameras {
		if cam.SubOf != "" && cam.Password == "" {
			cam.Password = d.cfg.Cameras[cam.SubOf].Password
			d.cfg.Cameras[path] = cam
		}
	}
	d.check(files[0])
	if len(d.errs) > 0 {
		return nil, d.errs.sorted(names)
	}
	d.cfg.Warnings = d.warnings.sorted(names)
	return d.cfg, nil
}

// loader is one call of Load.
type loader struct {
	Options
	sources []Source
}

// files returns the names of the files to read, in order.
func (l *loader) files() (names []string, errs Errors) {
	names = []string{l.File}
	if l.Dir == "" {
		return names, nil
	}
	entries, err := os.ReadDir(l.Dir) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return names, nil
	}
	if err != nil {
		return names, Errors{{File: l.Dir, Message: "cannot read the directory: " + reason(err)}}
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".yaml") && name[0] != '.' && !e.IsDir() {
			names = append(names, filepath.Join(l.Dir, name))
		}
	}
	return names, nil
}

// readFile returns the contents of a regular file of at most limit bytes, with
// one byte more if it is longer. A device, /dev/null say, is empty.
func readFile(name string, limit int64) ([]byte, error) {
	// Opening a FIFO waits for a writer; the configuration waits for nobody.
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeDevice != 0:
		return nil, nil
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// reason returns why a file could not be read, without its name.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

func sum(data []byte, err error) string {
	if err != nil {
		return ""
	}
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}
