package api

import (
	"net/http"
	"slices"
	"time"

	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
)

// v3Info is MediaMTX's answer of who it is.
type v3Info struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

func (s server) v3Info(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, v3Info{s.Version, s.Started.Round(0)})
}

// v3Muxer is MediaMTX's item of what is packaged for HLS.
type v3Muxer struct {
	Path          string    `json:"path"`
	Created       time.Time `json:"created"`     // when the camera began to deliver
	LastRequest   time.Time `json:"lastRequest"` // of a viewer; created, if there is none
	OutboundBytes uint64    `json:"outboundBytes"`
	BytesSent     uint64    `json:"bytesSent"`
}

// v3Muxers are the streams that are packaged and that the one who asks may see.
func (s server) v3Muxers(r *http.Request) []v3Muxer {
	all := []v3Muxer{}
	if s.HLS == nil {
		return all
	}
	now := time.Now()
	for _, p := range s.paths(r) {
		st := p.State()
		if st.Phase != supervise.Active || s.HLS(p.Name()) == nil {
			continue
		}
		m := v3Muxer{Path: p.Name(), Created: st.Since.Round(0), LastRequest: st.Since.Round(0)}
		for _, one := range s.Sessions.List() {
			if one.Path != m.Path || one.Protocol != "HLS" || one.Kind != session.Viewer {
				continue
			}
			_, wrote := one.Counts()
			m.OutboundBytes += wrote
			if one.State(now) == session.Active {
				m.LastRequest = now.Round(0)
			}
		}
		m.BytesSent = m.OutboundBytes
		all = append(all, m)
	}
	return all
}

func (s server) muxersList(w http.ResponseWriter, r *http.Request) {
	v3Page(w, r, s.v3Muxers(r))
}

func (s server) muxersGet(w http.ResponseWriter, r *http.Request) {
	all := s.v3Muxers(r)
	i := slices.IndexFunc(all, func(m v3Muxer) bool { return m.Path == r.PathValue("name") })
	if i < 0 {
		v3Error(w, http.StatusNotFound, "muxer not found")
		return
	}
	writeJSON(w, http.StatusOK, all[i])
}

// v3Page answers with the page asked for.
func v3Page[T any](w http.ResponseWriter, r *http.Request, items []T) {
	list, ok := paginate(items, r.URL.Query())
	if !ok {
		v3Error(w, http.StatusBadRequest, "invalid itemsPerPage or page")
		return
	}
	writeJSON(w, http.StatusOK, list)
}

// v3Global is what dashboards read of MediaMTX's configuration: which servers
// run, and where.
type v3Global struct {
	API            bool   `json:"api"`
	APIAddress     string `json:"apiAddress"`
	Metrics        bool   `json:"metrics"`
	MetricsAddress string `json:"metricsAddress"`
	RTSP           bool   `json:"rtsp"`
	RTSPAddress    string `json:"rtspAddress"`
	RTSPSAddress   string `json:"rtspsAddress"`
	RTMP           bool   `json:"rtmp"`
	RTMPAddress    string `json:"rtmpAddress"`
	HLS            bool   `json:"hls"`
	HLSAddress     string `json:"hlsAddress"`
	SRT            bool   `json:"srt"`
	SRTAddress     string `json:"srtAddress"`
	WebRTC         bool   `json:"webrtc"`
	Playback       bool   `json:"playback"`
}

func (s server) configGlobal(w http.ResponseWriter, _ *http.Request) {
	at := s.Listeners()
	writeJSON(w, http.StatusOK, v3Global{
		API: true, APIAddress: at["api"], Metrics: at["metrics"] != "", MetricsAddress: at["metrics"],
		RTSP: at["rtsp"] != "" || at["rtsps"] != "", RTSPAddress: at["rtsp"], RTSPSAddress: at["rtsps"],
		RTMP: at["rtmp"] != "", RTMPAddress: at["rtmp"], HLS: at["http"] != "" || at["https"] != "",
		HLSAddress: at["http"], SRT: at["srt"] != "", SRTAddress: at["srt"],
	})
}

// v3Conf is what is shown of MediaMTX's configuration of a path.
type v3Conf struct {
	Name                       string `json:"name"`
	Source                     string `json:"source"` // without secrets
	SourceOnDemand             bool   `json:"sourceOnDemand"`
	SourceOnDemandStartTimeout string `json:"sourceOnDemandStartTimeout"`
	SourceOnDemandCloseAfter   string `json:"sourceOnDemandCloseAfter"`
	MaxReaders                 int    `json:"maxReaders"`
	Record                     bool   `json:"record"`
}

func (s server) v3Conf(p *relay.Path) v3Conf {
	policy := p.Policy()
	c := v3Conf{
		Name: p.Name(), SourceOnDemand: !policy.Warm, SourceOnDemandStartTimeout: policy.StartTimeout.String(),
		SourceOnDemandCloseAfter: policy.IdleAfter.String(), MaxReaders: policy.MaxViewers,
	}
	if s.SourceURL != nil {
		c.Source = s.SourceURL(c.Name)
	}
	return c
}

func (s server) confsList(w http.ResponseWriter, r *http.Request) {
	v3Page(w, r, itemsOf(s.paths(r), s.v3Conf))
}

func (s server) confsGet(w http.ResponseWriter, r *http.Request) {
	p := s.path(r)
	if p == nil {
		v3Error(w, http.StatusNotFound, "path configuration not found")
		return
	}
	writeJSON(w, http.StatusOK, s.v3Conf(p))
}
