package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/session"
	"camrelay/daemon/webhook"
)

// wire is a listener whose connections exist in memory, so that their deadlines
// keep to the time of a bubble.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error   { close(w.closed); return nil }
func (w *wire) Addr() net.Addr { return &net.UnixAddr{Name: "api", Net: "unix"} }

// socket is an end of it that looks like one of the unix socket.
type socket struct{ net.Conn }

func (socket) LocalAddr() net.Addr { return &net.UnixAddr{Name: "api", Net: "unix"} }

// followed is an API on a wire, with the timeouts of the daemon's servers.
type followed struct {
	t      *testing.T
	wire   *wire
	access *auth.Access
	events *webhook.Log
}

func newFollowed(t *testing.T, rules auth.Rules) *followed {
	t.Helper()
	f := &followed{t: t, wire: &wire{make(chan net.Conn), make(chan struct{})}, events: webhook.NewLog()}
	f.access = auth.New(slog.New(slog.DiscardHandler))
	f.set(rules)
	srv := &http.Server{
		Handler:           New(Config{Access: f.access, Events: f.events, Sessions: session.NewRegistry(nil)}),
		ReadHeaderTimeout: 5 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 30 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(f.wire) }()
	t.Cleanup(func() {
		srv.Close() // the connections may be gone
		<-served
	})
	return f
}

func (f *followed) set(rules auth.Rules) {
	f.t.Helper()
	if _, err := f.access.Set(rules); err != nil {
		f.t.Fatal(err)
	}
}

// ask sends a request and returns the connection, of which nothing is read.
func (f *followed) ask(query, token string) net.Conn {
	f.t.Helper()
	near, far := net.Pipe()
	f.t.Cleanup(func() { near.Close() })
	f.wire.conns <- socket{far}
	request := "GET /v1/events" + query + " HTTP/1.1\r\nHost: localhost\r\n"
	if token != "" {
		request += "Authorization: Bearer " + token + "\r\n"
	}
	if _, err := io.WriteString(near, request+"\r\n"); err != nil {
		f.t.Fatal(err)
	}
	return near
}

// read reads an answer until it ends, and returns its events and comments.
func (f *followed) read(conn net.Conn) *heard {
	f.t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	h := &heard{code: res.StatusCode, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		defer res.Body.Close()
		for text := bufio.NewScanner(res.Body); text.Scan(); {
			name, value, _ := strings.Cut(text.Text(), ": ")
			switch name {
			case "event":
				h.types = append(h.types, value)
			case "data":
				h.data = append(h.data, value)
			case "":
				if value != "" {
					h.comments++
				}
			}
		}
	}()
	return h
}

// heard is what a client got. It may be read after synctest.Wait.
type heard struct {
	code     int
	types    []string
	data     []string
	comments int
	done     chan struct{}
}

func (h *heard) ended() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// TestAFollowerStaysPastTheTimeoutsOfTheServer, and hears every 15 s that it stands.
func TestAFollowerStaysPastTheTimeoutsOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollowed(t, auth.Rules{})
		h := f.read(f.ask("", ""))
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if h.ended() || h.comments != 1+4*60 {
			t.Fatalf("ended %v after %d comments, want %d", h.ended(), h.comments, 1+4*60)
		}
		f.events.Append(webhook.Event{Type: "path.ready", Path: "gate"})
		synctest.Wait()
		if len(h.types) != 1 || h.types[0] != "path.ready" {
			t.Errorf("events %v", h.types)
		}
	})
}

// TestAFollowerThatDoesNotReadIsLetGo: its place is another's.
func TestAFollowerThatDoesNotReadIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollowed(t, auth.Rules{})
		f.events.Append(webhook.Event{Type: "path.ready", Path: "gate"})
		for range maxFollowers {
			f.ask("?since=0", "")
		}
		synctest.Wait()
		if h := f.read(f.ask("", "")); h.code != http.StatusServiceUnavailable {
			t.Errorf("status %d while all places are taken", h.code)
		}
		time.Sleep(sendTimeout + time.Second)
		synctest.Wait()
		if h := f.read(f.ask("", "")); h.code != http.StatusOK {
			t.Errorf("status %d after those who do not read were let go", h.code)
		}
	})
}

