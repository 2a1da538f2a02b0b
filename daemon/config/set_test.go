package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOverrides has the rules of systemd: by name over all directories, the
// first one hides, and a link to /dev/null or an empty file masks.
func TestOverrides(t *testing.T) {
	b := newBox(t, oneCamera)
	b.opts.Dirs = nil
	for _, dir := range []string{"etc", "run", "usr"} {
		b.opts.Dirs = append(b.opts.Dirs, filepath.Join(b.dir, dir))
	}
	title := func(text string) string { return "defaults: {start_timeout: " + text + "}\n" }
	b.write("usr/10-a.yaml", "cameras: {a: {url: rtsp://usr/a}}\n")
	b.write("run/10-a.yaml", "cameras: {a: {url: rtsp://run/a}}\n")
	b.write("etc/10-a.yaml", "cameras: {a: {url: rtsp://etc/a}}\n")
	b.write("usr/20-b.yaml", "cameras: {b: {url: rtsp://usr/b}}\n")
	b.write("run/20-b.yaml", "cameras: {b: {url: rtsp://run/b}}\n")
	b.write("usr/30-masked.yaml", "cameras: {c: {url: rtsp://usr/c}}\n")
	b.write("run/40-emptied.yaml", "cameras: {d: {url: rtsp://run/d}}\n")
	b.write("etc/40-emptied.yaml", "")
	b.write("usr/90-last.yaml", title("9s"))
	b.write("etc/50-first.yaml", title("5s"))
	b.write("etc/.30-hidden.yaml", "x")
	if err := os.Symlink("/dev/null", filepath.Join(b.dir, "etc/30-masked.yaml")); err != nil {
		t.Fatal(err)
	}
	cfg, sources := b.load()
	var urls []string
	for _, name := range keysOf(cfg.Cameras) {
		urls = append(urls, cfg.Cameras[name].URL)
	}
	if got := strings.Join(urls, " "); got != "rtsp://etc/a rtsp://run/b rtsp://c/" {
		t.Errorf("cameras %s", got)
	}
	if got := short(cfg.Defaults.StartTimeout); got != "9s" {
		t.Errorf("start_timeout %s: the files are not in order of their names", got)
	}
	var read []string
	for _, s := range sources[1:] {
		read = append(read, strings.TrimPrefix(s.Path, b.dir+"/"))
	}
	want := "etc/10-a.yaml run/20-b.yaml etc/30-masked.yaml etc/40-emptied.yaml etc/50-first.yaml usr/90-last.yaml"
	if got := strings.Join(read, " "); got != want {
		t.Errorf("read %s\nwant %s", got, want)
	}
}

// TestMainFileOfAVendor counts where the box has none of its own.
func TestMainFileOfAVendor(t *testing.T) {
	b := newBox(t, oneCamera)
	b.opts.Vendor = []string{b.write("run/camrelay.yaml", "version: 1\n"), b.write("usr/camrelay.yaml", "vrsion: 1\n")}
	for _, step := range []struct {
		remove  string
		cameras int
	}{{"", 1}, {"camrelay.yaml", 0}} {
		os.Remove(filepath.Join(b.dir, step.remove))
		if cfg, _ := b.load(); len(cfg.Cameras) != step.cameras {
			t.Errorf("without %q: %d cameras, want %d", step.remove, len(cfg.Cameras), step.cameras)
		}
	}
	os.Remove(filepath.Join(b.dir, "run/camrelay.yaml"))
	if got := b.rejected(); !strings.HasPrefix(got, `usr/camrelay.yaml:1:1: unknown key "vrsion"`) {
		t.Error(got)
	}
	os.Remove(filepath.Join(b.dir, "usr/camrelay.yaml"))
	if got := b.rejected(); !strings.HasPrefix(got, "camrelay.yaml: cannot read") {
		t.Error(got)
	}
}

