package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"camrelay/daemon"
	"camrelay/media"
)

func setupProbe(fs *flag.FlagSet) runner {
	var o daemon.ProbeOptions
	fs.StringVar(&o.Username, "user", "", "user `name`")
	passwordFile := fs.String("password-file", "", "`file` that holds the password; without it the URL's counts, "+
		"which other users of this machine can see")
	transport := fs.String("transport", "auto", "auto, tcp or udp")
	fs.BoolVar(&o.Insecure, "insecure", false, "rtsps: take any certificate")
	fs.DurationVar(&o.Timeout, "timeout", 15*time.Second, "give up after this `time`")
	asJSON := fs.Bool("json", false, "print JSON")
	return func(ctx context.Context, c console, args []string) error {
		o.URL, o.Transport = args[0], *transport
		if *passwordFile != "" {
			text, err := os.ReadFile(*passwordFile)
			if err != nil {
				return fmt.Errorf("cannot read the password: %w", err)
			}
			o.Password = media.Secret(strings.TrimRight(string(text), "\r\n"))
		}
		found, err := daemon.Probe(ctx, o)
		if err != nil && len(found.Tracks) == 0 {
			return err
		}
		if *asJSON {
			if e := printValue(c, found); e != nil {
				return e
			}
		} else if e := printProbe(c, found); e != nil {
			return e
		}
		return errors.Join(err)
	}
}

func printProbe(c console, found daemon.Probed) error {
	rows := [][]cell{plainCells("TRACK", "CODEC", "DETAILS")}
	for _, t := range found.Tracks {
		var details []string
		if t.Width > 0 {
			details = append(details, fmt.Sprintf("%dx%d", t.Width, t.Height))
		}
		if t.SampleRate > 0 {
			details = append(details, fmt.Sprintf("%d Hz, %d channels", t.SampleRate, t.Channels))
		}
		if t.Reorder {
			details = append(details, "B-frames")
		}
		rows = append(rows, plainCells(t.Kind, t.Codec, strings.Join(details, ", ")))
	}
	if err := printTable(c, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "first packet after %.2fs, first key frame after %.2fs, %d kbit/s, %.1f frames/s, "+
		"key frame every %.1fs, %d packets lost\n", found.FirstPacket, found.FirstKey, found.BitrateKbits, found.FrameRate,
		found.KeyInterval, found.Lost)
	return err
}
