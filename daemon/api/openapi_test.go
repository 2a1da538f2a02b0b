package api

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/keepalive"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/daemon/webhook"
)

var update = flag.Bool("update", false, "rewrite openapi.json")

// TestOpenAPIIsOfTheRouter makes the description anew of the table of routes.
func TestOpenAPIIsOfTheRouter(t *testing.T) {
	doc := newDocument(t)
	known := operations()
	for _, r := range (server{}).routes() {
		op, ok := known[r.pattern]
		if !ok {
			t.Errorf("%s is not described", r.pattern)
			continue
		}
		delete(known, r.pattern)
		doc.add(r, op)
	}
	for pattern := range known {
		t.Errorf("%s is described, and is no route", pattern)
	}
	want, err := json.MarshalIndent(doc.json(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(want, openAPIText) {
		t.Error("openapi.json is not of the routes and types; go test ./daemon/api -run OpenAPI -update")
	}
}

// described is the shipped document.
func described(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(openAPIText, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestAnswersAreAsDescribed asks every route that only reads, and some that find
// nothing, and holds the answers against the shipped document.
func TestAnswersAreAsDescribed(t *testing.T) {
	doc := described(t)
	h, ids := fullRig(t)
	for _, r := range (server{}).routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		if method != http.MethodGet || path == "/v1/events" {
			continue
		}
		for _, name := range []string{"gate", "nobody"} {
			asked := strings.NewReplacer("{name...}", name, "{name}", name, "{id}", ids[path]).Replace(path)
			if strings.HasPrefix(path, "/v1/pushes/") && name == "gate" {
				asked = "/v1/pushes/up"
			}
			res := request(t, h, method, asked, func(*http.Request) {})
			var body any
			if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
				t.Errorf("%s: status %d, %v", asked, res.StatusCode, err)
				continue
			}
			if res.StatusCode != http.StatusOK && name == "gate" {
				t.Errorf("%s: status %d, %v", asked, res.StatusCode, body)
			}
			hold(t, doc, asked, r.pattern, res, body)
		}
	}
	for path, body := range map[string]string{
		"/rest-api/stream/find_all": "", "/rest-api/stream/find": `{"name": "nobody"}`,
		"/rest-api/stream/terminate": `{"name": "gate", "dryRun": true, "published": true}`,
		"/v1/cameras/gate/start":     "", "/v1/cameras/gate/stop": `{"hold_off": "1m"}`,
		"/v1/config/plan": `{"file": 1}`, "/v1/pushes": `{}`,
	} {
		res := send(t, h, http.MethodPost, path, body)
		var answer any
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Errorf("%s: status %d, %v", path, res.StatusCode, err)
			continue
		}
		hold(t, doc, path, "POST "+strings.Replace(path, "/gate/", "/{name}/", 1), res, answer)
	}
}

// send asks with a body.
func send(t *testing.T, h http.Handler, method, path, body string) *http.Response {
	t.Helper()
	return request(t, h, method, path, func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	})
}

