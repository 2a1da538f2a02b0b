// Command camrelay keeps the cameras of a site warm and relays them. This
// package parses the command line, wires the daemon, asks the API of one that
// runs, and exits; everything it does stands in other rooms.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
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

// errUsage is a command line that cannot be understood; why has been printed.
var errUsage = errors.New("usage")

// errInvalid is a broken configuration; what is broken has been printed.
var errInvalid = errors.New("invalid configuration")

// errNobody is the lack of a daemon, or of what it has left.
var errNobody = errors.New("no daemon has run here")

// errTold is a failure that has been printed.
var errTold = errors.New("told")

// console is where a command reads its surroundings and writes to people.
type console struct {
	in       io.Reader
	out, err io.Writer
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
		usage(c.err, commands())
		return exitUsage
	}
	if slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		return help(c, args[1:])
	}
	cmd, rest, group := find(args)
	switch {
	case cmd != nil:
		return exitCode(c, cmd.call(ctx, c, rest))
	case len(group) > 0:
		if len(args) > 1 {
			unknownCommand(c.err, args[0]+" "+args[1], group)
		}
		usage(c.err, group)
		return exitUsage
	}
	unknownCommand(c.err, args[0], commands())
	usage(c.err, commands())
	return exitUsage
}

// unknownCommand says that there is no such command, and which may be meant.
func unknownCommand(w io.Writer, name string, all []command) {
	known := make([]string, len(all))
	for i, cmd := range all {
		known[i] = cmd.name
	}
	text := fmt.Sprintf("camrelay: unknown command %q", name)
	if hint := config.DidYouMean(name, known); strings.HasPrefix(hint, "did") {
		text += ", " + hint
	}
	fmt.Fprintln(w, text)
}

// help answers "camrelay help" and "camrelay help COMMAND".
func help(c console, args []string) int {
	if len(args) == 0 {
		usage(c.out, commands())
		return exitOK
	}
	switch cmd, _, group := find(args); {
	case cmd != nil:
		cmd.describe(c.out)
	case len(group) > 0:
		usage(c.out, group)
	default:
		fmt.Fprintf(c.err, "camrelay: unknown command %q\n", args[0])
		return exitUsage
	}
	return exitOK
}

// exitCode says what is wrong, unless that is done, and returns the exit code.
func exitCode(c console, err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, errInvalid):
		return exitInvalid
	case errors.Is(err, errTold):
		return exitFailed
	}
	fmt.Fprintln(c.err, "camrelay:", clean(err.Error()))
	if errors.Is(err, errNobody) || errors.Is(err, api.ErrNobody) {
		return exitNobody
	}
	return exitFailed
}

// usage lists commands.
func usage(w io.Writer, all []command) {
	fmt.Fprintln(w, "usage: camrelay COMMAND [FLAGS]")
	fmt.Fprintln(w)
	for _, cmd := range all {
		fmt.Fprintf(w, "  %-28s %s\n", strings.TrimSpace("camrelay "+cmd.name+" "+cmd.args), cmd.summary)
	}
	fmt.Fprintln(w, "\n\"camrelay help COMMAND\" says more of one.")
}