// TestHashIsOfNamesAndTexts: not of the place, nor of secrets.
func TestHashIsOfNamesAndTexts(t *testing.T) {
	one, two := newBox(t, oneCamera), newBox(t, oneCamera)
	hash := func(b *box) string { return Read(b.opts).Hash() }
	if hash(one) != hash(two) {
		t.Error("the place matters")
	}
	two.write("conf.d/a.yaml", "")
	if hash(one) == hash(two) {
		t.Error("an empty drop-in does not matter")
	}
	one.write("conf.d/b.yaml", "")
	if hash(one) == hash(two) {
		t.Error("the name does not matter")
	}
	with, err := Read(two.opts).With("b.yaml", "/tmp/x", nil, two.opts)
	if err != nil {
		t.Fatal(err)
	}
	two.write("conf.d/b.yaml", "")
	if with.Hash() != hash(two) {
		t.Error("a set with a file is another than when the file is saved")
	}
	if _, err := with.With("b.yml", "", nil, two.opts); err == nil {
		t.Error("b.yml is taken for a drop-in")
	}
}

// TestMistakesInTheMachinesFile cost the push that has them, and all of the file only
// where they are in no push; what people write is judged as ever.
func TestMistakesInTheMachinesFile(t *testing.T) {
	const (
		good = `"up": {"camera": "gate", "url": "rtmp://h/live/k"}`
		ftp  = `"far": {"camera": "gate", "url": "ftp://h/live"}`
		cred = `"old": {"camera": "gate", "url": "rtmp://h/live", "key": "${cred:none}"}`
		key  = `"new": {"camera": "gate", "url": "rtmp://h/live", "key": "k", "colour": "red"}`
	)
	pushes := func(all ...string) string { return `{"pushes": {` + strings.Join(all, ", ") + `}}` }
	for _, row := range []struct {
		name, machine, dropIn, main string
		want                        string // pushes that are taken; "rejected"
		out                         string // what is left out
	}{
		{name: "none", machine: pushes(good), want: "up"},
		{name: "in one push", machine: pushes(ftp, good), want: "up", out: "api.yaml: pushes.far"},
		{
			name: "in several pushes, one of which is found later", machine: pushes(ftp, cred, good, key), want: "up",
			out: "api.yaml: pushes.far, api.yaml: pushes.new, api.yaml: pushes.old",
		},
		{name: "in all pushes", machine: pushes(ftp), out: "api.yaml: pushes.far"},
		{name: "in a name", machine: pushes(good, `"A b": {}`), out: "api.yaml"},
		{name: "in a name that a push has", machine: pushes(ftp, good, ftp), out: "api.yaml"},
		{name: "in the section", machine: `{"pushes": [1]}`, out: "api.yaml"},
		{name: "in a push and beside the section", machine: `{"colour": 1, "pushes": {` + ftp + `}}`, out: "api.yaml"},
		{name: "in the text", machine: `{"pushes": {`, out: "api.yaml"},
		{
			name: "in a drop-in too", machine: pushes(ftp, good), dropIn: "camras: {}\n", want: "rejected",
			out: "api.yaml: pushes.far",
		},
		{
			name: "in a drop-in that is skipped", machine: pushes(ftp, good), dropIn: "camras: {}\n",
			main: "on_invalid: skip_file\n", want: "up", out: "10.yaml, api.yaml: pushes.far",
		},
		{name: "in the main file too", machine: pushes(ftp, good), main: "camras: {}\n", want: "rejected"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBox(t, "version: 1\ncameras: {gate: {url: rtsp://c/}}\n"+row.main)
			b.opts.Machine = b.write("state/api.yaml", row.machine)
			if row.dropIn != "" {
				b.write("conf.d/10.yaml", row.dropIn)
			}
			r := Read(b.opts).Load(b.opts)
			got := "rejected"
			if r.Config != nil {
				got = strings.Join(keysOf(r.Config.Pushes), ", ")
			}
			slices.Sort(r.LeftOut)
			out := strings.NewReplacer(b.dir+"/state/", "", b.dir+"/conf.d/", "").Replace(strings.Join(r.LeftOut, ", "))
			if got != row.want || out != row.out {
				t.Errorf("%q, without %q; want %q, without %q\n%v", got, out, row.want, row.out, r.Errors)
			}
			again := r.Taken.Load(b.opts) // as the last good one is at a start
			if (again.Config == nil) != (r.Config == nil) {
				t.Errorf("what was taken is %v", again.Errors)
			}
		})
	}
}

