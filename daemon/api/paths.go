package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
)

// page is MediaMTX's shape of a list.
type page[T any] struct {
	ItemCount int `json:"itemCount"`
	PageCount int `json:"pageCount"`
	Items     []T `json:"items"`
}

// paginate cuts the page asked for out of all.
func paginate[T any](all []T, q url.Values) (page[T], bool) {
	per, ok1 := positive(q, "itemsPerPage", 100, 1)
	n, ok2 := positive(q, "page", 0, 0)
	if !ok1 || !ok2 {
		return page[T]{}, false
	}
	from := min(n*per, len(all))
	return page[T]{
		ItemCount: len(all),
		PageCount: (len(all) + per - 1) / per,
		Items:     all[from:min(from+per, len(all))],
	}, true
}

func positive(q url.Values, key string, otherwise, least int) (int, bool) {
	if !q.Has(key) {
		return otherwise, true
	}
	n, err := strconv.Atoi(q.Get(key))
	return n, err == nil && n >= least && n <= 1<<20
}

// v3Path is MediaMTX's path item, with the names of its earlier versions.
type v3Path struct {
	Name          string     `json:"name"`
	ConfName      string     `json:"confName"`
	Source        *v3Ref     `json:"source"`
	Ready         bool       `json:"ready"`
	ReadyTime     *time.Time `json:"readyTime"`
	Available     bool       `json:"available"` // as ready
	AvailableTime *time.Time `json:"availableTime"`
	Online        bool       `json:"online"` // as ready
	OnlineTime    *time.Time `json:"onlineTime"`
	Tracks        []string   `json:"tracks"`
	Tracks2       []v3Codec  `json:"tracks2"`
	BytesReceived uint64     `json:"bytesReceived"`
	BytesSent     uint64     `json:"bytesSent"`
	InboundBytes  uint64     `json:"inboundBytes"`
	OutboundBytes uint64     `json:"outboundBytes"`
	Readers       []v3Ref    `json:"readers"`
}

// v3Codec is MediaMTX's item of a track.
type v3Codec struct {
	Codec string         `json:"codec"`
	Props map[string]any `json:"codecProps"` // null: not told
}

type v3Ref struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// paths are those that the one who asks may see.
func (s server) paths(r *http.Request) []*relay.Path {
	who := auth.FromContext(r.Context())
	return slices.DeleteFunc(s.Relay.Paths(), func(p *relay.Path) bool { return !who.MayView(p.Name()) })
}

// path is the one that the URL names; nil if there is none, or none for the one who
// asks: the two cannot be told apart.
func (s server) path(r *http.Request) *relay.Path {
	p := s.Relay.Path(r.PathValue("name"))
	if p == nil || !auth.FromContext(r.Context()).MayView(p.Name()) {
		return nil
	}
	return p
}

// itemsOf returns the item of each path.
func itemsOf[T any](paths []*relay.Path, item func(*relay.Path) T) []T {
	all := make([]T, len(paths))
	for i, p := range paths {
		all[i] = item(p)
	}
	return all
}

func (s server) pathsList(w http.ResponseWriter, r *http.Request) {
	v3Page(w, r, itemsOf(s.paths(r), s.v3Path))
}

func (s server) pathsGet(w http.ResponseWriter, r *http.Request) {
	p := s.path(r)
	if p == nil {
		v3Error(w, http.StatusNotFound, "path not found")
		return
	}
	writeJSON(w, http.StatusOK, s.v3Path(p))
}

// readerTypes are MediaMTX's names for sessions by protocol.
var readerTypes = map[string]string{"RTSP": "rtspSession", "HLS": "hlsSession", "RTMP": "rtmpConn", "SRT": "srtConn"}

func (s server) v3Path(p *relay.Path) v3Path {
	st := p.State()
	stats := p.Stream().Meter.Stats(time.Now())
	v := v3Path{
		Name: p.Name(), ConfName: p.Name(), Tracks: []string{}, Tracks2: []v3Codec{},
		Readers: s.keepaliveReaders(p.Name()),
		Source:  &v3Ref{Type: "rtspSource"}, BytesReceived: stats.Bytes, BytesSent: s.Sessions.Sent(p.Name()),
	}
	v.InboundBytes, v.OutboundBytes = v.BytesReceived, v.BytesSent
	if st.Phase == supervise.Active {
		v.Ready, v.ReadyTime = true, &st.Since
	}
	v.Available, v.AvailableTime = v.Ready, v.ReadyTime
	v.Online, v.OnlineTime = v.Ready, v.ReadyTime
	tracks, _ := p.Stream().Tracks()
	for _, t := range tracks {
		v.Tracks = append(v.Tracks, v3Track(t))
		v.Tracks2 = append(v.Tracks2, v3Codec{Codec: v3Track(t)})
	}
	for _, sess := range s.Sessions.List() {
		if sess.Path == p.Name() && sess.Kind == session.Viewer {
			v.Readers = append(v.Readers, v3Ref{Type: readerTypes[sess.Protocol], ID: sess.ID})
		}
	}
	return v
}

// v3Track is MediaMTX's name for a track.
func v3Track(t *media.Track) string {
	switch t.Codec {
	case media.CodecAAC:
		return "MPEG-4 Audio"
	case media.CodecPCMA, media.CodecPCMU:
		return "G711"
	case media.CodecL16:
		return "LPCM"
	case media.CodecMJPEG:
		return "M-JPEG"
	case media.CodecUnknown:
		return "Generic"
	default:
		return t.Codec.String()
	}
}
