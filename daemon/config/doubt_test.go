package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestDoubts(t *testing.T) {
	var many strings.Builder
	many.WriteString(oneCamera)
	for i := range 200 {
		fmt.Fprintf(&many, "  c%d: {url: rtsp://c%d/}\n", i, i)
	}
	for _, row := range []struct {
		name, text string
		want       string // of the warnings, joined
	}{
		{"nothing to doubt", oneCamera, ""},
		{
			"a camera with two names", oneCamera + "  yard: {keep: ondemand, url: rtsp://c/}\n",
			"camrelay.yaml:5:31: cameras.yard.url: camera gate has the same URL",
		},
		{
			"a sub stream that is its main stream", oneCamera + "  yard: {url: rtsp://d/, sub: {url: rtsp://d/}}\n",
			"camrelay.yaml:5:37: cameras.yard.sub.url: camera yard has the same URL",
		},
		{
			"two pushes to one place", oneCamera + "pushes:\n  a: {camera: gate, url: rtmp://h/a/k}\n" +
				"  b: {camera: gate, url: rtmp://h/a/k, limit: 3}\n  c: {camera: gate, url: rtmp://h/a/other}\n",
			"camrelay.yaml:7:26: pushes.b.url: push a goes to the same place",
		},
		{
			"two pushes with keys of their own", oneCamera + "pushes:\n  a: {camera: gate, url: rtmp://h/a, key: one}\n" +
				"  b: {camera: gate, url: rtmp://h/a, key: two}\n", "",
		},
		{
			"a secret of the environment", oneCamera + "  yard: {url: rtsp://d/, password: \"${PASSWORD}\"}\n",
			"camrelay.yaml:5:36: cameras.yard.password: is taken as it stands, it looks like a place for a secret " +
				"(only ${cred:name} is looked up)",
		},
		{
			"a template that nobody has filled in", oneCamera + "  yard: {url: rtsp://d/, password: \"{{ yard_word }}\"}\n",
			"camrelay.yaml:5:36: cameras.yard.password: is taken as it stands",
		},
		{
			"passwords with such characters in them", oneCamera + "  yard: {url: rtsp://d/, password: \"a${b}\"}\n" +
				"  lane: {url: rtsp://e/, password: \"{{\"}\n", "",
		},
		{
			"a budget larger than the memory", oneCamera + "hls: {budget: 1GiB}\n",
			"camrelay.yaml:5:15: hls.budget: 1024 MiB are more than the 512 MiB of the memory that they lie in",
		},
		{
			"a small budget for many cameras", many.String(),
			"camrelay.yaml:1:1: hls.budget: 201 cameras have 1.3 MiB each: not enough for 14s of a picture",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBox(t, row.text)
			b.opts.Memory = 512 << 20
			cfg, _ := b.load()
			got := strings.ReplaceAll(cfg.Warnings.Error(), b.dir+"/", "")
			if !strings.HasPrefix(got, row.want) || row.want == "" && got != "" || strings.Count(got, "\n") > 0 {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}
