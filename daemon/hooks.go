package daemon

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
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

	want     map[string]config.Hook // what was applied last
	unusable map[string]error       // those of want that cannot be used

	mu      sync.Mutex             // guards clients
	clients map[string]*hookClient // by name
}

// hookClient is one hook of the configuration.
type hookClient struct {
	*webhook.Client

	spec  config.Hook
	queue *webhook.Queue            // of what it is still to be told; nil unless it is
	flush func(ctx context.Context) // tells it what is left; nil likewise
	stop  func()                    // ends what runs for it and waits
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

// apply makes the hooks those of the configuration; problems tells what could
// not be done: then the hook of before goes on. Goroutines descend from ctx. It,
// problems, retry and Close are called from one goroutine.
func (h *hooks) apply(ctx context.Context, want map[string]config.Hook) {
	for name, c := range h.all() {
		if _, ok := want[name]; !ok {
			h.set(name, nil)
			c.end()
		}
	}
	failed := make(map[string]error)
	for name, spec := range want {
		before := h.client(name)
		if before != nil && before.spec == spec {
			continue
		}
		next, err := h.replace(ctx, name, spec, before)
		if err == nil {
			h.set(name, next)
			continue
		}
		failed[name] = err
		if was := h.unusable[name]; was == nil || was.Error() != err.Error() {
			h.log.Error("a hook cannot be used", "hook", name, "err", err)
		}
	}
	h.want, h.unusable = want, failed
}

// problems returns what was applied and does not work.
func (h *hooks) problems() []string {
	var all []string
	for name, err := range h.unusable {
		all = append(all, "hooks."+name+": "+err.Error())
	}
	slices.Sort(all)
	return all
}

// retry tries again what could not be done.
func (h *hooks) retry(ctx context.Context) {
	if len(h.unusable) > 0 {
		h.apply(ctx, h.want)
	}
}

// replace makes a hook run. It takes over what the one before has counted and
// has still to be told; before is nil if there was none.
func (h *hooks) replace(ctx context.Context, name string, spec config.Hook, before *hookClient) (*hookClient, error) {
	client, err := webhook.NewClient(webhook.Spec{
		URL: spec.URL, Secret: spec.Secret, CA: spec.TLS.CA, Fingerprint: spec.TLS.Fingerprint,
		Insecure: spec.TLS.Insecure, Timeout: spec.Timeout, Agent: h.agent,
	})
	if err != nil {
		return nil, err
	}
	c := &hookClient{Client: client, spec: spec, stop: func() {}}
	if before != nil {
		before.stop()
		before.Client.Close()
		c.queue = before.queue
	}
	if name == config.HookEvents {
		if c.queue == nil {
			c.queue = h.events.Queue(client, spec.Events)
		}
		c.queue.Edit(client, spec.Events)
	}
	if before != nil { // after Edit: nothing more is counted there
		client.Continue(before.Status())
	}
	switch name {
	case config.HookEvents:
		deliverer := webhook.NewDeliverer(client, c.queue, h.log)
		c.stop, c.flush = start(ctx, "hooks."+name, deliverer, h.log), deliverer.Flush
	case config.HookKeepalive:
		c.stop = start(ctx, "hooks."+name, &webhook.Rounds{
			Client: client, Interval: spec.Interval, FailClosed: spec.OnError == config.ErrorFail,
			Sessions: h.live, End: h.refuse, Log: h.log,
		}, h.log)
	}
	return c, nil
}

// end ends a hook that is not wanted any more.
func (c *hookClient) end() {
	c.stop()
	c.Client.Close()
	if c.queue != nil {
		c.queue.Close()
	}
}

// Close ends all hooks, once they had a moment to take what is left.
func (h *hooks) Close() {
	for name, c := range h.all() {
		c.stop()
		if c.flush != nil {
			c.flush(context.Background())
		}
		h.set(name, nil)
		c.end()
	}
}

// all returns the hooks by name.
func (h *hooks) all() map[string]*hookClient {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.clients)
}

// set makes c the hook of that name; nil: there is none.
func (h *hooks) set(name string, c *hookClient) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c == nil {
		delete(h.clients, name)
		return
	}
	h.clients[name] = c
}

// status returns how it goes with each hook.
func (h *hooks) status() map[string]webhook.Status {
	all := make(map[string]webhook.Status)
	for name, c := range h.all() {
		all[name] = c.Status()
	}
	return all
}

func (h *hooks) client(name string) *hookClient {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients[name]
}

// ask asks a hook. One that has not decided refuses if its on_error says so; else
// there is an error.
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