// TestViewersLeaveRoomForOperators: they may be many, and each may ask often.
func TestViewersLeaveRoomForOperators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollowed(t, staff())
		for range maxWatching {
			f.read(f.ask("", "viewer"))
		}
		for range 2 { // a place that was refused is free
			if h := f.read(f.ask("", "viewer")); h.code != http.StatusServiceUnavailable {
				t.Errorf("status %d for one viewer more", h.code)
			}
		}
		for range maxFollowers - maxWatching {
			if h := f.read(f.ask("", "operator")); h.code != http.StatusOK {
				t.Errorf("status %d for an operator", h.code)
			}
		}
		if h := f.read(f.ask("", "operator")); h.code != http.StatusServiceUnavailable {
			t.Errorf("status %d while all places are taken", h.code)
		}
	})
}

// TestUnwantedEventsDoNotSilenceTheHeartbeat: there is always something, but
// nothing for this client.
func TestUnwantedEventsDoNotSilenceTheHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollowed(t, auth.Rules{})
		h := f.read(f.ask("?type=push.*", ""))
		for range 120 {
			f.events.Append(webhook.Event{Type: "session.opened", Path: "gate"})
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if len(h.types) != 0 || h.comments < 8 {
			t.Errorf("events %v, %d comments in 120 s", h.types, h.comments)
		}
	})
}

func TestAFollowerHearsOnlyOfWhatItMaySee(t *testing.T) {
	rows := []struct {
		token string
		want  string
	}{
		{"viewer", "path.ready"}, // of gate
		{"operator of gate", "path.ready box.condition_raised"},
		{"operator", "path.ready path.not_ready config.applied box.condition_raised"},
		{"admin", "path.ready path.not_ready config.applied box.condition_raised"},
	}
	for _, row := range rows {
		t.Run(row.token, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rules, limited := staff(), "operator of gate"
				rules.Users = append(rules.Users, auth.User{
					Name: limited, TokenHashes: sums(limited), Role: auth.RoleOperator, Cameras: []string{"gate"},
				})
				f := newFollowed(t, rules)
				h := f.read(f.ask("?since=0", row.token))
				f.events.Append(webhook.Event{Type: "path.ready", Path: "gate"})
				f.events.Append(webhook.Event{Type: "path.not_ready", Path: "yard"})
				f.events.Append(webhook.Event{Type: "config.applied", Reason: "not about yard"})
				f.events.Append(webhook.Event{Type: "box.condition_raised"})
				synctest.Wait()
				if got := strings.Join(h.types, " "); got != row.want {
					t.Errorf("%q, want %q", got, row.want)
				}
			})
		})
	}
}

// TestAFollowerLosesItsRightsWithItsUser, not only when it connects again.
func TestAFollowerLosesItsRightsWithItsUser(t *testing.T) {
	rows := []struct {
		name string
		edit func(users []auth.User) []auth.User
		ends bool
	}{
		{"its user is gone", func(users []auth.User) []auth.User { return users[1:] }, true},
		{"its token is gone", func(users []auth.User) []auth.User {
			users[0].TokenHashes = sums("new")
			return users
		}, true},
		{"it has another camera", func(users []auth.User) []auth.User {
			users[0].Cameras = []string{"yard"}
			return users
		}, false},
		{"another user is gone", func(users []auth.User) []auth.User { return users[:1] }, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFollowed(t, staff())
				h := f.read(f.ask("", "viewer"))
				synctest.Wait()
				rules := staff()
				rules.Users = row.edit(rules.Users)
				f.set(rules)
				f.events.Append(webhook.Event{Type: "path.ready", Path: "gate"})
				f.events.Append(webhook.Event{Type: "path.ready", Path: "yard"})
				time.Sleep(heartbeat)
				synctest.Wait()
				sees := "gate"
				if rules.Users[0].Name == "viewer" {
					sees = rules.Users[0].Cameras[0]
				}
				for _, data := range h.data {
					var e webhook.Event
					if err := json.Unmarshal([]byte(data), &e); err != nil || row.ends || e.Path != sees {
						t.Errorf("it hears %s", data)
					}
				}
				if h.ended() != row.ends || !row.ends && len(h.data) != 1 {
					t.Errorf("ended %v, data %v", h.ended(), h.data)
				}
			})
		})
	}
}

// TestAFollowerIsGoneWithItsConnection, without anything happening.
func TestAFollowerIsGoneWithItsConnection(t *testing.T) {
	url, events := eventServer(t)
	events.Append(webhook.Event{Type: "first"})
	for range 4 * maxFollowers {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"?since=0", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for {
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode == http.StatusOK {
				break
			}
			res.Body.Close()
		}
		cancel()
	}
}
