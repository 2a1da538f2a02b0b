package daemon

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"camrelay/daemon/config"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/webhook"
	"camrelay/media"
	"camrelay/media/hub"
)

// hooks are the programs that are told what happens and asked to decide. They
// follow the configuration: a hook that was not edited is not touched.
type hooks struct {
	events   *webhook.Log
	sessions *session.Registry
	end      func(one *session.Session, by, reason string) bool
	server   string // name of this box to them
	agent    string
	log      *slog.Logger

	mu      sync.Mutex // guards what follows
	clients map[string]*hookClient
}

// hookClient is one hook of the configuration.
type hookClient struct {
	*webhook.Client
	spec config.Hook
	stop func() // ends what runs for it and waits
}

func newHooks(events *webhook.Log, sessions *session.Registry, version string, log *slog.Logger) *hooks {
	name, err := os.Hostname()
	if err != nil {
		name = "camrelay" // only people read it
	}
	return &hooks{
		events: events, sessions: sessions, server: name, agent: "camrelay/" + version, log: log,
		clients: make(map[string]*hookClient),
	}
}

// apply makes the hooks those of the configuration, and returns what could not
// be done. Goroutines descend from ctx.
func (h *hooks) apply(ctx context.Context, want map[string]config.Hook) (problems []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, c := range h.clients {
		if spec, ok := want[name]; !ok || spec != c.spec {
			h.drop(name)
		}
	}
	for name, spec := range want {
		if h.clients[name] != nil {
			continue
		}
		client, err := webhook.NewClient(webhook.Spec{
			URL: spec.URL, Secret: spec.Secret, CA: spec.TLS.CA, Fingerprint: spec.TLS.Fingerprint,
			Insecure: spec.TLS.Insecure, Timeout: spec.Timeout, Agent: h.agent,
		})
		if err != nil {
			problems = append(problems, "hooks."+name+": "+err.Error())
			continue
		}
		h.clients[name] = &hookClient{Client: client, spec: spec, stop: h.run(ctx, name, spec, client)}
	}
	return problems
}

// run starts what a hook does by itself, and returns what ends that.
func (h *hooks) run(ctx context.Context, name string, spec config.Hook, client *webhook.Client) (stop func()) {
	switch name {
	case config.HookEvents:
		return start(ctx, "hooks."+name, webhook.NewDeliverer(client, h.events, spec.Events, h.log), h.log)
	case config.HookKeepalive:
		return start(ctx, "hooks."+name, &webhook.Rounds{
			Client: client, Interval: spec.Interval, FailClosed: spec.OnError == config.ErrorFail,
			Sessions: h.live, End: h.refuse, Log: h.log,
		}, h.log)
	}
	return func() {}
}

// drop ends one hook. mu is held.
func (h *hooks) drop(name string) {
	h.clients[name].stop()
	h.clients[name].Close()
	delete(h.clients, name)
}

// Close ends all hooks, once they had a moment to take what is left.
func (h *hooks) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.clients {
		h.drop(name)
	}
}

// status returns how it goes with each hook.
func (h *hooks) status() map[string]webhook.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[string]webhook.Status, len(h.clients))
	for name, c := range h.clients {
		all[name] = c.Status()
	}
	return all
}

func (h *hooks) client(name string) *hookClient {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients[name]
}

// ask asks a hook. ok is false if it has not decided and its on_error says that
// this is no refusal.
func (h *hooks) ask(ctx context.Context, name string, body any) (webhook.Answer, error) {
	c := h.client(name)
	if c == nil {
		return webhook.Answer{}, relay.ErrNoHook
	}
	a, err := c.Ask(ctx, body, h.log)
	if err != nil && ctx.Err() == nil && c.spec.OnError == config.ErrorFail {
		h.log.Warn("a hook has not decided, which refuses", "hook", name, "err", err)
		return webhook.Answer{Close: true, Reason: "the hook " + name + " fails"}, nil
	}
	return a, err
}

// NotFound implements relay.Hooks.
func (h *hooks) NotFound(ctx context.Context, req hub.Request) (relay.Decision, error) {
	ip, port, err := net.SplitHostPort(req.Remote)
	if err != nil {
		ip, port = req.Remote, ""
	}
	number, _ := strconv.Atoi(port) // 0 where there is none
	a, err := h.ask(ctx, config.HookNotFound, webhook.NotFound{
		Stream:   webhook.NewStream(req.Protocol, req.Path, req.Query.Encode(), h.server),
		Protocol: req.Protocol, IP: ip, Port: number, ID: rand.Text(),
	})
	return relay.Decision{Close: a.Close, Reason: a.Reason, Source: relay.Source{URL: media.Secret(a.Source)}}, err
}

// NoneReader implements relay.Hooks.
func (h *hooks) NoneReader(ctx context.Context, idle relay.Idle) (closeIt bool, err error) {
	a, err := h.ask(ctx, config.HookNoneReader, webhook.NoneReader{
		Stream: webhook.NewStream("rtsp", idle.Path, "", h.server),
		Index:  idle.Asked, Since: idle.Since, Bytes: idle.Bytes,
	})
	return a.Close, err
}

// live returns the sessions that run, for the rounds of on_keepalive.
func (h *hooks) live() []webhook.Live {
	now := time.Now()
	var all []webhook.Live
	for _, s := range h.sessions.List() {
		published := s.Kind.Published()
		all = append(all, webhook.Live{
			ID: s.ID, Name: s.Path, Published: published != nil && *published, Status: string(s.State(now)),
			Kind: string(s.Kind), Protocol: s.Protocol, Remote: s.Remote, User: s.User,
			Uptime: int64(now.Sub(s.Start).Seconds()),
		})
	}
	return all
}

// refuse ends the session that a hook does not want.
func (h *hooks) refuse(id, why string) {
	if one := h.sessions.Get(id); one != nil {
		h.end(one, "hook", why)
	}
}

// refuse ends a session as terminate does.
func (d *daemon) refuse(one *session.Session, by, reason string) bool {
	return d.end(one, by, reason, d.terminate.Load().HoldOff)
}
