package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"camrelay/daemon/webhook"
)

// settled is how long nothing comes once all events that are held have come.
const settled = 500 * time.Millisecond

// setupEvents is events, or tail if it follows.
func setupEvents(follow bool) func(*flag.FlagSet) runner {
	return func(fs *flag.FlagSet) runner {
		a := &apiFlags{}
		a.addJSON(fs)
		kind := fs.String("type", "", "only `types` like path.ready,session.*")
		path := fs.String("path", "", "only of this `camera`")
		return func(ctx context.Context, c console, _ []string) error {
			query := url.Values{}
			for name, v := range map[string]string{"type": *kind, "path": *path} {
				if v != "" {
					query.Set(name, v)
				}
			}
			if !follow {
				query.Set("since", "0")
			}
			return printEvents(ctx, c, a, query, follow)
		}
	}
}

// printEvents prints events as they come, until Ctrl-C, or until no more come.
func printEvents(ctx context.Context, c console, a *apiFlags, query url.Values, follow bool) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := client.Open(ctx, http.MethodGet, "/v1/events?"+query.Encode(), &bytes.Buffer{})
	if err != nil {
		return err
	}
	defer body.Close()
	quiet := time.AfterFunc(time.Hour, cancel)
	defer quiet.Stop()
	if !follow {
		quiet.Reset(settled)
	}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if follow {
			quiet.Reset(time.Hour)
		} else {
			quiet.Reset(settled)
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if err := printEvent(c, a, data); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // it is what ends it
	}
	return errors.New("the daemon has ended the events")
}

func printEvent(c console, a *apiFlags, data string) error {
	if a.json {
		_, err := fmt.Fprintln(c.out, data)
		return err
	}
	var e webhook.Event
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return fmt.Errorf("cannot read an event: %w", err)
	}
	if e.Type == "" {
		_, err := fmt.Fprintln(c.out, "(some events are lost)")
		return err
	}
	line := fmt.Sprintf("%s  %-18s %-12s %s", e.Time.Local().Format(time.DateTime), e.Type, e.Path, e.Reason)
	_, err := fmt.Fprintln(c.out, strings.TrimRight(clean(strings.ReplaceAll(line, "\n", "; ")), " "))
	return err
}
