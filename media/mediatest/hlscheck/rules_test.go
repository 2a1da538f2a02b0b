package hlscheck_test

import (
	"strings"
	"testing"

	"camrelay/media/mediatest/hlscheck"
)

// sound is a playlist with nothing wrong.
const sound = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3.0,HOLD-BACK=6.0,CAN-SKIP-UNTIL=12.0
#EXT-X-PART-INF:PART-TARGET=1.0
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-MAP:URI="i.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-05-04T01:02:00.000Z
#EXTINF:2.0,
7.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="i.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-05-04T02:02:02.000Z
#EXTINF:2.0,
8.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-05-04T02:02:04.000Z
#EXT-X-PART:DURATION=1.0,URI="9.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=1.0,URI="9.1.m4s"
#EXTINF:2.0,
9.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-05-04T02:02:06.000Z
#EXT-X-PART:DURATION=1.0,URI="10.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=1.0,URI="10.1.m4s"
#EXTINF:2.0,
10.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-05-04T02:02:08.000Z
#EXT-X-PART:DURATION=1.0,URI="11.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=1.0,URI="11.1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="11.2.m4s"
`

// later is what sound becomes when its open segment ends.
const later = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3.0,HOLD-BACK=6.0,CAN-SKIP-UNTIL=12.0
#EXT-X-PART-INF:PART-TARGET=1.0
#EXT-X-MEDIA-SEQUENCE:9
#EXT-X-DISCONTINUITY-SEQUENCE:2
#EXT-X-MAP:URI="i.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-05-04T02:02:04.000Z
#EXTINF:2.0,
9.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-05-04T02:02:06.000Z
#EXT-X-PART:DURATION=1.0,URI="10.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=1.0,URI="10.1.m4s"
#EXTINF:2.0,
10.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-05-04T02:02:08.000Z
#EXT-X-PART:DURATION=1.0,URI="11.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=1.0,URI="11.1.m4s"
#EXT-X-PART:DURATION=0.4,URI="11.2.m4s"
#EXTINF:2.4,
11.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-05-04T02:02:10.400Z
#EXT-X-PART:DURATION=1.0,URI="12.0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="12.1.m4s"
`

func parse(t *testing.T, text string) *hlscheck.List {
	t.Helper()
	l, faults := hlscheck.Parse([]byte(text))
	for _, f := range faults {
		t.Error(f)
	}
	return l
}

func TestSoundPlaylists(t *testing.T) {
	a, b := parse(t, sound), parse(t, later)
	for _, f := range hlscheck.Follows(a, b) {
		t.Error(f)
	}
	if s, n := a.Edge(); s != 11 || n != 2 || b.Hint != "12.1.m4s" || b.Segments[2].Parts[1].Independent {
		t.Errorf("%d.%d, %+v", s, n, b)
	}
}

func TestViolationsOfOnePlaylistAreFound(t *testing.T) {
	for _, tc := range []struct{ name, was, is, want string }{
		{"a segment longer than the target duration", "#EXTINF:2.0,\n8", "#EXTINF:2.6,\n8", "target duration is 2s"},
		{"a segment without a length", "#EXTINF:2.0,\n8", "8", "no EXTINF"},
		{"no target duration", "#EXT-X-TARGETDURATION:2\n", "", "no EXT-X-TARGETDURATION"},
		{"two of them", "#EXT-X-TARGETDURATION:2\n", "#EXT-X-TARGETDURATION:2\n#EXT-X-TARGETDURATION:2\n", "comes twice"},
		{"a part longer than the part target", `1.0,URI="9.1`, `1.01,URI="9.1`, "PART-TARGET is 1s"},
		{"a short part in mid-segment", `1.0,URI="11.0.m4s",INDEPENDENT=YES`, `0.8,URI="11.0.m4s"`, "85 %"},
		{"parts that do not make up their segment", `1.0,URI="9.1`, `0.9,URI="9.1`, "the parts of 9.m4s last 1.9s"},
		{"a dependent part first in an independent segment", `"9.0.m4s",INDEPENDENT=YES`, `"9.0.m4s"`, "9.0.m4s is not"},
		{"no part target", "#EXT-X-PART-INF:PART-TARGET=1.0\n", "", "no PART-TARGET"},
		{"a short part hold-back", "PART-HOLD-BACK=3.0", "PART-HOLD-BACK=2.9", "PART-HOLD-BACK is"},
		{"a short hold-back", ",HOLD-BACK=6.0", ",HOLD-BACK=5.9", "HOLD-BACK is"},
		{"a short skip boundary", "CAN-SKIP-UNTIL=12.0", "CAN-SKIP-UNTIL=11.0", "CAN-SKIP-UNTIL is"},
		{"no blocking reload", "CAN-BLOCK-RELOAD=YES,", "", "no CAN-BLOCK-RELOAD"},
		{"no hint", "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"11.2.m4s\"\n", "", "no EXT-X-PRELOAD-HINT"},
		{"a hint at what is there", `URI="11.2.m4s"`, `URI="11.1.m4s"`, "there and hinted at"},
		{
			"a skip in an old version",
			"#EXT-X-VERSION:9",
			"#EXT-X-VERSION:8\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1",
			"VERSION is 8",
		},
		{
			"no init segment",
			"#EXT-X-MAP:URI=\"i.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-05-04T01",
			"#EXT-X-PROGRAM-DATE-TIME:2026-05-04T01",
			"no EXT-X-MAP",
		},
		{"no time of day", "#EXT-X-PROGRAM-DATE-TIME:2026-05-04T02:02:04.000Z\n", "", "no EXT-X-PROGRAM-DATE-TIME"},
		{"a time of day that jumps", "T02:02:06.000Z", "T02:02:06.300Z", "dated 300ms off"},
		{
			"no parts near the end",
			"#EXT-X-PART:DURATION=1.0,URI=\"10.0.m4s\",INDEPENDENT=YES\n" +
				"#EXT-X-PART:DURATION=1.0,URI=\"10.1.m4s\"\n",
			"",
			"10.m4s has no parts, 9.m4s before it has",
		},
		{
			"parts far from the end",
			"#EXTINF:2.0,\n7.m4s",
			"#EXT-X-PART:DURATION=1.0,URI=\"a\",INDEPENDENT=YES\n" +
				"#EXT-X-PART:DURATION=1.0,URI=\"b\"\n#EXTINF:2.0,\n7.m4s",
			"7.m4s has parts",
		},
		{"a segment twice", "8.m4s", "7.m4s", "listed twice"},
		{"the end of a live playlist", "10.m4s\n", "10.m4s\n#EXT-X-ENDLIST\n", "no place"},
		{"no number", "SEQUENCE:7", "SEQUENCE:-7", "is no number"},
		{"another file", "#EXTM3U", "<html>", "begins with"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(sound, tc.was, tc.is, 1)
			if text == sound {
				t.Fatal("nothing was planted")
			}
			_, faults := hlscheck.Parse([]byte(text))
			if !strings.Contains(strings.Join(faults, "\n"), tc.want) {
				t.Errorf("found %q, want %q", faults, tc.want)
			}
		})
	}
}