// TestADirectoryThatCannotBeRead is no empty one, also beside a mistake in the machine's
// file: its cameras would be gone.
func TestADirectoryThatCannotBeRead(t *testing.T) {
	for _, main := range []string{"", "on_invalid: skip_file\n"} {
		b := newBox(t, "version: 1\n"+main)
		b.opts.Dirs = []string{b.write("file", "")}
		for _, machine := range []string{"{}", `{"pushes": {"up": {"camera": "gate", "url": "ftp://h/"}}}`, `{"pushes": {`} {
			b.opts.Machine = b.write("state/api.yaml", machine)
			r := Read(b.opts).Load(b.opts)
			if skipped := slices.Contains(r.LeftOut, b.opts.Dirs[0]); skipped != (main != "") || skipped != (r.Config != nil) {
				t.Errorf("%s%s: taken %v, without %q", main, machine, r.Config != nil, r.LeftOut)
			}
		}
	}
}

// TestLenient has every kind of secret, and takes them all away.
func TestLenient(t *testing.T) {
	b := newBox(t, `version: 1
access: {view: open}
http: {tls: {cert_file: crt, key_file: key}}
rtsp: {tls: {cert_file: crt, key_file: key}}
srt: {passphrase_file: s}
defaults: {on_idle: ask}
cameras:
  gate: {url: rtsp://c/, username: u, password: "${cred:gate}"}
pushes:
  up: {camera: gate, url: "rtmps://h/a", key_file: s, tls: {ca_file: ca}}
  well: {camera: gate, url: "rtmp://h/a/b"}
hooks:
  events: {url: "https://h/", secret_file: s}
  on_none_reader: {url: "https://h/", tls: {ca_file: ca}}
`)
	if got := b.rejected(); strings.Count(got, "\n") != 9 {
		t.Errorf("not ten mistakes:\n%s", got)
	}
	b.opts.Lenient = true
	cfg, _ := b.load()
	if len(cfg.Hooks) != 0 || cfg.Pushes["up"].Enabled || !cfg.Pushes["well"].Enabled || cfg.SRT.Listen != "" ||
		cfg.RTSP.TLS.Listen != "" || cfg.HTTP.TLS.Listen != "" || cfg.RTSP.Listen == "" || cfg.Cameras["gate"].URL == "" {
		t.Errorf("%+v", cfg)
	}
	if len(cfg.Warnings) < 10 {
		t.Errorf("only %d warnings: %v", len(cfg.Warnings), cfg.Warnings)
	}
}

// FuzzLoad feeds two drop-ins of one set: with and without leaving out those that
// have mistakes nothing panics, and what is said has a place in its file.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("cameras: {a: {url: rtsp://c/}}"), []byte("pushes: {p: {camera: a, url: \"srt://h:1\"}}"))
	f.Add([]byte("cameras: {gate: {url: rtsp://c/}}"), []byte("cameras: {b: {ulr: x}}"))
	f.Add([]byte("on_invalid: skip_file"), []byte("users: [{name: a}]"))
	f.Add([]byte("srt: {passphrase_file: none}"), []byte("hooks: {events: {url: \"http://h/\", secret_file: x}}"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		if strings.Contains(string(one)+string(two), "_file") && strings.Contains(string(one)+string(two), "/") {
			return // it would read files of this box
		}
		set := &Set{Files: []File{{Path: "/nowhere/m.yaml", Text: oneCamera}}}
		opts := Options{Dirs: []string{"/nowhere/conf.d"}}
		texts := map[string]string{"/nowhere/m.yaml": oneCamera, "a": string(one), "b": string(two)}
		for name, text := range map[string][]byte{"a": one, "b": two} {
			var err error
			if set, err = set.With(name+".yaml", name, text, opts); err != nil {
				t.Fatal(err)
			}
		}
		for _, opts := range []Options{{}, {SkipFiles: true}, {SkipFiles: true, Lenient: true}} {
			r := set.Load(opts)
			if r.Config == nil && len(r.Errors) == 0 {
				t.Error("rejected without a reason")
			}
			if opts.SkipFiles && r.Config == nil {
				t.Errorf("rejected for a drop-in: %v", r.Errors)
			}
			for _, e := range r.Errors {
				if err := checkPlaces(Errors{e}, strings.TrimPrefix(texts[e.File], "\ufeff")); err != nil {
					t.Errorf("%s: %v", e.File, err)
				}
			}
		}
	})
}
