package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// ownToken is the token by which the tests use the API where there are users.
const ownToken = "the-token-of-the-tests"

// asAdmin shows the token of the tests to the API.
type asAdmin struct{ http.RoundTripper }

func (a asAdmin) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+ownToken)
	return a.RoundTripper.RoundTrip(r)
}

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// wonderland is alice's password.
const wonderland = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$Rh3dMUBNCYmS1xkSWBgSXugo3+Jb9WsS"

// site is two cameras for the users given, one a line, and for the tests.
func site(cams *gstCams, users ...string) string {
	return fmt.Sprintf("version: 1\ncameras:\n  gate: {url: \"%s\"}\n  yard: {url: \"%s\"}\nusers:\n", cams.url("/h264"),
		cams.url("/video")) + strings.Join(append(users,
		"  - {name: root, role: admin, token_hash: "+tokenHash(ownToken)+"}\n"), "")
}

// TestUsersWatch lets users watch what is theirs by each way to show who they
// are, and sends them away when that is taken from them.
func TestUsersWatch(t *testing.T) {
	cams := startGstCams(t, "0")
	alice := "  - {name: alice, cameras: [gate], password_hash: \"" + wonderland + "\"}\n"
	wall := "  - {name: wall, token_hash: " + tokenHash("wall-token") + "}\n"
	b := startBox(t, site(cams, alice, wall))
	b.awaitActive("gate", "yard")
	as := func(user, url string) string { return strings.Replace(url, "://", "://"+user+"@", 1) }
	for _, row := range []struct{ name, url, refused string }{
		{"RTSP with a password", as("alice:wonderland", b.rtsp("gate")), ""},
		{"RTSP with a token in the URL", b.rtsp("yard?token=wall-token"), ""},
		{"RTSP with a token for a password", as("wall:wall-token", b.rtsp("yard")), ""},
		{"RTSP without", b.rtsp("gate"), "401"},
		{"RTSP with a wrong password", as("alice:rabbit", b.rtsp("gate")), "401"},
		{"RTSP of another's camera", as("alice:wonderland", b.rtsp("yard")), "403"},
		{"HLS with a password", as("alice:wonderland", b.http("gate/index.m3u8")), ""},
		{"HLS with a token in the URL", b.http("yard/index.m3u8?token=wall-token"), ""},
		{"HLS without", b.http("gate/index.m3u8"), "401"},
		{"HLS with a wrong token", b.http("gate/index.m3u8?token=wall"), "401"},
		{"HLS of another's camera", as("alice:wonderland", b.http("yard/index.m3u8")), "403"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.refused != "" {
				checkRefused(t, row.url, row.refused)
			} else if n := decode(t, 60*time.Second, "-i", row.url, "-frames:v", "20"); n < 20 {
				t.Errorf("%d pictures, want 20", n)
			}
		})
	}
	t.Run("HLS with a token in a header", func(t *testing.T) {
		if n := decode(t, 60*time.Second, "-headers", "Authorization: Bearer wall-token\r\n",
			"-i", b.http("yard/index.m3u8"), "-frames:v", "20"); n < 20 {
			t.Errorf("%d pictures, want 20", n)
		}
	})
	t.Run("HLS with a link", func(t *testing.T) {
		made := b.call("POST", "/v1/links", `{"cameras": ["yard"], "for": "10m"}`).want(http.StatusCreated)
		link := strings.TrimSuffix(made.str("page"), "/")
		if n := decode(t, 60*time.Second, "-i", b.http(strings.TrimPrefix(link, "/")+"/yard/index.m3u8"),
			"-frames:v", "20"); n < 20 {
			t.Errorf("%d pictures, want 20", n)
		}
		checkRefused(t, b.http(strings.TrimPrefix(link, "/")+"/gate/index.m3u8"), "403")
		if strings.Contains(b.log.String(), link) {
			t.Error("the log holds the link")
		}
	})
	t.Run("who is taken off the list is sent away", func(t *testing.T) {
		gone := watch(t, as("alice:wonderland", b.rtsp("gate")))
		stays := watch(t, b.rtsp("yard?token=wall-token"))
		awaitViewers(t, b, "alice gate", "wall yard")
		b.write(site(cams, wall))
		select {
		case <-gone:
		case <-time.After(20 * time.Second):
			t.Error("alice still watches")
		}
		checkRefused(t, as("alice:wonderland", b.http("gate/index.m3u8")), "401")
		awaitViewers(t, b, "wall yard")
		select {
		case <-stays:
			t.Error("wall was sent away too")
		default:
		}
	})
	for _, secret := range []string{"wonderland", "rabbit", "wall-token", ownToken} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// watch plays a stream until it is ended; then the channel is closed.
func watch(t *testing.T, url string) <-chan struct{} {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", url,
		"-c", "copy", "-f", "null", "-")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		// It ends with an error when it is sent away, or killed with the test.
		_ = cmd.Wait()
		close(ended)
	}()
	return ended
}

// awaitViewers waits until the viewers by RTSP are these, each a user and a path.
func awaitViewers(t *testing.T, b *box, want ...string) {
	t.Helper()
	eventually(t, 30*time.Second, "the right viewers", func() error {
		st, err := b.status()
		var got []string
		for _, v := range st.Viewers {
			if strings.EqualFold(v.Protocol, "rtsp") {
				got = append(got, v.User+" "+v.Path)
			}
		}
		slices.Sort(got)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("viewers %q, want %q", got, want)
		}
		return err
	})
}

// TestAPIAsksWhoItIs uses the API over TCP, with and without users.
func TestAPIAsksWhoItIs(t *testing.T) {
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264")))
	get := func(path, token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.addr("api")+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if code := get("/v1/status", ""); code != http.StatusOK {
		t.Errorf("without users: status %d", code)
	}
	b.write(site(cams, "  - {name: wall, cameras: [gate], token_hash: "+tokenHash("wall-token")+"}\n"))
	eventually(t, time.Minute, "the API asks for credentials", func() error {
		if code := get("/v1/status", ""); code != http.StatusUnauthorized {
			return fmt.Errorf("status %d", code)
		}
		return nil
	})
	for _, row := range []struct {
		path, token string
		want        int
	}{
		{"/healthz", "", 200},
		{"/v3/paths/get/gate", "wall-token", 200},
		{"/v3/paths/get/yard", "wall-token", 404},
		{"/v3/paths/get/yard", ownToken, 200},
		{"/v3/paths/get/gate", "", 401},
		{"/v3/paths/get/gate", "wall", 401},
		{"/v3/nothing", "", 404},
	} {
		if code := get(row.path, row.token); code != row.want {
			t.Errorf("%s with %q: status %d, want %d", row.path, row.token, code, row.want)
		}
	}
}
