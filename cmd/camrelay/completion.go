package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
)

func setupCompletion(*flag.FlagSet) runner {
	return func(_ context.Context, c console, _ []string) error {
		_, err := fmt.Fprint(c.out, completion())
		return err
	}
}

// words is what can be completed.
type words struct {
	first       []string            // of commands
	groups      map[string][]string // second words by the first
	flags       []string            // a line of the script for each command that has some
	files, dirs []string            // flags that are followed by one
}

func wordsOf(all []command) *words {
	w := &words{groups: make(map[string][]string)}
	for _, cmd := range all {
		word, second, grouped := strings.Cut(cmd.name, " ")
		if !slices.Contains(w.first, word) {
			w.first = append(w.first, word)
		}
		if grouped {
			w.groups[word] = append(w.groups[word], second)
		}
		fs, _ := cmd.flags()
		var names []string
		fs.VisitAll(func(f *flag.Flag) {
			names = append(names, "-"+f.Name)
			switch kind, _ := flag.UnquoteUsage(f); kind {
			case "file", "FILE":
				w.files = append(w.files, "-"+f.Name, "--"+f.Name)
			case "directory", "directories":
				w.dirs = append(w.dirs, "-"+f.Name, "--"+f.Name)
			}
		})
		if len(names) > 0 {
			w.flags = append(w.flags, fmt.Sprintf("\t\t%q) words='%s' ;;\n", cmd.name, strings.Join(names, " ")))
		}
	}
	return w
}

// completion is the script that lets bash complete commands and flags.
func completion() string {
	var b strings.Builder
	w := wordsOf(commands())
	alternatives := func(all []string) string {
		slices.Sort(all)
		return strings.Join(slices.Compact(all), " | ")
	}
	fmt.Fprintf(&b, `# bash completion for camrelay, made by "camrelay completion"

_camrelay() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words='' name=${COMP_WORDS[1]}
	case $prev in
	%s)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	%s)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	esac
	if [ "$COMP_CWORD" -eq 1 ]; then
		words='%s help'
	else
		case $name in
`, alternatives(w.files), alternatives(w.dirs), strings.Join(w.first, " "))
	for _, word := range w.first {
		if seconds := w.groups[word]; len(seconds) > 0 {
			fmt.Fprintf(&b, "\t\t%s) [ \"$COMP_CWORD\" -eq 2 ] && words='%s' || name+=\" ${COMP_WORDS[2]}\" ;;\n",
				word, strings.Join(seconds, " "))
		}
	}
	fmt.Fprintf(&b, `		esac
	fi
	if [ -z "$words" ]; then
		case $name in
%s		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "${cur/#--/-}")
}
complete -F _camrelay camrelay
`, strings.Join(w.flags, ""))
	return b.String()
}
