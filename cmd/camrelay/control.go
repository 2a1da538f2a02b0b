package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"camrelay/daemon/api"
)

// lease is what is printed of a keepalive.
type lease struct {
	ID, Path, State, Reason, Label, Owner, CreatorUser string
	Since                                              time.Time
	Expires                                            *time.Time
}

func setupKeepaliveList(fs *flag.FlagSet) runner {
	a := &apiFlags{}
	a.addJSON(fs)
	return asks(a, at("/v3/paths/keepalive/list?itemsPerPage=10000"), func(c console, list items[lease]) error {
		rows := [][]cell{plainCells("ID", "CAMERA", "STATE", "SINCE", "BY", "LABEL", "EXPIRES", "REASON")}
		for _, l := range list.Items {
			expires := "-"
			if l.Expires != nil {
				expires = l.Expires.Local().Format(time.DateTime)
			}
			by := l.CreatorUser
			if l.Owner == "config" {
				by = "the configuration"
			}
			rows = append(rows, plainCells(l.ID, l.Path, l.State, since(l.Since), by, l.Label, expires, l.Reason))
		}
		return printTable(c, rows)
	})
}

func setupKeepaliveAdd(fs *flag.FlagSet) runner {
	a := &apiFlags{}
	a.add(fs)
	ttl := fs.Duration("ttl", 0, "let go of it after this `time`, such as 8h (default: never)")
	label := fs.String("label", "", "what it is for, for people")
	return func(ctx context.Context, c console, args []string) error {
		client, err := a.client()
		if err != nil {
			return err
		}
		body := map[string]any{"label": *label}
		if *ttl > 0 {
			body["ttl"] = ttl.String()
		}
		var answer struct{ ID, Warning string }
		path := "/v3/paths/keepalive/add/" + url.PathEscape(args[0])
		if err := client.Do(ctx, http.MethodPost, path, body, &answer); err != nil {
			return err
		}
		if answer.Warning != "" {
			fmt.Fprintln(c.err, "camrelay:", clean(answer.Warning))
		}
		_, err = fmt.Fprintln(c.out, answer.ID)
		return err
	}
}

func setupKeepaliveRemove(fs *flag.FlagSet) runner {
	a := &apiFlags{}
	a.add(fs)
	return func(ctx context.Context, _ console, args []string) error {
		client, err := a.client()
		if err != nil {
			return err
		}
		return client.Do(ctx, http.MethodDelete, "/v3/paths/keepalive/remove/"+url.PathEscape(args[0]), nil, nil)
	}
}

func setupPushTest(fs *flag.FlagSet) runner {
	a := &apiFlags{}
	a.addJSON(fs)
	wait := fs.Duration("wait", 20*time.Second, "give up after this `time`")
	return func(ctx context.Context, c console, args []string) error {
		client, err := a.client()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, *wait)
		defer cancel()
		path := "/v1/pushes/" + url.PathEscape(args[0])
		var before api.PushStatus
		if err := client.Do(ctx, http.MethodGet, path, nil, &before); err != nil {
			return err
		}
		if before.State != "active" {
			if err := client.Do(ctx, http.MethodPost, path+"/retry", nil, nil); err != nil {
				return err
			}
		}
		now, err := awaitPush(ctx, client, path, before)
		if err != nil {
			return err
		}
		if a.json {
			if err := printJSON(context.WithoutCancel(ctx), c, client, path); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(c.out, "%s to %s: %s\n", now.Name, clean(now.URL), clean(verdict(now, before)))
		}
		if now.State != "active" {
			return errTold
		}
		return nil
	}
}

// awaitPush waits until a push is active or has failed anew.
func awaitPush(ctx context.Context, client *api.Client, path string, before api.PushStatus) (api.PushStatus, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var now api.PushStatus
		err := client.Get(context.WithoutCancel(ctx), path, &now)
		if err != nil || now.State == "active" || failedAnew(now, before) || now.State == "stopped" || ctx.Err() != nil {
			return now, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func failedAnew(now, before api.PushStatus) bool {
	return len(now.Errors) > 0 && (len(before.Errors) == 0 || now.Errors[0].At.After(before.Errors[0].At))
}

// verdict says how a push goes.
func verdict(now, before api.PushStatus) string {
	switch {
	case now.State == "active":
		return fmt.Sprintf("media flows, %d kbit/s", now.BitrateKbits)
	case failedAnew(now, before):
		return "failed: " + now.Errors[0].Message
	}
	return now.State + ", " + now.Reason
}
