package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
)

// commandLine runs a command line and returns its exit code and what it prints.
func commandLine(t *testing.T, in io.Reader, args ...string) (code int, out, complaints string) {
	t.Helper()
	var o, e bytes.Buffer
	code = dispatch(t.Context(), console{in: in, out: &o, err: &e}, args)
	return code, o.String(), e.String()
}

// letsIn fails unless the configuration takes the line for a user and the
// credentials let that user in.
func letsIn(t *testing.T, line string, c auth.Credentials) {
	t.Helper()
	cfg, err := config.Parse("c.yaml", []byte("version: 1\nusers: [{name: alice, "+line+"}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	u := cfg.Users[0]
	access := auth.New(slog.New(slog.DiscardHandler))
	rules := auth.Rules{Users: []auth.User{{
		Name: u.Name, PasswordHash: u.PasswordHash, TokenHashes: u.TokenHashes, Role: auth.Role(u.Role),
	}}}
	if _, err := access.Set(rules); err != nil {
		t.Fatal(err)
	}
	if p, err := access.Authenticate(c); err != nil || p.Name != "alice" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestUserHash(t *testing.T) {
	rows := []struct {
		name, in, password string
	}{
		{"a line", "correct horse\n", "correct horse"},
		{"without the end of the line", " b@ttery:stäple ", " b@ttery:stäple "},
		{"a line of Windows", "correct horse\r\n", "correct horse"},
		{"too short", "hunter2\n", ""},
		{"nothing", "", ""},
		{"two lines", "correct horse\nbattery\n", ""},
		{"too long", strings.Repeat("x", maxPassword+1), ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			code, out, complaints := commandLine(t, strings.NewReader(row.in), "user", "hash")
			if row.password == "" {
				if code != exitFailed || out != "" || row.in != "" && strings.Contains(complaints, strings.TrimSpace(row.in)) {
					t.Errorf("code %d, %q, %q", code, out, complaints)
				}
				return
			}
			if code != exitOK || !strings.HasPrefix(out, `password_hash: "$argon2id$v=19$m=`) || complaints != "" {
				t.Fatalf("code %d, %q, %q", code, out, complaints)
			}
			letsIn(t, strings.TrimSpace(out), auth.Credentials{User: "alice", Password: row.password})
		})
	}
}

func TestUserToken(t *testing.T) {
	code, out, _ := commandLine(t, nil, "user", "token")
	token, line, _ := strings.Cut(strings.TrimPrefix(out, "token: "), "\n")
	if code != exitOK || len(token) != 43 {
		t.Fatalf("code %d, %q", code, out)
	}
	letsIn(t, strings.TrimSpace(line), auth.Credentials{Token: token})
	if _, again, _ := commandLine(t, nil, "user", "token"); again == out {
		t.Error("the same token twice")
	}
}

func TestUserTakesNoPasswordAsArgument(t *testing.T) {
	for _, args := range [][]string{
		{"user"}, {"user", "hash", "hunter2hunter2"}, {"user", "--hash"}, {"user", "hash", "-p", "hunter2hunter2"},
	} {
		code, out, complaints := commandLine(t, strings.NewReader("correct horse\n"), args...)
		if code != exitUsage || out != "" || !strings.Contains(complaints, "camrelay user hash") ||
			strings.Contains(complaints, "hunter2") {
			t.Errorf("%v: code %d, %q, %q", args, code, out, complaints)
		}
	}
}

// TestUserHashAtATerminal types at a terminal, which must not show it.
func TestUserHashAtATerminal(t *testing.T) {
	for _, row := range []struct{ name, second string }{
		{"the same twice", "correct horse"}, {"not the same", "battery staple"},
	} {
		t.Run(row.name, func(t *testing.T) {
			person, tty := openTerminal(t)
			prompts, complaints := io.Pipe()
			var out bytes.Buffer
			ended := make(chan int, 1)
			go func() {
				ended <- dispatch(t.Context(), console{in: tty, out: &out, err: complaints}, []string{"user", "hash"})
				complaints.Close()
			}()
			for _, line := range []string{"correct horse", row.second} {
				readUntil(t, prompts, ": ") // from here on nothing is shown
				if _, err := person.WriteString(line + "\n"); err != nil {
					t.Fatal(err)
				}
			}
			rest, err := io.ReadAll(prompts)
			if err != nil {
				t.Fatal(err)
			}
			code := <-ended
			if row.second == "correct horse" {
				if code != exitOK {
					t.Fatalf("code %d, %s", code, rest)
				}
				letsIn(t, strings.TrimSpace(out.String()),
					auth.Credentials{User: "alice", Password: "correct horse"})
			} else if code != exitFailed || out.Len() > 0 {
				t.Errorf("code %d, %q", code, &out)
			}
			tty.Close()
			if err := person.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			shown, _ := io.ReadAll(person) // it ends with an error: nobody holds the other end
			if strings.Contains(string(shown), "horse") || strings.Contains(string(shown), "staple") {
				t.Errorf("shown: %q", shown)
			}
		})
	}
}

func readUntil(t *testing.T, r io.Reader, end string) {
	t.Helper()
	var got []byte
	for b := make([]byte, 64); !strings.HasSuffix(string(got), end); {
		n, err := r.Read(b)
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got = append(got, b[:n]...)
	}
}

// openTerminal returns both ends of a new terminal: the person's and the
// program's.
func openTerminal(t *testing.T) (person, tty *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if e := raw.Control(func(fd uintptr) {
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err == nil {
			err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		}
	}); e != nil || err != nil {
		t.Fatal(e, err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tty.Close()
		person.Close()
	})
	return person, tty
}

// TestCheckOutsideOfSystemd has credentials that only systemd could pass.
func TestCheckOutsideOfSystemd(t *testing.T) {
	dir := t.TempDir()
	file := dir + "/c.yaml"
	text := "version: 1\naccess: {view: open}\ncameras: {gate: {url: rtsp://c/, password: \"${cred:gate}\"}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, dir, says string
		code            int
	}{
		{"no directory", "", "warning cameras.gate.password", exitOK},
		{"a directory that is not there", dir + "/gone", "warning cameras.gate.password", exitOK},
		{"a directory without the credential", dir, "error cameras.gate.password: cannot read credential", exitInvalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Setenv("CREDENTIALS_DIRECTORY", row.dir)
			code, _, complaints := commandLine(t, nil, "check", "-c", file)
			if code != row.code || !strings.Contains(complaints, row.says) {
				t.Errorf("code %d, %s", code, complaints)
			}
			if _, _, err := config.Load(config.Options{File: file, CredentialsDir: row.dir}); err == nil {
				t.Error("the daemon would run without the password")
			}
		})
	}
}

