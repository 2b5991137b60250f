package shell

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

func textCommands() map[string]Command {
	return map[string]Command{
		"head": head, "tail": tail, "grep": grep, "egrep": grep, "fgrep": grep, "wc": wc, "sort": sortLines, "uniq": uniq, "tr": tr, "cut": cut,
		"base64": base64Command, "md5sum": sum(md5.New), "sha256sum": sum(sha256.New), "seq": seq, "tac": tac, "nl": nl, "yes": yes,
		"sed": sed, "awk": awk, "gawk": awk, "mawk": awk, "jq": jq,
	}
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
	o, names, ok := p.options("lwcmL lines words bytes chars")
	if !ok {
		return 1
	}
	wanted := []struct {
		letter, long string
		count        func([]byte) int
	}{
		{"l", "lines", func(t []byte) int { return bytes.Count(t, []byte("\n")) }}, {"w", "words", func(t []byte) int { return len(bytes.Fields(t)) }},
		{"m", "chars", utf8.RuneCount}, {"c", "bytes", func(t []byte) int { return len(t) }},
	}
	total := make([]int, len(wanted))
	show := func(counts []int, name string) {
		var fields []string
		for i, f := range wanted {
			if o.has(f.letter, f.long) || len(o) == 0 && f.letter != "m" {
				fields = append(fields, strconv.Itoa(counts[i]))
			}
		}
		if name != "-" {
			fields = append(fields, name)
		}
		p.printf("%s\n", strings.Join(fields, " "))
	}
	status := p.each(names, func(name string, r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		counts := make([]int, len(wanted))
		for i, f := range wanted {
			counts[i] = f.count(text)
			total[i] += counts[i]
		}
		show(counts, name)
		return nil
	})
	if len(names) > 1 {
		show(total, "total")
	}
	return status
}

func uniq(_ context.Context, p *Proc) int {
	o, names, ok := p.options("cdui")
	if !ok {
		return 1
	}
	last, n := "", 0
	same := func(a, b string) bool { return a == b || o.has("i") && strings.EqualFold(a, b) }
	flush := func() {
		switch {
		case n == 0 || o.has("d") && n == 1 || o.has("u") && n > 1:
		case o.has("c"):
			p.printf("%7d %s\n", n, last)
		default:
			p.printf("%s\n", last)
		}
	}
	status := p.each(names, func(_ string, r io.Reader) error {
		return lines(r, func(l string) error {
			if n > 0 && same(l, last) {
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

// seq counts: seq LAST, seq FIRST LAST, seq FIRST STEP LAST; -s and -w.
func seq(ctx context.Context, p *Proc) int {
	args, sep, wide := p.Args[1:], "\n", false
	for len(args) > 0 && (args[0] == "-w" || strings.HasPrefix(args[0], "-s")) {
		switch {
		case args[0] == "-w":
			wide = true
		case args[0] == "-s" && len(args) > 1:
			sep, args = args[1], args[1:]
		default:
			sep = args[0][2:]
		}
		args = args[1:]
	}
	if len(args) < 1 || len(args) > 3 {
		return p.errorf("missing operand")
	}
	var numbers []int
	for _, a := range args {
		n, err := strconv.Atoi(a)
		if err != nil {
			return p.errorf("invalid argument: '%s'", a)
		}
		numbers = append(numbers, n)
	}
	first, step, last := 1, 1, numbers[len(numbers)-1]
	if len(numbers) > 1 {
		first = numbers[0]
	}
	if len(numbers) == 3 {
		step = numbers[1]
	}
	if step == 0 {
		return p.errorf("invalid Zero increment value: '0'")
	}
	width := 0
	if wide {
		width = max(len(strconv.Itoa(first)), len(strconv.Itoa(last)))
	}
	for n := first; (step > 0 && n <= last || step < 0 && n >= last) && ctx.Err() == nil; n += step {
		text := fmt.Sprintf("%0*d", width, n)
		if n != first {
			text = sep + text
		}
		if _, err := io.WriteString(p.Stdout, text); err != nil {
			return p.failed("write", err)
		}
	}
	if first <= last && step > 0 || first >= last && step < 0 {
		p.printf("\n")
	}
	return 0
}

func tac(_ context.Context, p *Proc) int {
	return p.each(p.Args[1:], func(_ string, r io.Reader) error {
		var all []string
		if err := lines(r, func(l string) error { all = append(all, l); return nil }); err != nil {
			return err
		}
		for _, l := range slices.Backward(all) {
			if _, err := fmt.Fprintln(p.Stdout, l); err != nil {
				return err
			}
		}
		return nil
	})
}

func nl(ctx context.Context, p *Proc) int {
	p.Args = append([]string{"cat", "-b"}, p.Args[1:]...)
	return cat(ctx, p)
}

func yes(ctx context.Context, p *Proc) int {
	text := "y"
	if len(p.Args) > 1 {
		text = strings.Join(p.Args[1:], " ")
	}
	many := []byte(strings.Repeat(text+"\n", 1+4096/(len(text)+1)))
	for ctx.Err() == nil {
		if _, err := p.Stdout.Write(many); err != nil {
			return p.failed("standard output", err)
		}
	}
	return 130
}
