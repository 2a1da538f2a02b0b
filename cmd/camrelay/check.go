package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"camrelay/daemon"
	"camrelay/daemon/config"
)

// check is one call of camrelay check.
type check struct {
	console

	files          configFlags
	file, as       string // to be checked in the place of another
	diff           optional
	runtime, state string
	json           bool

	opts config.Options
}

// optional is a flag that may have a value.
type optional struct {
	given bool
	value string
}

// String implements flag.Value.
func (o *optional) String() string { return o.value }

// Set implements flag.Value.
func (o *optional) Set(s string) error {
	o.given, o.value = true, s
	if s == "true" {
		o.value = ""
	}
	return nil
}

// IsBoolFlag tells package flag that the value may be missing.
func (*optional) IsBoolFlag() bool { return true }

func setupCheck(fs *flag.FlagSet) runner {
	k := &check{}
	k.files.add(fs)
	fs.StringVar(&k.file, "file", "", "check this `file` as if it had been saved: for \"validate\" of Ansible")
	fs.StringVar(&k.as, "as", "", "`name` under which it would be saved: that of the main file or of a drop-in "+
		"(default: its own, or that of the file that it fits in the place of)")
	fs.Var(&k.diff, "diff", "tell what the change would touch, of what runs or of a configuration in `FILE`")
	k.add(fs)
	return k.run
}

// add adds the flags of whatever checks the files of a box.
func (k *check) add(fs *flag.FlagSet) {
	fs.StringVar(&k.state, "state-dir", stateDir, "state `directory` of the daemon, which tells what runs")
	fs.StringVar(&k.runtime, "runtime-dir", runtimeDir,
		"runtime `directory` of the daemon, which is asked what the cameras of pushes send")
	fs.BoolVar(&k.json, "json", false, "print JSON")
}

func (k *check) run(ctx context.Context, c console, _ []string) error {
	k.console = c
	k.opts = k.files.options()
	k.opts.Machine = filepath.Join(k.state, daemon.MachineFile)
	k.opts.CredentialsDir, k.opts.Elsewhere = os.Getenv("CREDENTIALS_DIRECTORY"), true
	k.opts.Memory = daemon.MemoryOf(k.runtime)
	set, err := k.set()
	if err != nil {
		return err
	}
	r := set.Load(k.opts)
	var from *config.Config
	if k.diff.given && r.Config != nil {
		if from, err = k.running(); err != nil {
			return err
		}
	}
	if k.json {
		return k.printJSON(set, r, from)
	}
	return k.print(ctx, r, from)
}

// joined joins "--diff FILE" of old to one argument.
func joined(args []string) []string {
	i := slices.IndexFunc(args, func(a string) bool { return a == "-diff" || a == "--diff" })
	if i < 0 || i+1 == len(args) || strings.HasPrefix(args[i+1], "-") {
		return args
	}
	return slices.Concat(args[:i], []string{"--diff=" + args[i+1]}, args[i+2:])
}

// set returns the files, with the one in question in its place.
func (k *check) set() (*config.Set, error) {
	live := config.Read(k.opts)
	if k.file == "" {
		return live, nil
	}
	f, err := os.Open(k.file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the file: %w", err)
	}
	defer f.Close()
	const tooLarge = 1<<20 + 1 // so that it is told where all mistakes are
	text, err := io.ReadAll(io.LimitReader(f, tooLarge))
	if err != nil {
		return nil, fmt.Errorf("cannot read the file: %w", err)
	}
	base := filepath.Base(k.file)
	if k.as == "" && !slices.Contains(names(live), base) {
		return k.guess(live, text), nil
	}
	set, err := live.With(cmp.Or(k.as, base), k.file, text, k.opts)
	if err != nil {
		fmt.Fprintln(k.err, "camrelay check: --as:", err)
		return nil, errUsage
	}
	return set, nil
}

// names returns the base names of the files.
func names(set *config.Set) []string {
	var all []string
	for _, f := range set.Files {
		all = append(all, filepath.Base(f.Path))
	}
	return all
}

// guess puts text, whose name says nothing, where it fits: beside the files that
// there are, or in the place of one. Where it fits nowhere, it is beside them.
func (k *check) guess(live *config.Set, text []byte) *config.Set {
	beside := "zz-check.yaml"
	if base := filepath.Base(k.file); config.IsDropIn(base) {
		beside = base
	}
	first, err := live.With(beside, k.file, text, k.opts)
	if err != nil {
		return live // there is always a directory of drop-ins
	}
	if first.Load(k.opts).Config != nil {
		return first
	}
	for i, name := range names(live) {
		set, err := live.With(name, k.file, text, k.opts)
		if err == nil && set.Load(k.opts).Config != nil {
			fmt.Fprintf(k.err, "%s is checked in the place of %s; --as NAME says otherwise\n", k.file, live.Files[i].Path)
			return set
		}
	}
	return first
}

// running returns the configuration to compare with.
func (k *check) running() (*config.Config, error) {
	if k.diff.value == "" {
		cfg, err := daemon.LastGood(k.state, k.opts)
		if err != nil {
			return nil, errors.Join(errNobody, err)
		}
		return cfg, nil
	}
	at := k.files
	at.file = k.diff.value
	opts := at.options()
	opts.CredentialsDir, opts.Elsewhere = k.opts.CredentialsDir, true
	cfg, _, err := config.Load(opts)
	if err != nil {
		fmt.Fprint(k.err, config.Format(err, false))
		return nil, errInvalid
	}
	return cfg, nil
}

func (k *check) printJSON(set *config.Set, r config.Result, from *config.Config) error {
	enc := json.NewEncoder(k.out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(daemon.Preview(set, r, from)); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	if r.Config == nil {
		return errInvalid
	}
	return nil
}

// print prints the result for people: mistakes and warnings to the one side,
// what would be touched or that all is well to the other.
func (k *check) print(ctx context.Context, r config.Result, from *config.Config) error {
	if len(r.Errors) > 0 {
		fmt.Fprint(k.err, config.Format(r.Errors, false))
	}
	if r.Config == nil {
		return errInvalid
	}
	for _, name := range r.LeftOut {
		fmt.Fprintf(k.err, "%s would be left out\n", name)
	}
	fmt.Fprint(k.err, config.FormatWarnings(r.Config.Warnings, false))
	if from != nil {
		changes := daemon.Diff(from, r.Config)
		for _, change := range changes {
			fmt.Fprintln(k.out, change)
		}
		if len(changes) == 0 {
			fmt.Fprintln(k.out, "nothing would be touched")
		}
		return nil
	}
	if advice, err := daemon.Advice(ctx, r.Config, k.runtime); err == nil { // else no daemon runs, and nobody knows
		for _, line := range advice {
			fmt.Fprintln(k.err, "warning", line)
		}
	}
	fmt.Fprintf(k.out, "%s: ok, %d cameras, %d pushes\n", cmp.Or(k.file, k.files.file),
		len(r.Config.Cameras), len(r.Config.Pushes))
	return nil
}
