// Command camrelay keeps the cameras of a site warm and relays them. This
// package parses the command line, wires the daemon and exits; everything it
// does stands in other rooms.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is stamped by the linker.
var version = "0.0.0-dev" // written once, by -ldflags -X

// Exit codes, stable for scripts.
const (
	exitOK      = 0
	exitFailed  = 1
	exitInvalid = 2 // the configuration is broken
	exitNobody  = 3 // there is no daemon that could tell
	exitUsage   = 4
)

// errUsage is a command line that cannot be understood; flag has printed why.
var errUsage = errors.New("usage")

// errInvalid is a broken configuration; what is broken has been printed.
var errInvalid = errors.New("invalid configuration")

// errNobody is the lack of a daemon, or of what it has left.
var errNobody = errors.New("no daemon has run here")

// command is one word of the command line.
type command struct {
	name, summary string
	run           func(ctx context.Context, c console, args []string) error
}

// console is where a command reads its surroundings and writes to people.
type console struct {
	in       io.Reader
	out, err io.Writer
}

func commands() []command {
	return []command{
		{"run", "run the daemon", runDaemon},
		{"check", "check a configuration, and tell what an edit would touch", runCheck},
		{"user", "add a user, hash a password or make a token", runUser},
		{"selftest", "test this box: hardware, configuration, and all of camrelay with a synthetic camera", runSelftest},
		{"demo", "run the daemon on two synthetic cameras", runDemo},
		{"version", "print the version", func(_ context.Context, c console, _ []string) error {
			_, err := fmt.Fprintln(c.out, version)
			return err
		}},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := dispatch(ctx, console{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// dispatch runs the command that args name and returns the exit code.
func dispatch(ctx context.Context, c console, args []string) int {
	if len(args) == 0 {
		usage(c.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "--help":
		usage(c.out)
		return exitOK
	}
	for _, cmd := range commands() {
		if cmd.name != args[0] {
			continue
		}
		err := cmd.run(ctx, c, args[1:])
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errUsage):
			return exitUsage
		case errors.Is(err, errInvalid):
			return exitInvalid
		}
		fmt.Fprintln(c.err, "camrelay:", err)
		if errors.Is(err, errNobody) {
			return exitNobody
		}
		return exitFailed
	}
	fmt.Fprintf(c.err, "camrelay: unknown command %q\n", args[0])
	usage(c.err)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: camrelay COMMAND [FLAGS]")
	fmt.Fprintln(w)
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %-8s %s\n", cmd.name, cmd.summary)
	}
	fmt.Fprintln(w, "\n\"camrelay COMMAND -h\" lists the flags of a command.")
}