// fullRig is a rig with something of everything, and the ID for each route that
// has one in its path.
func fullRig(t testing.TB) (h http.Handler, ids map[string]string) {
	t.Helper()
	cfg := rigConfig(t, auth.Rules{})
	ids = make(map[string]string)
	counts := func() (read, wrote uint64) { return 1, 2 }
	for _, k := range v3Kinds() {
		info := session.Info{Kind: session.Viewer, Protocol: k.protocol, Path: "gate"}
		one, _ := cfg.Sessions.Open(t.Context(), info, counts)
		ids["/v3/"+k.name+"/get/{id}"] = one.ID
		gone, _ := cfg.Sessions.Open(t.Context(), info, counts)
		gone.Close(nil)
	}
	cfg.Sessions.Open(t.Context(), session.Info{Kind: session.Pull, Protocol: "rtsp", Path: "gate"}, counts)
	l, err := cfg.Keepalive.Add(t.Context(), keepalive.Request{Path: "gate", TTL: time.Hour}, keepalive.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	ids["/v3/paths/keepalive/get/{id}"] = l.ID
	stop := make(chan struct{})
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	gate := cfg.Relay.Path("gate")
	wg.Go(func() {
		_ = gate.Pull(ctx, supervise.Policy{}, func(ctx context.Context, active func()) error {
			active()
			close(stop)
			<-ctx.Done()
			return ctx.Err()
		})
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	<-stop
	for gate.State().Phase != supervise.Active {
		runtime.Gosched()
	}
	cfg.HLS = func(string) *HLSStatus { return &HLSStatus{Warnings: []string{}} }
	cfg.Hooks = func() map[string]webhook.Status { return map[string]webhook.Status{"events": {}} }
	cfg.Plan = func(PlanRequest) PlanResult { return PlanResult{} }
	cfg.PushControl = &fakePushes{all: cfg.Pushes()}
	cfg.SourceURL = func(string) string { return "rtsp://192.0.2.1/" }
	return New(cfg), ids
}

// hold holds an answer against what the document has for its status code.
func hold(t *testing.T, doc map[string]any, what, pattern string, res *http.Response, body any) {
	t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	path = strings.ReplaceAll(path, "...}", "}")
	code := res.Status[:3]
	content := at(doc, "paths", path, strings.ToLower(method), "responses", code, "content")
	if content == nil {
		content = at(doc, "paths", path, strings.ToLower(method), "responses", "default", "content")
	}
	mime, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	schema, ok := at(content, mime, "schema").(map[string]any)
	if !ok {
		t.Errorf("%s: status %s as %s is not described", what, code, mime)
		return
	}
	for _, wrong := range mismatches(doc, schema, body, "") {
		t.Errorf("%s: status %s: %s", what, code, wrong)
	}
}

// at returns what lies below the keys of nested objects, nil if there is nothing.
func at(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// TestTheDescriptionIsServed to those who may read.
func TestTheDescriptionIsServed(t *testing.T) {
	res := request(t, rigFor(t, staff()), http.MethodGet, "/openapi.json", bearer("viewer"))
	var doc map[string]any
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil || doc["openapi"] != "3.1.0" {
		t.Errorf("status %d, %v, %v", res.StatusCode, err, doc["openapi"])
	}
}

// TestTheRuleFinds: what holds answers against the document is able to complain.
func TestTheRuleFinds(t *testing.T) {
	doc := described(t)
	schema := at(doc, "components", "schemas", "Path").(map[string]any)
	var good map[string]any
	ask(t, rig(t), "/v3/paths/get/gate", &good)
	if wrong := mismatches(doc, schema, good, ""); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for name, spoil := range map[string]func(map[string]any){
		"a field is missing":         func(m map[string]any) { delete(m, "ready") },
		"a field is of another type": func(m map[string]any) { m["bytesSent"] = "7" },
		"a field is too much":        func(m map[string]any) { m["red"] = true },
		"a list is null":             func(m map[string]any) { m["readers"] = nil },
		"an element is no object":    func(m map[string]any) { m["readers"] = []any{"x"} },
	} {
		bad := maps.Clone(good)
		spoil(bad)
		if len(mismatches(doc, schema, bad, "")) == 0 {
			t.Errorf("%s, and nothing is found", name)
		}
	}
}

// TestEveryRightIsDescribed: who may use a route stands in its description.
func TestEveryRightIsDescribed(t *testing.T) {
	doc := described(t)
	for _, r := range (server{}).routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		op, _ := at(doc, "paths", strings.ReplaceAll(path, "...}", "}"), strings.ToLower(method)).(map[string]any)
		answers := slices.Sorted(maps.Keys(op["responses"].(map[string]any)))
		if open := r.right == auth.None; open == slices.Contains(answers, "401") || op["x-right"] != r.right.String() {
			t.Errorf("%s: %v, %v", r.pattern, answers, op["x-right"])
		}
	}
}
