package depay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"camrelay/media"
)

// released prints after which packet (counted from 0) each access unit came.
func released(t *testing.T, packets []sent) string {
	t.Helper()
	d, err := New(&trackH264)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, p := range wire(packets) {
		aus, _ := d.Decode(nil, p, time.Unix(int64(i), 0))
		for _, a := range aus {
			fmt.Fprintf(&b, "%d@%d ", a.RTP, i)
		}
	}
	return b.String()
}

func TestTheMarkerReleasesPicturesOnceItHasProvedTrue(t *testing.T) {
	marked := func(ts uint32) sent { return sent{ts: ts, marker: true, payload: p1} }
	for _, tc := range []struct {
		name    string
		packets []sent
		want    string
	}{
		{
			"after three pictures, at once",
			[]sent{marked(1), marked(2), marked(3), marked(4), marked(5)},
			"1@1 2@2 3@3 4@3 5@4 ",
		},
		{
			"never where it is on every slice",
			[]sent{
				marked(1),
				{ts: 1, marker: true, payload: p1b},
				marked(2),
				{ts: 2, marker: true, payload: p1b},
				marked(3),
				{ts: 3, marker: true, payload: p1b},
				marked(4),
				{ts: 4, marker: true, payload: p1b},
				marked(5),
			},
			"1@2 2@4 3@6 4@8 ",
		},
		{
			"no more after it has lied, at the price of one picture",
			[]sent{
				marked(1), marked(2), marked(3), marked(4),
				marked(5),
				{ts: 5, marker: true, payload: p1b},
				marked(6),
				{ts: 6, marker: true, payload: p1b},
				marked(7),
			},
			"1@1 2@2 3@3 4@3 5@4 6@8 ",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := released(t, tc.packets); got != tc.want {
				t.Errorf("got %s want %s", got, tc.want)
			}
		})
	}
}

func TestLimitsOfAnAccessUnit(t *testing.T) {
	big := func(n int) []sent {
		part := strings.Repeat("x", 60000)
		out := []sent{{ts: 1, payload: "\x7c\x85\x88" + part}}
		for size := 60000; size < n; size += 60000 {
			out = append(out, sent{ts: 1, payload: "\x7c\x05" + part})
		}
		return append(out, sent{ts: 1, marker: true, payload: "\x7c\x45x"}, sent{ts: 2, marker: true, payload: p1})
	}
	many := func(n int) []sent {
		out := []sent{{ts: 1, payload: idr}}
		for range n - 1 {
			out = append(out, sent{ts: 1, payload: idr2})
		}
		return append(out, sent{ts: 2, marker: true, payload: p1})
	}
	pieces := func(n int) []sent {
		out := []sent{{ts: 1, payload: "\x7c\x85\x88"}}
		for range n - 2 {
			out = append(out, sent{ts: 1, payload: "\x7c\x05x"})
		}
		return append(out, sent{ts: 1, marker: true, payload: "\x7c\x45x"}, sent{ts: 2, marker: true, payload: p1})
	}
	for _, tc := range []struct {
		name    string
		packets []sent
		want    int
	}{
		{"a NAL unit of 16384 parts passes", pieces(maxParts), 2},
		{"one of 16385 is dropped, what follows is not", pieces(maxParts + 1), 1},
		{"8 MB pass", big(8_000_000), 2},
		{"9 MB are dropped, what follows is not", big(9_000_000), 1},
		{"1024 NAL units pass", many(maxNALs), 2},
		{"1025 are dropped, what follows is not", many(maxNALs + 1), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := decode(t, &trackH264, wire(tc.packets), true)
			if len(got) != tc.want || got[len(got)-1].RTP != 2 || got[len(got)-1].Lost != (tc.want == 1) {
				t.Errorf("got %d access units, last %d lost %v", len(got), got[len(got)-1].RTP, got[len(got)-1].Lost)
			}
		})
	}
}

