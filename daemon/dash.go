package daemon

import (
	"context"
	"net/http"

	"camrelay/media/dash"
	"camrelay/media/hls"
	"camrelay/media/hub"
)

// dashSource lets the viewers by DASH have what is packaged for HLS.
type dashSource struct{ s *servers }

func (d dashSource) Enter(r *http.Request, name string, first bool) (dash.Visit, error) {
	srv := d.s.running.Load()
	if srv == nil {
		return nil, hub.ErrNotFound
	}
	v, err := srv.Enter(r, name, "dash", first)
	if err != nil {
		return nil, err
	}
	return dashVisit{v}, nil
}

type dashVisit struct{ *hls.Visit }

func (d dashVisit) Open(ctx context.Context, session string, start int64) (dash.Segment, error) {
	s, err := d.Visit.Open(ctx, session, start)
	if err != nil {
		return nil, err
	}
	return s, nil
}
