package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camrelay/media"
)

// box is a directory with configuration files.
type box struct {
	t    *testing.T
	dir  string
	opts Options
}

func newBox(t *testing.T, main string) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, dir: dir, opts: Options{
		File: filepath.Join(dir, "camrelay.yaml"), Dirs: []string{filepath.Join(dir, "conf.d")},
		CredentialsDir: filepath.Join(dir, "cred"), Salt: []byte("salt"),
	}}
	b.write("camrelay.yaml", main)
	return b
}

// write puts a file below the box that only its owner can read.
func (b *box) write(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *box) load() (*Config, []Source) {
	b.t.Helper()
	cfg, sources, err := Load(b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	return cfg, sources
}

// rejected returns the text of the error, without the directory's name.
func (b *box) rejected() string {
	b.t.Helper()
	cfg, _, err := Load(b.opts)
	if err == nil {
		b.t.Fatalf("accepted as %+v", cfg)
	}
	return strings.ReplaceAll(err.Error(), b.dir+"/", "")
}

const oneCamera = "version: 1\naccess: {view: open}\ncameras:\n  gate: {url: rtsp://c/}\n"

func TestDropIns(t *testing.T) {
	b := newBox(t, oneCamera+"hls: {window: 20s, part: 200ms}\n")
	b.write("conf.d/10-site.yaml", "defaults: {transport: udp}\ncameras:\n  yard: {url: rtsp://d/}\n")
	b.write("conf.d/20-hls.yaml", "version: 1\nhls: {window: 30s}\npushes: {up: {camera: yard, url: rtmp://h/a/b}}\n")
	b.write("conf.d/30-empty.yaml", "")
	if err := os.Symlink("/dev/null", filepath.Join(b.opts.Dirs[0], "40-masked.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".hidden.yaml", "a.yaml~", "a.yaml.dpkg-new", ".a.yaml.swp", "README", "a.yml"} {
		b.write("conf.d/"+name, "not: valid: at all")
	}
	b.write("conf.d/dir.yaml/x", "")
	cfg, sources := b.load()
	if len(cfg.Cameras) != 2 || cfg.Cameras["gate"].Transport != TransportUDP || len(cfg.Pushes) != 1 {
		t.Errorf("cameras %+v, pushes %+v", cfg.Cameras, cfg.Pushes)
	}
	if w, p := short(cfg.HLS.Window), short(cfg.HLS.Part); w != "30s" || p != "200ms" {
		t.Errorf("window %s, part %s", w, p)
	}
	var names []string
	for _, s := range sources {
		names = append(names, strings.TrimPrefix(s.Path, b.dir+"/"))
		if len(s.SHA256) != 64 {
			t.Errorf("%s has no sum", s.Path)
		}
	}
	want := "camrelay.yaml conf.d/10-site.yaml conf.d/20-hls.yaml conf.d/30-empty.yaml conf.d/40-masked.yaml"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("read %s", got)
	}
	b.opts.Dirs[0] = filepath.Join(b.dir, "nowhere")
	if cfg, _ := b.load(); len(cfg.Cameras) != 1 {
		t.Errorf("without drop-ins: %+v", cfg.Cameras)
	}
}

func TestSecrets(t *testing.T) {
	b := newBox(t, `version: 1
access: {view: open}
cameras:
  a: {url: rtsp://c/, username: u, password: "${cred:cam.a}", sub: {url: rtsp://c/2}}
  b: {url: rtsp://d/, password_file: secrets/b, sub: {url: rtsp://d/2, password: "own"}}
pushes:
  p: {camera: a, url: rtmp://h/app, key_file: secrets/key}
  q: {camera: b_sub, url: "srt://h:1", passphrase: "${cred:pass}"}
`)
	b.write("cred/cam.a", "hunter2\n")
	b.write("cred/pass", "0123456789\r\n")
	b.write("secrets/b", " with spaces ")
	b.write("secrets/key", "stream-key\n")
	cfg, sources := b.load()
	for got, want := range map[media.Secret]string{
		cfg.Cameras["a"].Password: "hunter2", cfg.Cameras["a_sub"].Password: "hunter2",
		cfg.Cameras["b"].Password: " with spaces ", cfg.Cameras["b_sub"].Password: "own",
		cfg.Pushes["p"].Key: "stream-key", cfg.Pushes["q"].Passphrase: "0123456789",
	} {
		if got.Reveal() != want {
			t.Errorf("secret %q, want %q", got.Reveal(), want)
		}
	}
	if cfg.Cameras["a_sub"].Username != "u" || len(cfg.Warnings) != 0 {
		t.Errorf("user %q, warnings %v", cfg.Cameras["a_sub"].Username, cfg.Warnings)
	}
	if len(sources) != 5 || sources[0].Secret || !sources[1].Secret || len(sources[1].SHA256) != 64 {
		t.Errorf("sources %+v", sources)
	}
	b.write("cred/cam.a", "hunter3\n")
	_, later := b.load()
	b.opts.Salt = []byte("another")
	_, elsewhere := b.load()
	b.opts.Salt = nil
	_, unsalted := b.load()
	if later[1] == sources[1] || later[2] != sources[2] || elsewhere[2] == later[2] || unsalted[1].SHA256 != "" {
		t.Errorf("sums of secrets: %v, %v, %v, %v", sources, later, elsewhere, unsalted)
	}
}

func TestLoadRejects(t *testing.T) {
	rows := []struct {
		name  string
		setup func(b *box)
		want  string
	}{
		{
			"a file that is not there", func(b *box) { os.Remove(b.opts.File) },
			"camrelay.yaml: cannot read the file: no such file or directory",
		},
		{"a directory for a file", func(b *box) { b.opts.File = b.dir }, "cannot read the file: not a regular file"},
		{
			"a file in place of the directory", func(b *box) { b.write("conf.d", "") },
			"conf.d: cannot read the directory: not a directory",
		},
		{"a link to nowhere", func(b *box) {
			b.write("conf.d/a.yaml", "")
			os.Symlink("nowhere", filepath.Join(b.opts.Dirs[0], "b.yaml"))
		}, "conf.d/b.yaml: cannot read the file: no such file or directory"},
		{"a camera in two files", func(b *box) {
			b.write("conf.d/a.yaml", "cameras:\n  gate: {url: rtsp://d/}\n")
		}, "conf.d/a.yaml:2:3: cameras.gate: named in two files, first in camrelay.yaml, line 4"},
		{"a push in two files", func(b *box) {
			b.write("conf.d/a.yaml", "pushes:\n  up: {camera: gate, url: rtmp://h/a/b}\n")
			b.write("conf.d/b.yaml", "pushes:\n  up: {camera: gate, url: rtmp://h/a/b}\n")
		}, "conf.d/b.yaml:2:3: pushes.up: named in two files, first in conf.d/a.yaml, line 2"},
		{"mistakes in several files, in their order", func(b *box) {
			b.write("camrelay.yaml", oneCamera+"htpp: {}\n")
			b.write("conf.d/a.yaml", "cameras: [\n")
			b.write("conf.d/b.yaml", "pushes:\n  up: {}\n")
		}, "camrelay.yaml:5:1: unknown key \"htpp\" (did you mean \"http\"?)\n" +
			"conf.d/a.yaml:1:10: not valid YAML: the [ is not closed\n" +
			"conf.d/b.yaml:2:3: pushes.up: camera is missing\n" +
			"conf.d/b.yaml:2:3: pushes.up: url is missing"},
		{"a credential that was not given", func(b *box) {
			b.write("conf.d/a.yaml", "cameras:\n  b: {url: rtsp://d/, password: \"${cred:b}\"}\n")
		}, "conf.d/a.yaml:2:33: cameras.b.password: cannot read credential \"b\": no such file or directory " +
			"(systemd passes credentials by LoadCredential=)"},
		{"a credential where there are none", func(b *box) {
			b.opts.CredentialsDir = ""
			b.write("conf.d/a.yaml", "cameras:\n  b: {url: rtsp://d/, password: \"${cred:b}\"}\n")
		}, "conf.d/a.yaml:2:33: cameras.b.password: there is no credential \"b\" " +
			"(systemd passes credentials by LoadCredential=)"},
		{"a secret's file that is not there", func(b *box) {
			b.write("conf.d/a.yaml", "cameras:\n  b: {url: rtsp://d/, password_file: gone}\n")
		}, "conf.d/a.yaml:2:38: cameras.b.password_file: cannot read conf.d/gone: no such file or directory " +
			"(make the file, or mend its name here)"},
		{"a secret's file that is empty", func(b *box) {
			b.write("conf.d/a.yaml", "cameras:\n  b: {url: rtsp://d/, password_file: empty}\n")
			b.write("conf.d/empty", "\n")
		}, "conf.d/a.yaml:2:38: cameras.b.password_file: the secret must have 1 to 512 bytes in one line"},
		{"a secret's file that is huge", func(b *box) {
			b.write("conf.d/a.yaml", "cameras:\n  b: {url: rtsp://d/, password_file: huge}\n")
			b.write("conf.d/huge", strings.Repeat("x", 1<<20))
		}, "conf.d/a.yaml:2:38: cameras.b.password_file: the secret must have 1 to 512 bytes in one line"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := newBox(t, oneCamera)
			row.setup(b)
			if got := b.rejected(); got != row.want && !strings.HasSuffix(got, ": "+row.want) {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

func TestSecretsThatEverybodyCanRead(t *testing.T) {
	b := newBox(t, "version: 1\naccess: {view: open}\ncameras:\n  a: {url: rtsp://c/, password: x}\n"+
		"  b: {url: rtsp://d/, password_file: s}\n")
	for _, path := range []string{b.opts.File, b.write("s", "y")} {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, _ := b.load()
	var keys []string
	for _, w := range cfg.Warnings {
		keys = append(keys, w.Key)
	}
	if got := strings.Join(keys, " "); got != "cameras.a.password cameras.b.password_file" {
		t.Errorf("warned of %s", got)
	}
	text := FormatWarnings(cfg.Warnings, false)
	if !strings.Contains(text, "camrelay.yaml:4:33 warning cameras.a.password") {
		t.Errorf("%s", text)
	}
}

// TestEveryPrefix is a power cut while the file is written in place: each
// prefix is either refused or a smaller file, and nothing panics.
func TestEveryPrefix(t *testing.T) {
	for n := range documented {
		if _, err := Parse("c.yaml", []byte(documented[:n])); err != nil {
			if e := checkPlaces(err, documented[:n]); e != nil {
				t.Fatalf("after %d bytes: %v", n, e)
			}
		}
	}
}
