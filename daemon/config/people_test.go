package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"camrelay/media"
)

// hash is what camrelay user hash prints for hunter2.
const hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"

func TestSchedules(t *testing.T) {
	rows := []struct{ name, keep, want string }{
		{"one window", `{warm: "06:00-22:00"}`, "hours 06:00-22:00"},
		{"over midnight", `{warm: "22:30-06:00"}`, "hours 22:30-06:00"},
		{"a whole day", `{warm: "00:00-24:00"}`, "hours 00:00-24:00"},
		{"days of the week", `{warm: "mon-wed,sat 06:00-22:00"}`, "hours mon,tue,wed,sat 06:00-22:00"},
		{"days over the end of the week", `{warm: "fri-mon 06:00-22:00"}`, "hours sun,mon,fri,sat 06:00-22:00"},
		{"every day by name", `{warm: "mon-sun 06:00-22:00"}`, "hours 06:00-22:00"},
		{"several", `{warm: ["06:00-08:00", "sun 10:00-12:00"]}`, "hours 06:00-08:00; sun 10:00-12:00"},
		{"a time zone", `{warm: "06:00-22:00", timezone: Europe/Berlin}`, "hours 06:00-22:00 Europe/Berlin"},
		{"always", "warm", "warm"},
		{"never by itself", "ondemand", "ondemand"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cfg := parse(t, "version: 1\ndefaults: {keep: {warm: \"01:00-02:00\"}}\ncameras:\n  a: {url: rtsp://c/, keep: "+
				row.keep+"}\n  b: {url: rtsp://c/}\n")
			c := cfg.Cameras["a"]
			if got := strings.TrimSpace(strings.Join(strings.Fields(
				string(c.Keep)+" "+c.Schedule.String()+" "+c.Schedule.Zone), " ")); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
			if b := cfg.Cameras["b"]; b.Keep != KeepHours || b.Schedule.String() != "01:00-02:00" {
				t.Errorf("what says nothing has %s %s", b.Keep, b.Schedule)
			}
		})
	}
	w, _ := parseWindow("sun 22:30-06:00")
	if !w.Days.Has(time.Sunday) || w.Days.Has(time.Monday) || w.From != 22*60+30 || w.To != 360 {
		t.Errorf("%+v", w)
	}
}

func TestUsers(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	b := newBox(t, "version: 1\ncameras: {gate: {url: rtsp://c/}}\nusers:\n"+
		"  - {name: alice, password_hash: \"${cred:alice}\", cameras: [gate, gats]}\n"+
		"  - {name: Bob@site, role: operator, password_hash: \""+hash+"\", token_hash: "+sum+", cameras: []}\n")
	b.write("conf.d/a.yaml", "users:\n  - {name: tv, role: admin, token_hashes: ["+sum+", "+sum+"]}\n")
	b.write("cred/alice", hash+"\n")
	cfg, _ := b.load()
	want := []User{
		{Name: "alice", PasswordHash: hash, Role: RoleViewer, Cameras: []string{"gate", "gats"}},
		{
			Name: "Bob@site", PasswordHash: hash, TokenHashes: []media.Secret{media.Secret(sum)},
			Role: RoleOperator, Cameras: []string{},
		},
		{Name: "tv", TokenHashes: []media.Secret{media.Secret(sum), media.Secret(sum)}, Role: RoleAdmin},
	}
	if !reflect.DeepEqual(cfg.Users, want) {
		t.Errorf("users\n%+v, want\n%+v", cfg.Users, want)
	}
	if strings.Contains(fmt.Sprintf("%+v %#v", cfg.Users, cfg.Users), "argon2id") {
		t.Error("hashes are printed")
	}
	if len(cfg.Warnings) != 2 || cfg.Warnings[0].Line != 4 || !strings.Contains(cfg.Warnings[0].Error(), "did you mean") ||
		!strings.HasSuffix(cfg.Warnings[1].Error(), "conf.d/a.yaml:2:29: users[2].token_hashes: user Bob@site has the same "+
			"token: who shows it without a name is tv (make one for each)") {
		t.Errorf("warnings %v", cfg.Warnings)
	}
	b.write("conf.d/b.yaml", "users:\n  - {name: alice, token_hash: "+sum+"}\n")
	got := b.rejected()
	if want := "conf.d/b.yaml:2:12: users[3].name: there is a user of that name in "; !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
}

