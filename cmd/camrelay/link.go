package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"camrelay/daemon/api"
)

func setupLink(fs *flag.FlagSet) runner {
	a := &apiFlags{}
	a.add(fs)
	good := fs.Duration("for", time.Hour, "how long the link is good, at most an `hour`")
	host := fs.String("host", "", "`name` or address by which viewers find the box (default: its own name in the LAN)")
	return func(ctx context.Context, c console, args []string) error {
		client, err := a.client()
		if err != nil {
			return err
		}
		var made api.LinkStatus
		asked := api.LinkRequest{Cameras: args, For: good.String()}
		if err := client.Do(ctx, http.MethodPost, "/v1/links", asked, &made); err != nil {
			return err
		}
		var st api.Status
		if err := client.Get(ctx, "/v1/status", &st); err != nil {
			return err
		}
		base, err := viewersURL(st.Listeners, *host)
		if err != nil {
			return err
		}
		path := made.Page
		for _, playlist := range made.HLS { // of the one camera
			path = playlist
		}
		for _, w := range made.Warnings {
			fmt.Fprintf(c.err, "warning: %s\n", w)
		}
		fmt.Fprintf(c.err, "good until %s, for whoever has it\n", made.Expires.Local().Format(time.DateTime))
		_, err = fmt.Fprintln(c.out, base+path)
		return err
	}
}

// viewersURL is how viewers get to the box: by host if that is given, or else by the
// address that its server is bound to, or by the box's name in the LAN.
func viewersURL(listeners map[string]string, host string) (string, error) {
	at := url.URL{Scheme: "http"}
	bound := listeners["http"]
	if bound == "" {
		at.Scheme, bound = "https", listeners["https"]
	}
	own, port, err := net.SplitHostPort(bound)
	if err != nil {
		return "", errors.New("the viewers' server does not run: see camrelay status")
	}
	if ip := net.ParseIP(own); ip != nil && ip.IsUnspecified() {
		own = ""
	}
	if host = cmp.Or(host, own); host == "" {
		name, err := os.Hostname()
		if err != nil {
			return "", fmt.Errorf("cannot tell the box's name, give -host: %w", err)
		}
		host = name + ".local"
	}
	at.Host = net.JoinHostPort(host, port)
	return at.String(), nil
}
