package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/session"
)

// again is how often a status that is watched is printed.
const again = 2 * time.Second

func setupStatus(fs *flag.FlagSet) runner {
	a := &apiFlags{}
	a.addJSON(fs)
	watch := fs.Bool("watch", false, "print it again every 2 s, until Ctrl-C")
	once := asks(a, at("/v1/status"), printStatus)
	return func(ctx context.Context, c console, args []string) error {
		if !*watch {
			return once(ctx, c, args)
		}
		tick := time.NewTicker(again)
		defer tick.Stop()
		for {
			if isTerminal(c.out) {
				if _, err := io.WriteString(c.out, "\x1b[H\x1b[2J"); err != nil {
					return err
				}
			}
			if err := once(ctx, c, args); err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func printStatus(c console, st api.Status) error {
	fmt.Fprintf(c.out, "camrelay %s, up %s, config #%d %s\n", clean(st.Version), short(st.Uptime), st.Config.Generation,
		clean(st.Config.State))
	for _, e := range st.Config.Errors {
		fmt.Fprintln(c.out, "  "+clean(e.Error()))
	}
	for _, p := range st.Config.Problems {
		fmt.Fprintln(c.out, "  "+clean(p))
	}
	viewers := make(map[string]int)
	for _, v := range st.Viewers {
		viewers[v.Path]++
	}
	rows := [][]cell{plainCells("CAMERA", "STATE", "SINCE", "KBIT/S", "FPS", "KEY", "LOST", "VIEWERS", "WHY")}
	for _, cam := range st.Cameras {
		why := cam.Why
		if !cam.Health.Warm && cam.Health.Reason != "" {
			why = cam.Health.Reason
		}
		row := plainCells(cam.Name, cam.Health.State, since(cam.Health.Since), strconv.Itoa(cam.BitrateKbits),
			fmt.Sprintf("%.1f", cam.FrameRate), fmt.Sprintf("%.1fs", cam.KeyInterval), strconv.FormatUint(cam.Lost, 10),
			strconv.Itoa(viewers[cam.Name]), why)
		row[1].color = colorOf(cam.Health.State)
		rows = append(rows, row)
	}
	if err := printTable(c, rows); err != nil || len(st.Pushes) == 0 {
		return err
	}
	fmt.Fprintln(c.out)
	rows = [][]cell{plainCells("PUSH", "CAMERA", "STATE", "SINCE", "KBIT/S", "LOST", "TARGET", "REASON")}
	for _, p := range st.Pushes {
		row := plainCells(p.Name, p.Camera, p.State, since(p.Since), strconv.Itoa(p.BitrateKbits),
			strconv.FormatUint(p.Lost, 10), p.Target, p.Reason)
		row[2].color = colorOf(p.State)
		rows = append(rows, row)
	}
	return printTable(c, rows)
}

// colorOf is the colour of a state of a camera or a push.
func colorOf(state string) int {
	switch state {
	case "warm", "active":
		return green
	case "degraded", "starting", "reconnecting":
		return yellow
	case "idle", "stopped", "disabled":
		return 0
	}
	return red
}

// since says how long ago t was.
func since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return short(time.Since(t).Seconds())
}

// short is a time in one or two units.
func short(seconds float64) string {
	d := max(0, time.Duration(seconds*float64(time.Second)))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// items is a page of a list of the API.
type items[T any] struct {
	ItemCount int `json:"item_count"`
	Items     []T `json:"items"`
}

// mostItems is how many of a list are printed; the API has no more in a page.
const mostItems = "items_per_page=10000"

func setupSessions(fs *flag.FlagSet) runner {
	a := &apiFlags{}
	a.addJSON(fs)
	ended := fs.Bool("ended", false, "those that ended last, and why")
	open := asks(a, at("/v1/sessions?"+mostItems), printSessions)
	past := asks(a, at("/v1/sessions/ended?"+mostItems), printEnded)
	return func(ctx context.Context, c console, args []string) error {
		if *ended {
			return past(ctx, c, args)
		}
		return open(ctx, c, args)
	}
}

func printSessions(c console, list items[session.Stat]) error {
	rows := [][]cell{plainCells("ID", "KIND", "PROTOCOL", "PATH", "REMOTE", "USER", "UP", "STATE", "KBIT/S", "NOTE")}
	for _, s := range list.Items {
		row := plainCells(s.ID, string(s.Kind), s.Protocol, s.Path, s.Remote, s.User, short(s.Uptime), string(s.State),
			strconv.Itoa(s.Bitrate), s.Note)
		row[7].color = colorOf(string(s.State))
		rows = append(rows, row)
	}
	return printTable(c, rows)
}

func printEnded(c console, list items[session.Ended]) error {
	rows := [][]cell{plainCells("ENDED", "KIND", "PROTOCOL", "PATH", "REMOTE", "USER", "UP", "BECAUSE")}
	for _, s := range list.Items {
		rows = append(rows, plainCells(s.EndTime.Local().Format(time.TimeOnly), string(s.Kind), s.Protocol, s.Path, s.Remote,
			s.User, short(s.Uptime), s.Reason+" "+s.Detail))
	}
	return printTable(c, rows)
}

func setupKick(fs *flag.FlagSet) runner {
	a := &apiFlags{}
	a.add(fs)
	return func(ctx context.Context, c console, args []string) error {
		client, err := a.client()
		if err != nil {
			return err
		}
		order := map[string]any{"mediaSessionId": args[0]}
		var answer struct{ Count int }
		if err := client.Do(ctx, "POST", "/rest-api/stream/terminate", order, &answer); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "%d ended\n", answer.Count)
		return err
	}
}
