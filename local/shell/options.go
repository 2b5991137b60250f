package shell

import (
	"fmt"
	"strings"
)

// options are parsed flags: a short flag by its letter, a long one by its
// name. Flags without a value have "".
type options map[string]string

func (o options) has(names ...string) bool {
	for _, n := range names {
		if _, ok := o[n]; ok {
			return true
		}
	}
	return false
}

// parseOptions splits args (without the command) as getopt(3) does. spec is
// like "abn:" — letters, with a colon where a value follows — then, separated
// by spaces, long names, with = where a value follows. Options may stand
// between operands; "--" ends them.
func parseOptions(args []string, spec string) (options, []string, error) {
	fields := strings.Fields(spec + " ")
	short, long := "", fields
	if !strings.HasPrefix(spec, " ") && len(fields) > 0 {
		short, long = fields[0], fields[1:]
	}
	opts := options{}
	var rest []string
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		var err error
		switch {
		case a == "--":
			return opts, append(rest, args...), nil
		case strings.HasPrefix(a, "--"):
			args, err = opts.long(a[2:], long, args)
		case len(a) > 1 && a[0] == '-':
			args, err = opts.short(a[1:], short, args)
		default:
			rest = append(rest, a)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return opts, rest, nil
}

func (o options) long(a string, known, args []string) ([]string, error) {
	name, value, given := strings.Cut(a, "=")
	for _, k := range known {
		bare, wants := strings.CutSuffix(k, "=")
		if bare != name {
			continue
		}
		if wants && !given {
			if len(args) == 0 {
				return nil, fmt.Errorf("option '--%s' requires an argument", name)
			}
			value, args = args[0], args[1:]
		}
		o[name] = value
		return args, nil
	}
	return nil, fmt.Errorf("unrecognized option '--%s'", name)
}

func (o options) short(letters, known string, args []string) ([]string, error) {
	for i := 0; i < len(letters); i++ {
		at := strings.IndexByte(known, letters[i])
		if at < 0 || letters[i] == ':' {
			return nil, fmt.Errorf("invalid option -- '%c'", letters[i])
		}
		key := letters[i : i+1]
		if at+1 >= len(known) || known[at+1] != ':' {
			o[key] = ""
			continue
		}
		value := letters[i+1:]
		if value == "" {
			if len(args) == 0 {
				return nil, fmt.Errorf("option requires an argument -- '%c'", letters[i])
			}
			value, args = args[0], args[1:]
		}
		o[key] = value
		return args, nil
	}
	return args, nil
}

// options parses the command's flags; on a mistake it prints the usage and
// reports false.
func (p *Proc) options(spec string) (options, []string, bool) {
	o, rest, err := parseOptions(p.Args[1:], spec)
	if err != nil {
		p.errorf("%v", err)
		return nil, nil, false
	}
	return o, rest, true
}
