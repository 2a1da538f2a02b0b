package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is one of the command line. Help, the completion of the shell and the
// manual are made of the table of commands.
type command struct {
	name    string // one word, or two for one of a group
	args    string // what it takes besides flags: NAME, [NAME], or nothing
	summary string // a line, without a full stop
	about   string // for the manual, in sentences; empty: the summary says it all
	setup   func(fs *flag.FlagSet) runner
	rewrite func(args []string) []string // of flags that package flag cannot read; nil: none
}

// runner is a command whose flags are known. args are the others.
type runner func(ctx context.Context, c console, args []string) error

// find returns the command that args begin with and what is left of them; or else
// the commands of the group that they name.
func find(args []string) (cmd *command, rest []string, group []command) {
	for _, one := range commands() {
		words := strings.Fields(one.name)
		if len(args) >= len(words) && slices.Equal(args[:len(words)], words) {
			return &one, args[len(words):], nil
		}
		if words[0] == args[0] {
			group = append(group, one)
		}
	}
	return nil, nil, group
}

// flags returns the command's flags, and what runs it once they are parsed.
func (cmd *command) flags() (*flag.FlagSet, runner) {
	fs := flag.NewFlagSet("camrelay "+cmd.name, flag.ContinueOnError)
	return fs, cmd.setup(fs)
}

// call reads the flags and runs the command. Flags and others may be mixed.
func (cmd *command) call(ctx context.Context, c console, args []string) error {
	fs, run := cmd.flags()
	fs.SetOutput(c.err)
	fs.Usage = func() { cmd.describe(c.err) }
	if cmd.rewrite != nil {
		args = cmd.rewrite(args)
	}
	var others []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return flag.ErrHelp
			}
			return errUsage
		}
		if fs.NArg() == 0 {
			break
		}
		others, args = append(others, fs.Arg(0)), fs.Args()[1:]
	}
	least, most := cmd.bounds()
	switch {
	case len(others) < least:
		fmt.Fprintf(c.err, "camrelay: %s is missing\n", strings.Fields(cmd.args)[len(others)])
	case len(others) > most:
		// They are not said again: one may be a password.
		fmt.Fprintf(c.err, "camrelay: camrelay %s takes %d arguments besides flags, not %d\n", cmd.name, most, len(others))
	default:
		return run(ctx, c, others)
	}
	fs.Usage()
	return errUsage
}

// bounds returns how many arguments besides flags the command takes.
func (cmd *command) bounds() (least, most int) {
	for word := range strings.FieldsSeq(cmd.args) {
		most++
		if !strings.HasPrefix(word, "[") {
			least++
		}
	}
	return least, most
}

// describe prints what the command does and its flags.
func (cmd *command) describe(w io.Writer) {
	fs, _ := cmd.flags()
	line := strings.TrimSpace("camrelay " + cmd.name + " " + cmd.args)
	if hasFlags(fs) {
		line += " [FLAGS]"
	}
	fmt.Fprintf(w, "usage: %s\n\n%s.\n", line, strings.ToUpper(cmd.summary[:1])+cmd.summary[1:])
	if cmd.about != "" {
		fmt.Fprintln(w, cmd.about)
	}
	if hasFlags(fs) {
		fmt.Fprintln(w)
		fs.SetOutput(w)
		fs.PrintDefaults()
	}
}

func hasFlags(fs *flag.FlagSet) bool {
	any := false
	fs.VisitAll(func(*flag.Flag) { any = true })
	return any
}