// TestUserAdd makes users of a box that has none.
func TestUserAdd(t *testing.T) {
	dir := t.TempDir()
	main := dir + "/camrelay.yaml"
	if err := os.WriteFile(main, []byte("version: 1\ncameras: {gate: {url: rtsp://c/}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := func(args ...string) []string { return append([]string{"user", "add"}, append(args, "-c", main)...) }
	for _, row := range []struct {
		name, typed string
		args        []string
		who         auth.Credentials // the secret is what is printed
		code        int
	}{
		{"a viewer of one camera", "", in("alice", "--cameras", "gate"), auth.Credentials{User: "alice"}, exitOK},
		{"an admin by a token", "", in("fleet", "--role", "admin", "--token"), auth.Credentials{}, exitOK},
		{"a password that is chosen", "correct horse\n", in("bob", "--choose"), auth.Credentials{User: "bob"}, exitOK},
		{"one that is there", "", in("alice"), auth.Credentials{}, exitFailed},
		{"a password that is too short", "horse\n", in("eve", "--choose"), auth.Credentials{}, exitFailed},
		{"a role that there is not", "", in("eve", "--role", "root"), auth.Credentials{}, exitUsage},
		{"a name that leads away", "", in("../eve"), auth.Credentials{}, exitUsage},
		{"no name", "", in(), auth.Credentials{}, exitUsage},
		{"cameras that are no names", "", in("eve", "--cameras", "a\"]\nversion: 2"), auth.Credentials{}, exitUsage},
		{"an empty camera", "", in("eve", "--cameras", "gate,"), auth.Credentials{}, exitUsage},
		{"an admin of one camera", "", in("eve", "--role", "admin", "--cameras", "gate"), auth.Credentials{}, exitUsage},
	} {
		code, out, complaints := commandLine(t, strings.NewReader(row.typed), row.args...)
		if code != row.code || code != exitOK && out != "" {
			t.Errorf("%s: code %d, %q, %s", row.name, code, out, complaints)
		}
		if code != exitOK {
			continue
		}
		if row.who.Password = strings.TrimSpace(out); row.typed != "" {
			row.who.Password = strings.TrimSpace(row.typed)
		}
		if strings.Contains(complaints, row.who.Password) || row.typed != "" && out != "" {
			t.Errorf("%s: printed %q, %s", row.name, out, complaints)
		}
		canLogIn(t, main, row.who, row.name)
	}
	files, err := os.ReadDir(dir + "/conf.d")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if st, err := f.Info(); err != nil || st.Mode().Perm() != 0o640 {
			t.Errorf("%v, %v", st, err)
		}
	}
}

// accessOf returns who a box of that configuration lets in.
func accessOf(t *testing.T, main string) (*auth.Access, []config.User) {
	t.Helper()
	dirs := []string{filepath.Join(filepath.Dir(main), "conf.d")}
	cfg, _, err := config.Load(config.Options{File: main, Dirs: dirs})
	if err != nil {
		t.Fatal(err)
	}
	var rules auth.Rules
	for _, u := range cfg.Users {
		rules.Users = append(rules.Users, auth.User{
			Name: u.Name, PasswordHash: u.PasswordHash, TokenHashes: u.TokenHashes, DigestHashes: u.DigestHashes,
			Role: auth.Role(u.Role), Cameras: u.Cameras,
		})
	}
	access := auth.New(slog.New(slog.DiscardHandler))
	if _, err := access.Set(rules); err != nil {
		t.Fatal(err)
	}
	return access, cfg.Users
}

// canLogIn fails unless a box of that configuration lets in by these
// credentials, and RTSP offers digest: everybody can by it.
func canLogIn(t *testing.T, main string, who auth.Credentials, name string) {
	t.Helper()
	access, _ := accessOf(t, main)
	if p, err := access.Authenticate(who); err != nil || p.MayView("yard") != (who.User != "alice") {
		t.Errorf("%s: %+v, %v", name, p, err)
	}
	if digest, basic := access.Schemes(); !digest || !basic {
		t.Errorf("%s: digest %v, basic %v", name, digest, basic)
	}
}
