package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// collector makes series of a snapshot.
type collector struct {
	snapshot func() Snapshot

	cameras []described[Camera]
	pushes  []described[Push]
	hooks   []described[Hook]
	daemon  []described[Snapshot]

	push, listener, config *prometheus.Desc
}

// described is a family as the library knows it.
type described[T any] struct {
	family[T]

	desc *prometheus.Desc
}

func newCollector(snapshot func() Snapshot) *collector {
	return &collector{
		snapshot: snapshot,
		cameras:  describe("camrelay_camera_", cameraFamilies(), "camera"),
		pushes:   describe("camrelay_push_", pushFamilies(), "push"),
		hooks:    describe("camrelay_hook_", hookFamilies(), "hook"),
		daemon:   describe("camrelay_", daemonFamilies()),
		push: prometheus.NewDesc("camrelay_push_info", "What the push sends, and by which protocol.",
			[]string{"push", "camera", "protocol"}, nil),
		listener: prometheus.NewDesc("camrelay_listener_up", "Whether the server that is configured listens.",
			[]string{"listener"}, nil),
		config: prometheus.NewDesc("camrelay_config_info", "The configuration that runs.", []string{"hash"}, nil),
	}
}

// describe makes the library know families of things that labels tell apart.
func describe[T any](prefix string, all []family[T], labels ...string) []described[T] {
	known := make([]described[T], len(all))
	for i, f := range all {
		names := slices.Clone(labels)
		if f.label != "" {
			names = append(names, f.label)
		}
		known[i] = described[T]{f, prometheus.NewDesc(prefix+f.name, f.help, names, nil)}
	}
	return known
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	descs(out, c.cameras)
	descs(out, c.pushes)
	descs(out, c.hooks)
	descs(out, c.daemon)
	out <- c.push
	out <- c.listener
	out <- c.config
}

func descs[T any](out chan<- *prometheus.Desc, all []described[T]) {
	for i := range all {
		out <- all[i].desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.snapshot()
	for i := range s.Cameras {
		collect(out, c.cameras, &s.Cameras[i], s.Cameras[i].Name)
	}
	for i := range s.Pushes {
		p := &s.Pushes[i]
		collect(out, c.pushes, p, p.Name)
		out <- prometheus.MustNewConstMetric(c.push, prometheus.GaugeValue, 1, p.Name, p.Camera, p.Protocol)
	}
	for i := range s.Hooks {
		collect(out, c.hooks, &s.Hooks[i], s.Hooks[i].Name)
	}
	collect(out, c.daemon, &s)
	for _, name := range slices.Sorted(maps.Keys(s.Listeners)) {
		out <- prometheus.MustNewConstMetric(c.listener, prometheus.GaugeValue, truth(s.Listeners[name]), name)
	}
	out <- prometheus.MustNewConstMetric(c.config, prometheus.GaugeValue, 1, s.Config.Hash)
}

// collect makes the series of one thing, which labels tell apart.
func collect[T any](out chan<- prometheus.Metric, all []described[T], thing *T, labels ...string) {
	for i := range all {
		f := &all[i]
		if f.label == "" {
			out <- prometheus.MustNewConstMetric(f.desc, f.kind(), f.of(thing, 0), labels...)
			continue
		}
		for n, value := range f.values {
			with := append(slices.Clip(labels), value)
			out <- prometheus.MustNewConstMetric(f.desc, f.kind(), f.of(thing, n), with...)
		}
	}
}
