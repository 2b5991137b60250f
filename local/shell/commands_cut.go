package shell

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// cut knows -d and -f, or -c and -b, with a list of ranges.
func cut(_ context.Context, p *Proc) int {
	o, names, ok := p.options("d:f:c:b:s delimiter= fields= characters= bytes= only-delimited complement output-delimiter=")
	if !ok {
		return 1
	}
	delimiter := o["d"] + o["delimiter"]
	if utf8.RuneCountInString(delimiter) > 1 {
		return p.errorf("the delimiter must be a single character")
	}
	if delimiter == "" {
		delimiter = "\t"
	}
	between := delimiter
	if d, given := o["output-delimiter"]; given {
		between = d
	}
	fields, characters := o["f"]+o["fields"], o["c"]+o["b"]+o["characters"]+o["bytes"]
	if fields == "" && characters == "" {
		return p.errorf("you must specify a list of bytes, characters, or fields")
	}
	keep, err := cutList(fields + characters)
	if err != nil {
		return p.errorf("%v", err)
	}
	if o.has("complement") {
		named := keep
		keep = func(n int) bool { return !named(n) }
	}
	return p.each(names, func(_ string, r io.Reader) error {
		return lines(r, func(l string) error {
			all := strings.Split(l, delimiter)
			switch {
			case characters != "":
				all, between = strings.Split(l, ""), ""
			case len(all) == 1 && o.has("s", "only-delimited"):
				return nil
			case len(all) == 1:
				_, err := fmt.Fprintln(p.Stdout, l)
				return err
			}
			var kept []string
			for i, part := range all {
				if keep(i + 1) {
					kept = append(kept, part)
				}
			}
			_, err := fmt.Fprintln(p.Stdout, strings.Join(kept, between))
			return err
		})
	})
}

// cutList reads 1,3-5,7-.
func cutList(text string) (func(int) bool, error) {
	type span struct{ from, to int }
	var spans []span
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		s := span{1, math.MaxInt}
		var err1, err2 error
		if first != "" {
			s.from, err1 = strconv.Atoi(first)
		}
		if !ranged {
			s.to = s.from
		} else if last != "" {
			s.to, err2 = strconv.Atoi(last)
		}
		if first == "0" || last == "0" {
			return nil, fmt.Errorf("fields are numbered from 1")
		}
		if err1 != nil || err2 != nil || s.from < 1 || s.to < s.from || part == "" || part == "-" {
			return nil, fmt.Errorf("invalid field value '%s'", part)
		}
		spans = append(spans, s)
	}
	return func(n int) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return n >= s.from && n <= s.to })
	}, nil
}
