package shell

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
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
	return wholeLines(r, func(line string) error { return fn(strings.TrimSuffix(line, "\n")) })
}

// wholeLines calls fn for each line, with its newline if it has one.
func wholeLines(r io.Reader, fn func(string) error) error {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if line != "" {
			if ferr := fn(line); ferr != nil {
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
	wrap := 76
	if text, given := o["w"]; given || o.has("wrap") {
		n, err := strconv.Atoi(text + o["wrap"])
		if err != nil || n < 0 {
			return p.errorf("invalid wrap size: '%s'", text+o["wrap"])
		}
		wrap = n
	}
	damaged := false
	status := p.each(names, func(_ string, r io.Reader) error {
		if o.has("d", "decode") {
			_, err := io.Copy(p.Stdout, base64.NewDecoder(base64.StdEncoding, r))
			if _, ok := errors.AsType[base64.CorruptInputError](err); ok || err == io.ErrUnexpectedEOF {
				damaged, err = true, nil
			}
			return err
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		code := base64.StdEncoding.EncodeToString(text)
		for wrap > 0 && code != "" {
			n := min(wrap, len(code))
			p.printf("%s\n", code[:n])
			code = code[n:]
		}
		p.printf("%s", code)
		return nil
	})
	if damaged {
		return p.errorf("invalid input")
	}
	return status
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
		if err := wholeLines(r, func(l string) error { all = append(all, l); return nil }); err != nil {
			return err
		}
		for _, l := range slices.Backward(all) {
			if _, err := io.WriteString(p.Stdout, l); err != nil {
				return err
			}
		}
		return nil
	})
}

// nl numbers lines: those with text, or all of them with -b a.
func nl(_ context.Context, p *Proc) int {
	o, names, ok := p.options("b: body-numbering=")
	style := o["b"] + o["body-numbering"]
	if !ok {
		return 1
	}
	if style != "" && style != "a" && style != "t" {
		return p.errorf("invalid body numbering style: '%s'", style)
	}
	n := 0
	return p.each(names, func(_ string, r io.Reader) error {
		return lines(r, func(line string) error {
			if line == "" && style != "a" {
				_, err := p.Stdout.Write([]byte("       \n"))
				return err
			}
			n++
			_, err := fmt.Fprintf(p.Stdout, "%6d\t%s\n", n, line)
			return err
		})
	})
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
