package shell

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

func textCommands() map[string]Command {
	return map[string]Command{
		"head": head, "tail": tail, "grep": grep, "egrep": grep, "fgrep": grep, "wc": wc, "sort": sortLines, "uniq": uniq, "tr": tr, "cut": cut,
		"base64": base64Command, "md5sum": sum(md5.New), "sha256sum": sum(sha256.New), "seq": seq,
	}
}

// count reads -n 5, -5 and -n +5.
func count(args []string) (rest []string, n int, from bool, err error) {
	n = 10
	for i := 0; i < len(args); i++ {
		value := ""
		switch a := args[i]; {
		case a == "-n" && i+1 < len(args):
			i++
			value = args[i]
		case strings.HasPrefix(a, "-n"):
			value = a[2:]
		case len(a) > 1 && a[0] == '-' && a[1] >= '0' && a[1] <= '9':
			value = a[1:]
		default:
			rest = append(rest, a)
			continue
		}
		from = strings.HasPrefix(value, "+")
		if n, err = strconv.Atoi(value); err != nil {
			return nil, 0, false, err
		}
	}
	return rest, n, from, nil
}

func head(_ context.Context, p *Proc) int {
	args, n, _, err := count(p.Args[1:])
	if err != nil {
		return p.errorf("invalid number of lines")
	}
	if len(args) == 2 && args[0] == "-c" {
		bytesWanted, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return p.errorf("invalid number of bytes: '%s'", args[1])
		}
		if _, err := io.CopyN(p.Stdout, p.Stdin, bytesWanted); err != nil && err != io.EOF {
			return p.errorf("%s", words(err))
		}
		return 0
	}
	return p.each(args, func(_ string, r io.Reader) error {
		b := bufio.NewReader(r)
		for range n {
			line, err := b.ReadBytes('\n')
			if _, werr := p.Stdout.Write(line); werr != nil {
				return werr
			}
			if err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

func tail(ctx context.Context, p *Proc) int {
	args, n, from, err := count(p.Args[1:])
	if err != nil {
		return p.errorf("invalid number of lines")
	}
	follow := false
	args = slices.DeleteFunc(args, func(a string) bool {
		is := a == "-f" || a == "-F"
		follow = follow || is
		return is
	})
	return p.each(args, func(_ string, r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		lines := slices.Collect(strings.Lines(string(text)))
		start := max(0, len(lines)-n)
		if from {
			start = min(len(lines), max(0, n-1))
		}
		if _, err := io.WriteString(p.Stdout, strings.Join(lines[start:], "")); err != nil {
			return err
		}
		for follow && ctx.Err() == nil {
			if _, err := io.Copy(p.Stdout, r); err != nil {
				return err
			}
			sleepFor(ctx, 200*time.Millisecond)
		}
		return nil
	})
}

// lines calls fn for each line, without its newline.
func lines(r io.Reader, fn func(string) error) error {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if line != "" {
			if ferr := fn(strings.TrimSuffix(line, "\n")); ferr != nil {
				return ferr
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func wc(_ context.Context, p *Proc) int {
	o, names, ok := p.options("lwc")
	if !ok {
		return 1
	}
	return p.each(names, func(name string, r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		var fields []string
		for _, f := range []struct {
			flag string
			n    int
		}{{"l", bytes.Count(text, []byte("\n"))}, {"w", len(bytes.Fields(text))}, {"c", len(text)}} {
			if len(o) == 0 || o.has(f.flag) {
				fields = append(fields, strconv.Itoa(f.n))
			}
		}
		if name != "-" {
			fields = append(fields, name)
		}
		p.printf("%s\n", strings.Join(fields, " "))
		return nil
	})
}

func sortLines(_ context.Context, p *Proc) int {
	o, names, ok := p.options("rnu")
	if !ok {
		return 1
	}
	var all []string
	status := p.each(names, func(_ string, r io.Reader) error {
		return lines(r, func(l string) error { all = append(all, l); return nil })
	})
	slices.SortStableFunc(all, func(a, b string) int {
		if o.has("n") {
			x, _ := strconv.ParseFloat(strings.TrimSpace(a), 64)
			y, _ := strconv.ParseFloat(strings.TrimSpace(b), 64)
			if x != y {
				return int(max(-1, min(1, (x-y)*1e9)))
			}
		}
		return strings.Compare(a, b)
	})
	if o.has("r") {
		slices.Reverse(all)
	}
	if o.has("u") {
		all = slices.Compact(all)
	}
	for _, l := range all {
		p.printf("%s\n", l)
	}
	return status
}

func uniq(_ context.Context, p *Proc) int {
	o, names, ok := p.options("cd")
	if !ok {
		return 1
	}
	last, n := "", 0
	flush := func() {
		switch {
		case n == 0 || (o.has("d") && n == 1):
		case o.has("c"):
			p.printf("%7d %s\n", n, last)
		default:
			p.printf("%s\n", last)
		}
	}
	status := p.each(names, func(_ string, r io.Reader) error {
		return lines(r, func(l string) error {
			if n > 0 && l == last {
				n++
				return nil
			}
			flush()
			last, n = l, 1
			return nil
		})
	})
	flush()
	return status
}

// tr knows plain characters, ranges, \n, -d and -s of single characters.
func tr(_ context.Context, p *Proc) int {
	o, sets, ok := p.options("ds")
	if !ok || len(sets) == 0 {
		return p.errorf("missing operand")
	}
	from := trSet(sets[0])
	var to []rune
	if len(sets) > 1 {
		to = trSet(sets[1])
	}
	text, err := io.ReadAll(p.Stdin)
	if err != nil {
		return p.errorf("%s", words(err))
	}
	var previous rune = -1
	p.printf("%s", strings.Map(func(r rune) rune {
		i := slices.Index(from, r)
		if i >= 0 && o.has("d") {
			return -1
		}
		if i >= 0 && len(to) > 0 {
			r = to[min(i, len(to)-1)]
		}
		if i >= 0 && o.has("s") && r == previous {
			return -1
		}
		previous = r
		return r
	}, string(text)))
	return 0
}

func trSet(text string) []rune {
	in := []rune(strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\\`, `\`,
		"[:lower:]", "a-z", "[:upper:]", "A-Z", "[:digit:]", "0-9", "[:space:]", " \t\n\r\v\f").Replace(text))
	var out []rune
	for i := 0; i < len(in); i++ {
		if i+2 < len(in) && in[i+1] == '-' && in[i+2] >= in[i] {
			for r := in[i]; r <= in[i+2]; r++ {
				out = append(out, r)
			}
			i += 2
			continue
		}
		out = append(out, in[i])
	}
	return out
}

// cut knows -d and -f with a list of fields.
func cut(_ context.Context, p *Proc) int {
	o, names, ok := p.options("d:f:s")
	if !ok {
		return 1
	}
	delimiter := o["d"]
	if delimiter == "" {
		delimiter = "\t"
	}
	var fields []int
	for part := range strings.SplitSeq(o["f"], ",") {
		first, last, ranged := strings.Cut(part, "-")
		a, err := strconv.Atoi(first)
		b := a
		if ranged {
			b = a + 64
			if last != "" {
				b, err = strconv.Atoi(last)
			}
		}
		if err != nil || a < 1 {
			return p.errorf("invalid field value '%s'", part)
		}
		for ; a <= b; a++ {
			fields = append(fields, a)
		}
	}
	return p.each(names, func(_ string, r io.Reader) error {
		return lines(r, func(l string) error {
			all := strings.Split(l, delimiter)
			var kept []string
			for _, f := range fields {
				if f <= len(all) && (len(all) > 1 || f == 1) {
					kept = append(kept, all[f-1])
				}
			}
			if len(all) == 1 {
				kept = all
			}
			p.printf("%s\n", strings.Join(kept, delimiter))
			return nil
		})
	})
}

func base64Command(_ context.Context, p *Proc) int {
	o, names, ok := p.options("dw: decode wrap=")
	if !ok {
		return 1
	}
	return p.each(names, func(_ string, r io.Reader) error {
		if o.has("d", "decode") {
			_, err := io.Copy(p.Stdout, base64.NewDecoder(base64.StdEncoding, r))
			return err
		}
		text, err := io.ReadAll(r)
		p.printf("%s\n", base64.StdEncoding.EncodeToString(text))
		return err
	})
}

func sum(algorithm func() hash.Hash) Command {
	return func(_ context.Context, p *Proc) int {
		return p.each(p.Args[1:], func(name string, r io.Reader) error {
			h := algorithm()
			_, err := io.Copy(h, r)
			if err == nil {
				p.printf("%x  %s\n", h.Sum(nil), name)
			}
			return err
		})
	}
}

func seq(ctx context.Context, p *Proc) int {
	bounds := []int{1, 1}
	for i, a := range p.Args[1:] {
		n, err := strconv.Atoi(a)
		if err != nil || i > 1 {
			return p.errorf("invalid argument: '%s'", a)
		}
		bounds[i] = n
	}
	if len(p.Args) == 2 {
		bounds = []int{1, bounds[0]}
	}
	for n := bounds[0]; n <= bounds[1] && ctx.Err() == nil; n++ {
		p.printf("%d\n", n)
	}
	return 0
}