func TestViolationsOfAnUpdateAreFound(t *testing.T) {
	for _, tc := range []struct{ name, was, is, want string }{
		{"another target duration", "TARGETDURATION:2", "TARGETDURATION:3", "target duration changed"},
		{"another part target", "PART-TARGET=1.0", "PART-TARGET=0.9", "PART-TARGET or EXT-X-SERVER-CONTROL changed"},
		{"a media sequence that goes back", "MEDIA-SEQUENCE:9", "MEDIA-SEQUENCE:6", "media sequence went back"},
		{
			"a lost discontinuity",
			"DISCONTINUITY-SEQUENCE:2",
			"DISCONTINUITY-SEQUENCE:1",
			"discontinuity number of 9.m4s became 1 from 2",
		},
		{"a discontinuity sequence that goes back", "DISCONTINUITY-SEQUENCE:2", "DISCONTINUITY-SEQUENCE:0", "went back"},
		{"another segment of the same number", "\n10.m4s", "\n10b.m4s", "segment 10.m4s became 10b.m4s"},
		{"a segment of another length", "#EXTINF:2.0,\n10", "#EXTINF:2.1,\n10", "became 10.m4s, 2.1s"},
		{"a segment dated anew", "T02:02:08.000Z", "T02:02:08.001Z", "11.m4s changed"},
		{"another part of the same number", `1.0,URI="11.1.m4s"`, `1.0,URI="11.x.m4s"`, "a part of 11.m4s changed"},
		{
			"a part that is lost",
			"#EXT-X-PART:DURATION=1.0,URI=\"11.1.m4s\"\n#EXT-X-PART:DURATION=0.4,URI=\"11.2.m4s\"\n",
			"",
			"11.m4s lost 11.1.m4s",
		},
		{
			"another part than was hinted at",
			`URI="11.2.m4s"`,
			`URI="11.3.m4s"`,
			"11.2.m4s was hinted at, and 11.3.m4s came",
		},
		{
			"a segment that ends without what was hinted at",
			"#EXT-X-PART:DURATION=0.4,URI=\"11.2.m4s\"\n",
			"",
			"ended without it",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(later, tc.was, tc.is, 1)
			if text == later {
				t.Fatal("nothing was planted")
			}
			b, _ := hlscheck.Parse([]byte(text))
			faults := hlscheck.Follows(parse(t, sound), b)
			if !strings.Contains(strings.Join(faults, "\n"), tc.want) {
				t.Errorf("found %q, want %q", faults, tc.want)
			}
		})
	}
}

func TestDeltaUpdates(t *testing.T) {
	before, after, _ := strings.Cut(later, "#EXT-X-MAP")
	_, after, _ = strings.Cut(after, "9.m4s\n")
	for _, tc := range []struct{ name, skip, want string }{
		{"what is known is skipped", "1", ""},
		{"what was never listed is skipped", "9", "never listed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := before + "#EXT-X-SKIP:SKIPPED-SEGMENTS=" + tc.skip + "\n#EXT-X-MAP:URI=\"i.mp4\"\n" + after
			delta, _ := hlscheck.Parse([]byte(text))
			faults := delta.Merge(parse(t, sound))
			if tc.want == "" {
				faults = append(faults, hlscheck.Follows(parse(t, sound), delta)...)
			}
			if got := strings.Join(faults, "\n"); !strings.Contains(got, tc.want) || tc.want == "" && got != "" {
				t.Errorf("found %q, want %q", got, tc.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte(later))
	f.Add([]byte("#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=999999999999\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, _ := hlscheck.Parse(text)
		other, _ := hlscheck.Parse([]byte(later))
		l.Merge(other)
		hlscheck.Follows(other, l)
		l.Edge()
	})
}