func TestEmptyFragmentsAreNotHeld(t *testing.T) {
	for name, tc := range map[string]struct {
		track             media.Track
		begin, empty, end string
		want              string
	}{
		"FU-A of H.264":                   {trackH264, "\x7c\x85\x88i", "\x7c\x05", "\x7c\x45dr", idr},
		"FU-A of H.264, the end is empty": {trackH264, "\x7c\x85\x88idr", "\x7c\x05", "\x7c\x45", idr},
		"FU of H.265": {
			media.Track{Codec: media.CodecH265, ClockRate: 90000},
			"\x62\x01\x93\x80i", "\x62\x01\x13", "\x62\x01\x53dr", "\x26\x01\x80idr",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := New(&tc.track)
			if err != nil {
				t.Fatal(err)
			}
			packets := []sent{{ts: 1, payload: tc.begin}}
			for range 2 * maxParts {
				packets = append(packets, sent{ts: 1, payload: tc.empty})
			}
			packets = append(packets, sent{ts: 1, marker: true, payload: tc.end})
			var aus []AU
			for _, p := range wire(packets) {
				aus, err = d.Decode(aus, p, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				checkHeld(t, d)
				if t.Failed() {
					return
				}
			}
			aus = d.Flush(aus)
			if len(aus) != 1 || len(aus[0].Data) != 1 || string(aus[0].Data[0]) != tc.want {
				t.Errorf("got %v", aus)
			}
		})
	}
}

func TestMemoryOfNALUnits(t *testing.T) {
	packets := wire([]sent{
		{ts: 1, payload: stap(sps, pps)},
		{ts: 1, payload: "\x7c\x85\x88i"},
		{ts: 1, payload: "\x7c\x45dr"},
		{ts: 2, marker: true, payload: p1},
	})
	aus := decode(t, &trackH264, packets, true)
	if &aus[0].Data[0][0] != &packets[0][12+3] || &aus[1].Data[0][0] != &packets[3][12] {
		t.Error("whole NAL units must alias their packets")
	}
	if bytes.Equal(aus[0].Data[2], packets[1][12:]) || string(aus[0].Data[2]) != idr {
		t.Errorf("got %x", aus[0].Data[2])
	}
}

func TestH265(t *testing.T) {
	track := media.Track{Kind: media.KindVideo, Codec: media.CodecH265, ClockRate: 90000}
	numbered := track
	numbered.FMTP = map[string]string{"sprop-max-don-diff": "2"}
	const (
		vps   = "\x40\x01v"
		idr   = "\x26\x01\x80idr"
		trail = "\x02\x01\x80t"
		more  = "\x02\x01\x40u"
	)
	for _, tc := range []struct {
		name    string
		track   *media.Track
		packets []sent
		want    string
	}{
		{
			"single units",
			&track,
			[]sent{{ts: 1, payload: vps}, {ts: 1, payload: idr}, {ts: 2, payload: trail}, {ts: 2, marker: true, payload: more}},
			"1 key: 400176 260180696472\n2: 02018074 02014075\n",
		},
		{
			"go2rtc#2296: aggregates",
			&track,
			[]sent{
				{ts: 1, marker: true, payload: "\x60\x01\x00\x03" + vps + "\x00\x06" + idr},
				{ts: 2, marker: true, payload: trail},
			},
			"1 key: 400176 260180696472\n2: 02018074\n",
		},
		{
			"fragments",
			&track,
			[]sent{
				{ts: 1, payload: "\x62\x01\x93\x80i"},
				{ts: 1, payload: "\x62\x01\x13d"},
				{ts: 1, marker: true, payload: "\x62\x01\x53r"},
			},
			"1 key: 260180696472\n",
		},
		{
			"vdk#115: PACI around a single unit, with an extension",
			&track,
			[]sent{{ts: 1, marker: true, payload: "\x64\x01\x26\x30ext\x80idr"}},
			"1 key: 260180696472\n",
		},
		{
			"decoding order numbers",
			&numbered,
			[]sent{
				{ts: 1, payload: "\x60\x01\x00\x01\x00\x03" + vps + "\x01\x00\x06" + idr},
				{ts: 2, payload: "\x02\x01\x00\x05\x80t"},
				{ts: 3, payload: "\x62\x01\x81\x00\x06\x80"},
				{ts: 3, marker: true, payload: "\x62\x01\x41t"},
			},
			"1 key: 400176 260180696472\n2: 02018074\n3: 02018074\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := show(decode(t, tc.track, wire(tc.packets), true)); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}
