package daemon

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"camrelay/daemon/config"
)

// TestEveryBrokenFileAtTheStart starts the daemon with 60 broken files in the
// place of its configuration, one after another: what ran last runs.
func TestEveryBrokenFileAtTheStart(t *testing.T) {
	t.Parallel()
	s := newQuietSite(t, "")
	stop := s.start(t)
	first := s.await(t, stateApplied, 1)
	stop()
	golden, err := os.ReadFile("config/testdata/broken.golden")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(string(golden), "== ")[1:]
	const want = 60
	for i := range want {
		lines := strings.SplitN(rows[i*len(rows)/want], "\n", 3)
		text, err := strconv.Unquote(lines[1])
		if err != nil {
			text = "#" + strings.Repeat("x", 1<<20) // too long to stand there
		}
		s.write(t, s.opts.ConfigFile, text)
		stop := s.start(t)
		st := s.await(t, stateLastGood, 1)
		if len(st.Errors) == 0 || st.AppliedHash != first.Hash {
			t.Errorf("%s: %+v", lines[0], st)
		}
		stop()
	}
}

// TestPowerCuts starts the daemon on every state directory that a power cut
// while the last good configuration or the keepalives are saved can leave, with
// files that are broken: it runs the one before or the new one, and has the
// keepalive or has it not.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	s := newQuietSite(t, "")
	before := s.stateAfter(t, func() {})
	s.write(t, s.dropIn("20.yaml"), "cameras:\n  new: {url: \"rtsp://127.0.0.1:1/\", keep: ondemand}\n")
	after := s.stateAfter(t, func() {
		if got := s.post("/v3/paths/keepalive/add/gate", `{"label": "wall"}`); !strings.Contains(got, "id") {
			t.Fatalf("no keepalive: %s", got)
		}
	})
	s.write(t, s.opts.ConfigFile, "camras:\n")
	for _, name := range []string{lastGoodFile, "keepalives.json"} {
		for what, dir := range cutsOf(before, after, name) {
			if err := os.RemoveAll(s.opts.StateDir); err != nil {
				t.Fatal(err)
			}
			for file, text := range dir {
				s.write(t, filepath.Join(s.opts.StateDir, file), text)
			}
			stop := s.start(t)
			generation := 1
			if dir[lastGoodFile] == after[lastGoodFile] {
				generation = 2
			}
			s.await(t, stateLastGood, generation)
			list := s.get("/v3/paths/keepalive/list")
			if has, want := strings.Contains(list, "wall"), dir["keepalives.json"] == after["keepalives.json"]; has != want {
				t.Errorf("%s of %s: keepalives %s", what, name, list)
			}
			stop()
		}
	}
}

