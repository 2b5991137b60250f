package shell

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// sortLines knows -r -n -h -u -f -b, and -k with -t as far as one key goes.
func sortLines(_ context.Context, p *Proc) int {
	o, names, ok := p.options("rnhufbsck:t:o: check output= reverse numeric-sort human-numeric-sort unique key= field-separator=")
	if !ok {
		return 2
	}
	reverse, numeric := o.has("r", "reverse"), o.has("n", "numeric-sort", "h", "human-numeric-sort")
	key, err := sortKey(o["k"]+o["key"], o["t"]+o["field-separator"], &reverse, &numeric)
	if err != nil {
		p.errorf("%v", err)
		return 2
	}
	var all []string
	status := p.eachOr(names, func(name string, err error) int {
		p.errorf("cannot read: %s: %s", name, words(err))
		return 2
	}, func(_ string, r io.Reader) error {
		return lines(r, func(l string) error { all = append(all, l); return nil })
	})
	if status != 0 {
		return 2
	}
	compare := func(a, b string) int {
		x, y := key(a), key(b)
		if o.has("f") {
			x, y = strings.ToUpper(x), strings.ToUpper(y)
		}
		if numeric {
			return cmp.Compare(sortNumber(x), sortNumber(y))
		}
		return strings.Compare(x, y)
	}
	order := func(a, b string) int {
		n := compare(a, b)
		if n == 0 && !o.has("s", "u", "unique") {
			n = strings.Compare(a, b)
		}
		if reverse {
			return -n
		}
		return n
	}
	if o.has("c", "check") {
		for i := 1; i < len(all); i++ {
			if n := order(all[i-1], all[i]); n > 0 || n == 0 && o.has("u", "unique") {
				return p.errorf("%s:%d: disorder: %s", append(names, "-")[0], i+1, all[i])
			}
		}
		return 0
	}
	slices.SortStableFunc(all, order)
	if o.has("u", "unique") {
		all = slices.CompactFunc(all, func(a, b string) bool { return compare(a, b) == 0 })
	}
	var out io.Writer = p.Stdout
	if name := o["o"] + o["output"]; name != "" {
		f, err := p.create(name, os.O_TRUNC)
		if err != nil {
			p.errorf("open failed: %s: %s", name, words(err))
			return 2
		}
		defer f.Close()
		out = f
	}
	for _, l := range all {
		if _, err := fmt.Fprintln(out, l); err != nil {
			return p.failed("write", err)
		}
	}
	return 0
}

// sortKey reads -k 2, -k 2,3n, -k 2r: the key is the line from that field on.
func sortKey(spec, separator string, reverse, numeric *bool) (func(string) string, error) {
	if spec == "" {
		return func(l string) string { return l }, nil
	}
	start, end, _ := strings.Cut(spec, ",")
	letters := strings.TrimLeft(start, "0123456789.") + strings.TrimLeft(end, "0123456789.")
	for _, c := range letters {
		switch c {
		case 'r':
			*reverse = true
		case 'n', 'h':
			*numeric = true
		case 'b', 'f', 'd', 'i':
		default:
			return nil, fmt.Errorf("stray character in field spec: invalid field specification '%s'", spec)
		}
	}
	field := func(text string) (int, error) {
		text, _, _ = strings.Cut(strings.TrimRight(text, "rnhbfdi"), ".")
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("invalid number at field start: invalid count at start of '%s'", spec)
		}
		return n, nil
	}
	first, err := field(start)
	if err != nil {
		return nil, err
	}
	last := 0
	if end != "" {
		if last, err = field(end); err != nil {
			return nil, err
		}
	}
	return func(l string) string {
		fields := strings.Fields(l)
		if separator != "" {
			fields = strings.Split(l, separator)
		}
		if first > len(fields) {
			return ""
		}
		to := len(fields)
		if last > 0 {
			to = min(last, to)
		}
		return strings.Join(fields[first-1:max(to, first-1)], " ")
	}, nil
}

// sortNumber is the number that a text begins with, units of -h included.
func sortNumber(text string) float64 {
	text = strings.TrimSpace(text)
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.' || end == 0 && text[end] == '-') {
		end++
	}
	n, _ := strconv.ParseFloat(text[:end], 64) // no number counts as 0
	if end < len(text) {
		if i := strings.IndexByte("KMGTP", text[end]); i >= 0 {
			n *= math.Pow(1024, float64(i+1))
		}
	}
	return n
}
