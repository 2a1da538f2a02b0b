package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
)

// defaultBundle is the name of a bundle, in the working directory.
const defaultBundle = "camrelay-bundle.tar.gz"

// Bounds of what a bundle takes.
const (
	maxPart      = 8 << 20 // bytes of one part
	journalLines = "5000"
	journalWait  = 15 * time.Second
)

// bundle collects parts. What cannot be had is noted and left out.
type bundle struct {
	out     *tar.Writer
	now     time.Time
	missing bytes.Buffer
}

func setupBundle(fs *flag.FlagSet) runner {
	a := &apiFlags{}
	a.add(fs)
	var files configFlags
	files.add(fs)
	return func(ctx context.Context, c console, args []string) error {
		client, err := a.client()
		if err != nil {
			return err
		}
		name := defaultBundle
		if len(args) > 0 {
			name = args[0]
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("cannot write the bundle: %w", err)
		}
		if err := cmp.Or(collect(ctx, f, a, client, files.options()), f.Close()); err != nil {
			_ = os.Remove(name) // half a bundle is of no use
			return fmt.Errorf("cannot write the bundle: %w", err)
		}
		_, err = fmt.Fprintln(c.out, name)
		return err
	}
}

// collect writes all parts.
func collect(ctx context.Context, w io.Writer, a *apiFlags, client *api.Client, opts config.Options) error {
	zipped := gzip.NewWriter(w)
	b := &bundle{out: tar.NewWriter(zipped), now: time.Now()}
	parts := map[string]func() ([]byte, error){
		"version.txt":  func() ([]byte, error) { return []byte(version + "\n"), nil },
		"config.txt":   func() ([]byte, error) { return maskedFiles(opts), nil },
		"journal.txt":  func() ([]byte, error) { return journal(ctx) },
		"events.jsonl": func() ([]byte, error) { return held(ctx, a) },
	}
	for name, path := range map[string]string{
		"status.json": "/v1/status", "config-status.json": "/v1/config/status", "sessions.json": "/v1/sessions?" + mostItems,
		"ended.json": "/v1/sessions/ended?" + mostItems, "readyz.json": "/readyz", "paths.json": "/v3/config/paths/list",
		"keepalives.json": "/v3/paths/keepalive/list",
	} {
		parts[name] = func() ([]byte, error) { return answer(ctx, client, path) }
	}
	for name, path := range map[string]string{
		"os-release": "/etc/os-release", "meminfo": "/proc/meminfo", "cpuinfo": "/proc/cpuinfo", "loadavg": "/proc/loadavg",
		"uptime": "/proc/uptime", "mounts": "/proc/self/mounts", "model": "/proc/device-tree/model",
	} {
		parts["system/"+name] = func() ([]byte, error) { return os.ReadFile(path) }
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		text, err := parts[name]()
		if err != nil {
			fmt.Fprintf(&b.missing, "%s: %s\n", name, err)
			continue
		}
		if err := b.add(name, text[:min(len(text), maxPart)]); err != nil {
			return err
		}
	}
	return cmp.Or(b.add("missing.txt", b.missing.Bytes()), b.out.Close(), zipped.Close())
}

// add writes one part.
func (b *bundle) add(name string, text []byte) error {
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: "camrelay-bundle/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: b.now,
	}
	if err := b.out.WriteHeader(h); err != nil {
		return err
	}
	_, err := b.out.Write(text)
	return err
}

// answer returns what the API answers to a GET.
func answer(ctx context.Context, client *api.Client, path string) ([]byte, error) {
	body, err := client.Open(ctx, http.MethodGet, path, &bytes.Buffer{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, maxPart))
}

// held returns the events that the daemon holds.
func held(ctx context.Context, a *apiFlags) ([]byte, error) {
	as := *a
	as.json = true
	var b bytes.Buffer
	err := printEvents(ctx, console{out: &b, err: &b}, &as, url.Values{"since": {"0"}}, false)
	return b.Bytes(), err
}

// maskedFiles are the files of the configuration without secrets, and what is wrong
// with them.
func maskedFiles(opts config.Options) []byte {
	var b bytes.Buffer
	set := config.Read(opts)
	for i := range set.Files {
		fmt.Fprintf(&b, "# %s\n%s\n", set.Files[i].Path, set.Files[i].Masked())
	}
	opts.Elsewhere = true
	b.WriteString(config.Format(set.Load(opts).Errors, false))
	return b.Bytes()
}

// journal returns what the daemon has logged last.
func journal(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, journalWait)
	defer cancel()
	return exec.CommandContext(ctx, "journalctl", "--no-pager", "--quiet", "--output=short-iso", "--lines="+journalLines,
		"--unit=camrelay.service").Output()
}
