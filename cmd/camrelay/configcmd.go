package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"camrelay/daemon/config"
)

func setupConfigCat(fs *flag.FlagSet) runner {
	var files configFlags
	files.add(fs)
	return func(_ context.Context, c console, _ []string) error {
		set := config.Read(files.options())
		for i := range set.Files {
			f := &set.Files[i]
			if f.SHA256() == "" {
				return fmt.Errorf("cannot read %s", f.Path)
			}
			if _, err := fmt.Fprintf(c.out, "# %s\n%s\n", f.Path, f.Masked()); err != nil {
				return err
			}
		}
		return nil
	}
}

func setupConfigDiff(fs *flag.FlagSet) runner {
	k := &check{diff: optional{given: true}}
	k.files.add(fs)
	k.add(fs)
	return k.run
}

func setupConfigSchema(*flag.FlagSet) runner {
	return func(_ context.Context, c console, _ []string) error { return printValue(c, config.NewSchema()) }
}

func printValue(c console, v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

func setupConfigExplain(fs *flag.FlagSet) runner {
	asJSON := fs.Bool("json", false, "print its part of the JSON schema")
	return func(_ context.Context, c console, args []string) error {
		key := strings.Join(args, "")
		s, err := below(config.NewSchema(), key)
		if err != nil {
			return err
		}
		if *asJSON {
			return printValue(c, s)
		}
		return explain(c, key, s)
	}
}

// below returns what describes a key. What people name, a camera, stands for any.
func below(s *config.Schema, key string) (*config.Schema, error) {
	if key == "" {
		return s, nil
	}
	so := ""
	for word := range strings.SplitSeq(key, ".") {
		next := child(s, word)
		if next == nil {
			err := fmt.Sprintf("there is no key %q below %q", word, so)
			if so == "" {
				err = fmt.Sprintf("there is no section %q", word)
			}
			if hint := config.DidYouMean(word, keysBelow(s)); hint != "" {
				err += ", " + hint
			}
			return nil, errors.New(err)
		}
		s, so = next, strings.TrimPrefix(so+"."+word, ".")
	}
	return s, nil
}

// child returns the schema of a key, nil if there is none of that name.
func child(s *config.Schema, word string) *config.Schema {
	for _, one := range append([]*config.Schema{s}, s.AnyOf...) {
		if next := one.Properties[word]; next != nil {
			return next
		}
		if next, ok := one.Additional.(*config.Schema); ok {
			return next
		}
		if one.Items != nil {
			if next := child(one.Items, word); next != nil {
				return next
			}
		}
	}
	return nil
}

// keysBelow are the keys that may stand below one.
func keysBelow(s *config.Schema) []string {
	var all []string
	for _, one := range append([]*config.Schema{s}, s.AnyOf...) {
		all = slices.AppendSeq(all, maps.Keys(one.Properties))
		if next, ok := one.Additional.(*config.Schema); ok {
			for _, name := range keysBelow(next) {
				all = append(all, "NAME."+name)
			}
		}
		if one.Items != nil {
			all = append(all, keysBelow(one.Items)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// explain prints what a key may be.
func explain(c console, key string, s *config.Schema) error {
	var facts []string
	for _, one := range append([]*config.Schema{s}, s.AnyOf...) {
		if fact := strings.Join(factsOf(one), ", "); fact != "" {
			facts = append(facts, fact)
		}
	}
	if key != "" {
		fmt.Fprintf(c.out, "%s: %s\n", key, strings.Join(facts, "; or "))
	}
	for _, name := range keysBelow(s) {
		if _, err := fmt.Fprintf(c.out, "  %s\n", name); err != nil {
			return err
		}
	}
	return nil
}

// factsOf says what a value may be.
func factsOf(s *config.Schema) []string {
	var facts []string
	if kinds := slices.DeleteFunc(slices.Clone(s.Type), func(k string) bool { return k == "null" }); len(kinds) > 0 {
		facts = append(facts, strings.Join(kinds, " or "))
	}
	if len(s.Enum) > 0 {
		facts = append(facts, "one of "+strings.Join(s.Enum, ", "))
	}
	if s.Minimum != nil {
		facts = append(facts, fmt.Sprintf("at least %d", *s.Minimum))
	}
	if s.Maximum != nil {
		facts = append(facts, fmt.Sprintf("at most %d", *s.Maximum))
	}
	if s.MaxLength > 0 {
		facts = append(facts, fmt.Sprintf("%d to %d characters", s.MinLength, s.MaxLength))
	}
	if s.Pattern != "" && len(s.Enum) == 0 {
		facts = append(facts, "like "+s.Pattern)
	}
	if s.Default != nil {
		facts = append(facts, fmt.Sprintf("default %v", s.Default))
	}
	return facts
}
