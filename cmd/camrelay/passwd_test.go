package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
)

// userBox is a configuration with a user that user add has made, and one by hand.
func userBox(t *testing.T) (main, file, password string) {
	t.Helper()
	dir := t.TempDir()
	main, file = filepath.Join(dir, "camrelay.yaml"), filepath.Join(dir, "conf.d", "user-alice.yaml")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(main, "version: 1\ncameras: {gate: {url: rtsp://c/}, yard: {url: rtsp://d/}}\n")
	code, out, complaints := commandLine(t, nil, "user", "add", "alice", "-cameras", "gate", "-c", main)
	if code != exitOK {
		t.Fatalf("code %d, %s", code, complaints)
	}
	write(filepath.Join(dir, "conf.d", "user-hand.yaml"),
		"users: [{name: hand, password_hash: \""+auth.Hash("correct horse")+"\", digest_hash: \""+
			auth.DigestHash("hand", "correct horse")+"\"}]\n")
	return main, file, strings.TrimSpace(out)
}

func TestPasswd(t *testing.T) {
	for _, row := range []struct {
		name, typed string
		args        []string
		code        int
		says        string
	}{
		{"a password that is made", "", []string{"alice"}, exitOK, "alice has a new password"},
		{"a password that is chosen", "correct horse\n", []string{"alice", "-choose"}, exitOK, "alice has a new password"},
		{"a token", "", []string{"alice", "-token"}, exitOK, "alice has a new token"},
		{"a password that is too short", "horse\n", []string{"alice", "-choose"}, exitFailed, "at least 8 characters"},
		{"a user of another file", "", []string{"hand"}, exitFailed, "camrelay user hash"},
		{"a user that there is not", "", []string{"eve"}, exitFailed, "camrelay user add makes a user"},
		{"a name that leads away", "", []string{"../alice"}, exitUsage, "usage: camrelay passwd NAME"},
		{"both at once", "", []string{"alice", "-choose", "-token"}, exitUsage, "usage: camrelay passwd NAME"},
	} {
		t.Run(row.name, func(t *testing.T) {
			main, file, before := userBox(t)
			args := append([]string{"passwd"}, append(row.args, "-c", main)...)
			code, out, complaints := commandLine(t, strings.NewReader(row.typed), args...)
			if code != row.code || !strings.Contains(complaints, row.says) {
				t.Fatalf("code %d, %q, %s", code, out, complaints)
			}
			if code != exitOK {
				canLogIn(t, main, auth.Credentials{User: "alice", Password: before}, "as before")
				return
			}
			who := auth.Credentials{User: "alice", Password: strings.TrimSpace(out + row.typed)}
			if strings.Contains(row.says, "token") {
				who = auth.Credentials{User: "alice", Password: strings.TrimSpace(out)}
			}
			canLogIn(t, main, who, "with the new one")
			access, users := accessOf(t, main)
			for _, u := range users {
				if u.Name == "alice" && (u.Role != config.RoleViewer || len(u.Cameras) != 1 || len(u.DigestHashes) != 1) {
					t.Errorf("alice is %+v", u)
				}
			}
			if _, err := access.Authenticate(auth.Credentials{User: "alice", Password: before}); err == nil {
				t.Error("the password of before still lets in")
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("%v, %v", info, err)
			}
		})
	}
}

func TestWhereViewersFindTheBox(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name      string
		listeners map[string]string
		host      string
		want      string
	}{
		{"at all addresses", map[string]string{"http": "[::]:8888"}, "", "http://" + name + ".local:8888"},
		{"at one address", map[string]string{"http": "192.0.2.7:80"}, "", "http://192.0.2.7:80"},
		{"at a name that is given", map[string]string{"http": "[::]:8888"}, "box.example", "http://box.example:8888"},
		{"at an address of IPv6", map[string]string{"http": ":8888"}, "2001:db8::7", "http://[2001:db8::7]:8888"},
		{"by TLS only", map[string]string{"https": "0.0.0.0:8443"}, "", "https://" + name + ".local:8443"},
		{"nowhere", map[string]string{"rtsp": ":8554"}, "", ""},
	} {
		if got, err := viewersURL(row.listeners, row.host); got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%s: %q, %v, want %q", row.name, got, err, row.want)
		}
	}
}
