package metrics

import (
	"net/http"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapes is how many are answered at the same time; more are refused.
const scrapes = 4

// Metrics is what is shown.
type Metrics struct {
	registry *prometheus.Registry
	opened   *prometheus.CounterVec
	ended    *prometheus.CounterVec
	refused  *prometheus.CounterVec
	requests *prometheus.HistogramVec
}

// New returns the metrics of a program of that version. snapshot is called for
// each scrape and must not block.
func New(version string, snapshot func() Snapshot) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "camrelay_viewer_sessions_total", Help: "Viewers that have come.",
		}, []string{"protocol"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "camrelay_viewer_sessions_ended_total", Help: "Viewers that have left, by why.",
		}, []string{"protocol", "reason"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "camrelay_viewers_refused_total", Help: "Viewers that got no stream, by why.",
		}, []string{"protocol", "reason"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "camrelay_hls_request_duration_seconds",
			Help: "How long requests for HLS took to answer: playlists, those that wait for what is to come " +
				"(blocking), and media, whose time is that of a slow viewer too.",
			Buckets: []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"kind"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "camrelay_build_info", Help: "The program that runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version(), "goarch": runtime.GOARCH},
	})
	info.Set(1)
	for _, p := range Protocols() {
		m.opened.WithLabelValues(p)
		for _, reason := range endings() {
			m.ended.WithLabelValues(p, reason)
		}
		for _, reason := range Refusals() {
			m.refused.WithLabelValues(p, reason)
		}
	}
	for _, kind := range []string{playlist, blocking, segment} {
		m.requests.WithLabelValues(kind)
	}
	m.registry.MustRegister(m.opened, m.ended, m.refused, m.requests, info, newCollector(snapshot),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	return m
}

// Handler serves the metrics. What is wrong with a part of them leaves out that part.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapes,
		// A server nearby has more network than the box has processor.
		DisableCompression: true,
	})
}

// ViewerOpened counts a viewer that has come.
func (m *Metrics) ViewerOpened(protocol string) {
	m.opened.WithLabelValues(ProtocolOf(protocol)).Inc()
}

// ViewerClosed counts a viewer that has left. reason is in the terms of
// session.End; of an error its text is left out.
func (m *Metrics) ViewerClosed(protocol, reason string) {
	class := "error"
	for _, known := range endings() {
		if strings.HasPrefix(reason, known) {
			class = known
		}
	}
	m.ended.WithLabelValues(ProtocolOf(protocol), class).Inc()
}

// ViewerRefused counts a viewer that got no stream. reason is one of Refusals.
func (m *Metrics) ViewerRefused(protocol, reason string) {
	m.refused.WithLabelValues(ProtocolOf(protocol), reason).Inc()
}

// The values of the label kind.
const (
	playlist = "playlist"
	blocking = "blocking"
	segment  = "media"
)

// HLS lets next serve, and measures how long it takes.
func (m *Metrics) HLS(next http.Handler) http.Handler {
	kinds := make(map[string]prometheus.Observer)
	for _, kind := range []string{playlist, blocking, segment} {
		kinds[kind] = m.requests.WithLabelValues(kind)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		next.ServeHTTP(w, r)
		kinds[kindOf(r)].Observe(time.Since(began).Seconds())
	})
}

func kindOf(r *http.Request) string {
	switch {
	case path.Ext(r.URL.Path) != ".m3u8":
		return segment
	case strings.Contains(r.URL.RawQuery, "_HLS_msn="):
		return blocking
	}
	return playlist
}
