package session

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// site is a registry with sessions of two cameras, by name.
type site struct {
	*Registry
	byName map[string]*Session
}

func newSite(t *testing.T) *site {
	s := &site{NewRegistry(nil), make(map[string]*Session)}
	for _, row := range []struct {
		name, protocol string
		Info
		bytes uint64
	}{
		{"cam1 pull", "rtsp", Info{Kind: Pull, Path: "cam1"}, 9},
		{"cam1 rtsp", "rtsp", Info{Kind: Viewer, Path: "cam1"}, 9},
		{"cam1 hls", "hls", Info{Kind: Viewer, Path: "cam1"}, 0},
		{"cam1 push", "srt", Info{Kind: Push, Path: "cam1"}, 0},
		{"cam1 keep", "keepalive", Info{Kind: Keepalive, Path: "cam1"}, 0},
		{"cam2 pull", "rtsp", Info{Kind: Pull, Path: "cam2"}, 0},
		{"cam2 rtsp", "rtsp", Info{Kind: Viewer, Path: "cam2"}, 9},
	} {
		row.Protocol = row.protocol
		var sum atomic.Uint64
		one, _ := s.Open(t.Context(), row.Info, func() (uint64, uint64) { return 0, sum.Load() })
		sum.Store(row.bytes)
		one.sample(time.Now())
		s.byName[row.name] = one
	}
	return s
}

// names returns the sessions' names, sorted.
func (s *site) names(sessions []*Session) string {
	var all []string
	for name, one := range s.byName {
		if slices.Contains(sessions, one) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func TestF9_F14_FiltersAreANDed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		filter func(s *site) Filter
		want   string
	}{
		{"F9 by id", func(s *site) Filter { return Filter{ID: &s.byName["cam1 rtsp"].ID} }, "cam1 rtsp"},
		{
			"F9 by id in upper case",
			func(s *site) Filter { return Filter{ID: new(strings.ToUpper(s.byName["cam1 rtsp"].ID))} }, "cam1 rtsp",
		},
		{
			"F10 by name", func(*site) Filter { return Filter{Name: new("cam1")} },
			"cam1 hls, cam1 keep, cam1 pull, cam1 push, cam1 rtsp",
		},
		{
			"F11 the viewers of one stream",
			func(*site) Filter { return Filter{Name: new("cam1"), Published: new(false)} }, "cam1 hls, cam1 rtsp",
		},
		{
			"F11 all that publish",
			func(*site) Filter { return Filter{Published: new(true)} }, "cam1 pull, cam1 push, cam2 pull",
		},
		{
			"F12 by our state", func(*site) Filter { return Filter{Status: new("active")} }, "cam1 pull, cam1 rtsp, cam2 rtsp",
		},
		{"F12 PUBLISHING", func(*site) Filter { return Filter{Status: new("PUBLISHING")} }, "cam1 pull"},
		{"F12 PLAYING", func(*site) Filter { return Filter{Status: new("PLAYING")} }, "cam1 rtsp, cam2 rtsp"},
		{
			"F13 by ids", func(s *site) Filter {
				return Filter{IDs: []string{s.byName["cam2 pull"].ID, "nobody", s.byName["cam1 push"].ID}}
			}, "cam1 push, cam2 pull",
		},
		{"F13 by no id at all", func(*site) Filter { return Filter{IDs: []string{}} }, ""},
		{
			"F14 id and name that do not agree",
			func(s *site) Filter { return Filter{ID: &s.byName["cam1 rtsp"].ID, Name: new("cam2")} }, "",
		},
		{
			"F14 kind, protocol and name",
			func(*site) Filter { return Filter{Name: new("cam1"), Kind: new(Viewer), Protocol: new("hls")} }, "cam1 hls",
		},
		{
			"F15 everything", func(*site) Filter { return Filter{} },
			"cam1 hls, cam1 keep, cam1 pull, cam1 push, cam1 rtsp, cam2 pull, cam2 rtsp",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			f := tc.filter(s)
			if err := f.Check(); err != nil {
				t.Fatal(err)
			}
			found, _ := s.Find(f)
			if got := s.names(found); got != tc.want {
				t.Errorf("found %s, want %s", got, tc.want)
			}
			ended, _ := s.Terminate(f, "alice", "test")
			if got := s.names(ended); got != tc.want {
				t.Errorf("ended %s, want %s", got, tc.want)
			}
			if again, _ := s.Terminate(f, "alice", "test"); len(again) != 0 {
				t.Errorf("F8: ended %s once more", s.names(again))
			}
			for name, one := range s.byName {
				if (one.State(time.Now()) == Closing) != slices.Contains(ended, one) {
					t.Errorf("%s is %s", name, one.State(time.Now()))
				}
			}
		})
	}
}

func TestF13_IDsOfNobodyAreReported(t *testing.T) {
	s := newSite(t)
	ended, missing := s.Terminate(Filter{
		ID: &s.byName["cam1 rtsp"].ID, IDs: []string{"nobody", s.byName["cam1 rtsp"].ID},
	}, "alice", "")
	if s.names(ended) != "cam1 rtsp" || !slices.Equal(missing, []string{"nobody"}) {
		t.Errorf("ended %s, missing %v", s.names(ended), missing)
	}
}

// TestProtocolsAreNamedAsTheyAreListed holds what sessions are shown as against
// what may be asked for.
func TestProtocolsAreNamedAsTheyAreListed(t *testing.T) {
	for asked := range strings.FieldsSeq("rtsp rtsps hls dash mpegts flv rtmp rtmps srt still keepalive") {
		if name := ProtocolOf(asked); !slices.Contains(Protocols(), name) {
			t.Errorf("a session of %s is one of %s, which no filter finds", asked, name)
		}
	}
}

func TestF12_F14_ValuesThatNoSessionHasAreRefused(t *testing.T) {
	for field, f := range map[string]Filter{
		"mediaSessionId": {ID: new("")},
		"name":           {Name: new("")},
		"status":         {Status: new("typo")},
		"kind":           {Kind: new(Kind("viewers"))},
		"protocol":       {Protocol: new("rtps")},
	} {
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
		if f.Empty() {
			t.Errorf("%s: is empty", field)
		}
	}
	if !(Filter{}).Empty() || (Filter{IDs: []string{}}).Empty() {
		t.Error("only the filter without fields is empty")
	}
}