// stateAfter runs the daemon, lets it do something, and returns the files of its
// state directory.
func (s *site) stateAfter(t *testing.T, do func()) map[string]string {
	t.Helper()
	stop := s.start(t)
	await(t, "the configuration is applied", func() bool { return s.config().State == stateApplied })
	do()
	stop()
	files := make(map[string]string)
	all, err := os.ReadDir(s.opts.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		text, err := os.ReadFile(filepath.Join(s.opts.StateDir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

// cutsOf returns what each prefix of the operations leaves that replace one file:
// create a temporary one, write, sync, rename, sync the directory.
func cutsOf(before, after map[string]string, name string) map[string]map[string]string {
	cuts := make(map[string]map[string]string)
	with := func(what string, change func(dir map[string]string)) {
		dir := maps.Clone(before)
		change(dir)
		cuts[what] = dir
	}
	text := after[name]
	temporary := name + ".tmp"
	with("nothing", func(map[string]string) {})
	for i, part := range []string{"", text[:len(text)/2], strings.Repeat("\x00", len(text)), text} {
		with(fmt.Sprint("writing ", i), func(dir map[string]string) { dir[temporary] = part })
	}
	with("renaming", func(dir map[string]string) { dir[name] = text })
	with("the first save", func(dir map[string]string) { dir[name], dir[temporary] = text, text[:len(text)/3] })
	return cuts
}

// TestSecretsAreExchanged writes another secret into a file: the push that it is
// for reconnects, and nothing else does; the files have not changed, and the
// configuration has.
func TestSecretsAreExchanged(t *testing.T) {
	t.Parallel()
	cams := startCams(t)
	s := newQuietSite(t, "")
	s.write(t, s.opts.ConfigFile, strings.Split(quietSite, "cameras:")[0]+fmt.Sprintf(
		"cameras:\n  a: {url: %q, username: u, password_file: a, transport: tcp}\n"+
			"  b: {url: %q, username: u, password_file: b, transport: tcp}\n"+
			"pushes:\n  up: {camera: a, url: \"srt://127.0.0.1:1\", passphrase_file: pass}\n", cams.URL("a"), cams.URL("b")))
	secret := func(name, text string) { s.write(t, filepath.Join(filepath.Dir(s.opts.ConfigFile), name), text) }
	secret("a", "one")
	secret("b", "one")
	secret("pass", "a passphrase")
	s.start(t)
	first := s.await(t, stateApplied, 1)
	await(t, "both cameras play", func() bool { return cams.Stats().Requests["PLAY"] == 2 })
	secret("pass", "another passphrase")
	st := s.await(t, stateApplied, 2)
	if st.Hash != first.Hash {
		t.Error("the hash of the files knows of secrets")
	}
	secret("b", "two")
	s.await(t, stateApplied, 3)
	await(t, "camera b plays again", func() bool { return cams.Stats().Requests["PLAY"] == 3 })
	await(t, "camera b is warm", func() bool { return strings.Contains(s.get("/v1/cameras/b"), `"state":"warm"`) })
	if got := cams.Stats().Requests["PLAY"]; got != 3 {
		t.Errorf("%d times PLAY, want 3", got)
	}
	secret("b", "")
	if st := s.await(t, stateRejected, 3); len(st.Errors) != 1 || st.Errors[0].Key != "cameras.b.password_file" {
		t.Errorf("%+v", st.Errors)
	}
	kept, err := os.ReadFile(filepath.Join(s.opts.StateDir, lastGoodFile))
	if err != nil || strings.Contains(string(kept), "another passphrase") {
		t.Errorf("the secret is kept: %v", err)
	}
}

// FuzzLastGood feeds what may stand in the state directory: what is taken can be
// loaded or is refused, and nothing panics.
func FuzzLastGood(f *testing.F) {
	f.Add([]byte(`{"sha256":"","body":{}}`))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := parseLastGood(text)
		if err != nil {
			g = &lastGood{Files: []config.File{{Path: "a", Text: string(text)}}}
		}
		r := g.load(config.Options{})
		if r.Config == nil && len(r.Errors) == 0 {
			t.Error("refused without a reason")
		}
	})
}

// FuzzPlan edits a configuration: the way from one plan to another and back
// names as much, and that from a plan to itself nothing.
func FuzzPlan(f *testing.F) {
	f.Add(planBase)
	f.Add(diffBase)
	f.Add(strings.Replace(planBase, "ondemand", "warm", 1))
	f.Add("version: 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := config.Parse("c.yaml", []byte(text))
		if err != nil {
			return
		}
		base, err := config.Parse("c.yaml", []byte(diffBase))
		if err != nil {
			t.Fatal(err)
		}
		from, to := planOf(base, "1"), planOf(cfg, "1")
		if again := diff(to, planOf(cfg, "1")); len(again) > 0 {
			t.Errorf("the same differs: %v", again)
		}
		there, back := diff(from, to), diff(to, from)
		if len(there) != len(back) {
			t.Errorf("there %v\nback %v", there, back)
		}
		for _, c := range there {
			if c.Object == "" || c.Effect == "" {
				t.Errorf("%+v says nothing", c)
			}
		}
	})
}