func TestHooks(t *testing.T) {
	b := newBox(t, `version: 1
hooks:
  on_not_found: {url: "http://127.0.0.1:7000/hook?x=1"}
  on_none_reader: {url: http://h/, timeout: 1s, on_error: fail}
  on_keepalive: {url: http://h/, interval: 30s}
  events:
    url: https://fleet.example/events
    secret_file: hmac
    events: [session.*, path.ready, session.*]
    tls: {ca_file: ca.pem}
`)
	b.write("hmac", "0123456789abcdef\n")
	ca := b.write("ca.pem", authority)
	cfg, sources := b.load()
	for name, want := range map[string]Hook{
		HookNotFound:   {URL: "http://127.0.0.1:7000/hook?x=1", Timeout: 5 * time.Second},
		HookNoneReader: {URL: "http://h/", Timeout: time.Second, OnError: ErrorFail},
		HookKeepalive:  {URL: "http://h/", Timeout: 5 * time.Second, Interval: 30 * time.Second},
		HookEvents: {
			URL: "https://fleet.example/events", Secret: "0123456789abcdef", TLS: TLS{CA: authority}, Timeout: 5 * time.Second,
			Events: "path.ready session.*",
		},
	} {
		if want.OnError == "" {
			want.OnError = ErrorIgnore
		}
		if want.Interval == 0 {
			want.Interval = 10 * time.Second
		}
		if cfg.Hooks[name] != want {
			t.Errorf("%s is %+v", name, cfg.Hooks[name])
		}
	}
	if len(cfg.Warnings) != 0 || len(sources) != 3 || sources[2].Path != ca || len(sources[2].SHA256) != 64 {
		t.Errorf("warnings %v, sources %+v", cfg.Warnings, sources)
	}
	b.write("conf.d/a.yaml", "hooks: {on_keepalive: {interval: 5s}}\n")
	if cfg, _ := b.load(); cfg.Hooks[HookKeepalive].Interval != 5*time.Second || cfg.Hooks[HookKeepalive].URL == "" {
		t.Errorf("a drop-in makes it %+v", cfg.Hooks[HookKeepalive])
	}
	b.write("ca.pem", "nothing")
	if got := b.rejected(); !strings.Contains(got, "hooks.events.tls.ca_file: the file holds no certificate") {
		t.Errorf("got %s", got)
	}
}

// TestSmallSections reads what the sections of one or two keys say.
func TestSmallSections(t *testing.T) {
	cfg := parse(t, "version: 1\nterminate: {hold_off: 5m, empty_means_all: true}\nstalled_after: 20s\n"+
		"keepalives: {wall: {camera: gate, label: Wall, priority: 7}}\n"+
		"cameras: {gate: {url: rtsp://c/, on_idle: keep}}\n")
	if cfg.Terminate != (Terminate{HoldOff: 5 * time.Minute, EmptyMeansAll: true}) || cfg.StalledAfter != 20*time.Second ||
		cfg.Keepalives["wall"] != (Keepalive{Camera: "gate", Label: "Wall", Priority: 7}) ||
		cfg.Cameras["gate"].OnIdle != IdleKeep {
		t.Errorf("%+v", cfg)
	}
}

func TestWarnings(t *testing.T) {
	admin := "users: [{name: a, token_hash: " + strings.Repeat("a", 64) + "}]\n"
	rows := []struct{ name, text, key string }{
		{"nobody may watch", "cameras: {a: {url: rtsp://c/}}\n", "access.view"},
		{"users may watch", admin + "cameras: {a: {url: rtsp://c/}}\n", ""},
		{"an API for others that are not there", "api: {listen: \":9997\"}\n", "api.listen"},
		{"an API for users", admin + "api: {listen: \":9997\"}\n", ""},
		{
			"a hook that nobody asks", "defaults: {on_idle: close}\nhooks: {on_none_reader: {url: http://h/}}\n",
			"hooks.on_none_reader",
		},
		{"a hook that is asked unless somebody says otherwise", "hooks: {on_none_reader: {url: http://h/}}\n", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var keys []string
			for _, w := range parse(t, "version: 1\n"+row.text).Warnings {
				keys = append(keys, w.Key)
			}
			if got := strings.Join(keys, " "); got != row.key {
				t.Errorf("warned of %q", got)
			}
		})
	}
}

// authority is a certificate.
const authority = `-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUC2bCRKR8rQGbAZSta6PUVyRpN64wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjEwODMzMzZaGA8yMTI2MTAyODA4MzMz
NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCiL
RcwRDPmDUpdr9M8BPOV7z3gKyGrnef/GlDAxkkiHyTEI+7xXfGAvj/7z8QMFEUlS
rlkHFwzYs6Xi7cI9eFCjUzBRMB0GA1UdDgQWBBQZWfHsg9Zl3Rz6BGNDL24TliBe
MzAfBgNVHSMEGDAWgBQZWfHsg9Zl3Rz6BGNDL24TliBeMzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIHgZQVBnO0345lC+60czucx59f+IRDRCFMqi
zZPlhpXWAiEA+gJIx/GyoOEd7ESs+/KFJ28wqkKIuiN7azIXb/jT4tU=
-----END CERTIFICATE-----
`
