package config

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"camrelay/media"
)

// Options says where the configuration is.
type Options struct {
	File           string   // the main file
	Vendor         []string // main files that count where there is no File, the first first
	Dirs           []string // of drop-ins, *.yaml; a name in the first hides it in the others. May be absent
	Machine        string   // a file that is read last and is the weakest; may be absent
	CredentialsDir string   // $CREDENTIALS_DIRECTORY, for ${cred:name}; may be empty
	// Elsewhere tells that this is not the daemon: where there is no directory of
	// credentials, they stay empty with a warning.
	Elsewhere bool
	// Salt goes into the sums of secret files, which must not be guessed at.
	// Without it they have none.
	Salt []byte
	// Lenient switches off what lacks its secret, with a warning, instead of
	// refusing the set. Nothing is served or sent in the clear for want of one.
	Lenient bool
	// Memory is the size in bytes of the tmpfs that HLS lies on; 0: not known.
	Memory int64
	// SkipFiles leaves out drop-ins with mistakes whatever on_invalid says.
	SkipFiles bool
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
	cfg, errs := d.finish([]*source{src}, nil)
	if errs != nil {
		return nil, errs
	}
	return cfg, nil
}

// Load reads the main file and the drop-ins as one configuration, and the
// secrets that they name. The sources are returned also with an error, which
// is of type Errors and holds all mistakes of all files.
func Load(opts Options) (*Config, []Source, error) {
	r := Read(opts).Load(opts)
	if r.Config == nil {
		return nil, r.Sources, r.Errors
	}
	return r.Config, r.Sources, nil
}

func newDecoder() *decoder {
	return &decoder{cfg: standard(), at: make(map[string]value)}
}

// finish reads all trees, resolves the secrets, with l if it is not nil, and
// makes the checks.
func (d *decoder) finish(files []*source, l *loader) (*Config, Errors) {
	names := make([]string, len(files))
	for i, src := range files {
		names[i] = src.name
		d.file(src)
	}
	d.askWhoIsThere()
	for _, f := range d.later {
		f()
	}
	for _, ref := range d.secrets {
		ref.settle(l)
	}
	for _, ref := range d.authorities {
		ref.settle(l)
	}
	for _, ref := range d.certificates {
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
	if l != nil {
		d.warnMemory(files[0], l.Memory)
	}
	for _, key := range d.lacking {
		d.switchOff(key)
	}
	d.cfg.Warnings = d.warnings.sorted(names)
	return d.cfg, nil
}

// loader is one call of Load.
type loader struct {
	Options
	sources []Source
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

// maxSecret is the greatest number of bytes of a secret's file.
const maxSecret = 4096

// secretKind is where a secret comes from.
type secretKind uint8

const (
	literal secretKind = iota
	credential
	inFile
)

// secretRef is a secret that is still to be found.
type secretRef struct {
	place     value
	kind      secretKind
	name      string // of the credential or file; the secret itself if literal
	low, high int    // bytes
	set       func(media.Secret)
}

var reference = regexp.MustCompile(`^\$\{cred:([A-Za-z0-9_][A-Za-z0-9_.-]*)\}$`)

// placeholder is what other programs fill in: ${NAME} of shells, {{ name }} of templates.
var placeholder = regexp.MustCompile(`^(\$\{[^{}]+\}|\{\{.+\}\})$`)

// secret takes a secret of low to high bytes, or a reference to a credential.
func (d *decoder) secret(low, high int, set func(media.Secret)) func(value) {
	return func(v value) {
		s, ok := v.text()
		if !ok {
			return
		}
		if media.Masked(s) {
			v.failMasked()
			return
		}
		ref := secretRef{place: v, kind: literal, name: s, low: low, high: high, set: set}
		if m := reference.FindStringSubmatch(s); m != nil {
			ref.kind, ref.name = credential, m[1]
		} else if strings.Contains(s, "${cred:") {
			v.fail("not a reference to a credential", "want ${cred:name} and nothing else")
			return
		} else if placeholder.MatchString(s) {
			v.warn("is taken as it stands, it looks like a place for a secret", "only ${cred:name} is looked up")
		}
		d.secrets = append(d.secrets, ref)
	}
}

// secretFile takes the name of a file that holds a secret.
func (d *decoder) secretFile(low, high int, set func(media.Secret)) func(value) {
	return func(v value) {
		var name string
		if str(&name, 4096)(v); name != "" {
			d.secrets = append(d.secrets, secretRef{place: v, kind: inFile, name: name, low: low, high: high, set: set})
		}
	}
}

// settle finds the secret and hands it over. Without l only literals are found.
func (ref secretRef) settle(l *loader) {
	s := ref.name
	if ref.kind != literal {
		if l == nil {
			return
		}
		var ok bool
		if s, ok = l.resolve(ref); !ok {
			return
		}
	}
	if len(s) < ref.low || len(s) > ref.high || strings.ContainsAny(s, "\r\n\x00") {
		l.lack(ref.place, fmt.Sprintf("the secret must have %d to %d bytes in one line", ref.low, ref.high), "")
		return
	}
	if l != nil && ref.kind == literal && ref.place.src.open {
		ref.place.warn("a secret in a file that everybody on this box can read", "chmod o= "+ref.place.src.name)
	}
	ref.set(media.Secret(s))
}

// resolve finds what a reference names, or enters a mistake.
func (l *loader) resolve(ref secretRef) (string, bool) {
	path, what := ref.name, ""
	switch {
	case ref.kind == credential && l.Elsewhere && !isDir(l.CredentialsDir):
		ref.place.warn("cannot be looked at here: systemd passes it to the daemon alone", "")
		return "", false
	case ref.kind == credential && l.CredentialsDir == "":
		l.lack(ref.place, fmt.Sprintf("there is no credential %q", ref.name), "systemd passes credentials by LoadCredential=")
		return "", false
	case ref.kind == credential:
		path, what = filepath.Join(l.CredentialsDir, ref.name), fmt.Sprintf("credential %q", ref.name)
	case !filepath.IsAbs(path):
		path = filepath.Join(ref.place.src.dir, path)
	}
	data, err := readFile(path, maxSecret)
	l.sources = append(l.sources, Source{Path: path, SHA256: l.salted(data, err), Secret: true})
	if err != nil {
		l.unreadable(ref.place, path, cmp.Or(what, path), err)
		return "", false
	}
	if ref.kind == inFile && l.readable(path) {
		ref.place.warn("everybody on this box can read the file", "chmod o= "+path)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), true
}

// unreadable enters that a file that the configuration names cannot be read. what is
// how people know it.
func (l *loader) unreadable(place value, path, what string, err error) {
	hint := ""
	switch {
	case what != path: // a credential
		hint = "systemd passes credentials by LoadCredential="
	case errors.Is(err, fs.ErrNotExist):
		hint = "make the file, or mend its name here"
	case errors.Is(err, fs.ErrPermission):
		hint = "chgrp camrelay " + path + " && chmod g+r " + path
	}
	l.lack(place, fmt.Sprintf("cannot read %s: %s", what, reason(err)), hint)
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// readable tells whether everybody on the box can read the file.
func (*loader) readable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o004 != 0
}

// salted is the sum of a secret that can be compared and not guessed at.
func (l *loader) salted(data []byte, err error) string {
	if err != nil || len(l.Salt) == 0 {
		return ""
	}
	h := hmac.New(sha256.New, l.Salt)
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}
