package shell

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// amount is how much head and tail show: lines or bytes, from the start or
// the end. The sign is - or +, or 0 for none.
type amount struct {
	n     int64
	bytes bool
	sign  byte
	quiet bool
	names bool
}

// amountOf reads -n 5, -5, -n +5, -c 10, -q, -v; what it does not know is left
// in rest.
func amountOf(args []string) (rest []string, a amount, err error) {
	a.n = 10
	for i := 0; i < len(args); i++ {
		value := ""
		switch w := args[i]; {
		case (w == "-n" || w == "-c" || w == "--lines" || w == "--bytes") && i+1 < len(args):
			i++
			value, a.bytes = args[i], w == "-c" || w == "--bytes"
		case strings.HasPrefix(w, "--lines="), strings.HasPrefix(w, "--bytes="):
			value, a.bytes = w[len("--lines="):], w[2] == 'b'
		case len(w) > 2 && (strings.HasPrefix(w, "-n") || strings.HasPrefix(w, "-c")):
			value, a.bytes = w[2:], w[1] == 'c'
		case len(w) > 1 && w[0] == '-' && w[1] >= '0' && w[1] <= '9':
			value = w[1:]
		case w == "-q" || w == "--quiet" || w == "--silent":
			a.quiet = true
			continue
		case w == "-v" || w == "--verbose":
			a.names = true
			continue
		default:
			rest = append(rest, w)
			continue
		}
		a.sign = 0
		if value != "" && (value[0] == '+' || value[0] == '-') {
			a.sign, value = value[0], value[1:]
		}
		unit := int64(1)
		for suffix, n := range map[string]int64{"k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "b": 512} {
			if number, ok := strings.CutSuffix(value, suffix); ok {
				value, unit = number, n
			}
		}
		if a.n, err = strconv.ParseInt(value, 10, 64); err != nil || a.n < 0 {
			return nil, a, fmt.Errorf("invalid number of %s: '%s'", map[bool]string{true: "bytes", false: "lines"}[a.bytes], value)
		}
		a.n *= unit
	}
	return rest, a, nil
}

// title is printed above each of several files.
func (a amount) title(p *Proc, several bool) func(string) {
	first := true
	return func(name string) {
		if (several || a.names) && !a.quiet {
			if !first {
				p.printf("\n")
			}
			p.printf("==> %s <==\n", name)
		}
		first = false
	}
}

func head(_ context.Context, p *Proc) int {
	names, a, err := amountOf(p.Args[1:])
	if err != nil {
		return p.errorf("%v", err)
	}
	title := a.title(p, len(names) > 1)
	return p.eachOpened(names, func(name string, r io.Reader) error {
		title(name)
		switch {
		case a.sign == '-': // all but the last
			text, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			end := int64(len(text)) - a.n
			if !a.bytes {
				all := slices.Collect(strings.Lines(string(text)))
				end = 0
				for _, l := range all[:max(0, int64(len(all))-a.n)] {
					end += int64(len(l))
				}
			}
			_, err = p.Stdout.Write(text[:max(0, end)])
			return err
		case a.bytes:
			_, err := io.Copy(p.Stdout, io.LimitReader(r, a.n))
			return err
		}
		b := bufio.NewReader(r)
		for range a.n {
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

// tail keeps no more than it will show.
func tail(ctx context.Context, p *Proc) int {
	args, a, err := amountOf(p.Args[1:])
	if err != nil {
		return p.errorf("%v", err)
	}
	follow := false
	args = slices.DeleteFunc(args, func(w string) bool {
		is := w == "-f" || w == "-F" || w == "--follow"
		follow = follow || is
		return is
	})
	title := a.title(p, len(args) > 1)
	return p.eachOpened(args, func(name string, r io.Reader) error {
		title(name)
		if err := a.tail(p.Stdout, r); err != nil || !follow {
			return err
		}
		return followFile(ctx, p.Stdout, r)
	})
}

func (a amount) tail(w io.Writer, r io.Reader) error {
	b := bufio.NewReader(r)
	if a.sign == '+' { // from there on
		for n := int64(1); n < a.n; n++ {
			var err error
			if a.bytes {
				_, err = b.ReadByte()
			} else {
				_, err = b.ReadString('\n')
			}
			if err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
		_, err := io.Copy(w, b)
		return err
	}
	if a.bytes {
		text, err := io.ReadAll(b)
		if err != nil {
			return err
		}
		_, err = w.Write(text[max(0, int64(len(text))-a.n):])
		return err
	}
	var last []string
	for {
		line, err := b.ReadString('\n')
		if line != "" && a.n > 0 {
			if last = append(last, line); int64(len(last)) > a.n {
				last = last[1:]
			}
		}
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, strings.Join(last, ""))
	return err
}

// followEvery is how often a followed file is looked at.
const followEvery = 200 * time.Millisecond

// followFile copies what is written to a file until ctx ends.
func followFile(ctx context.Context, w io.Writer, r io.Reader) error {
	for {
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
		sleepFor(ctx, followEvery)
		if ctx.Err() != nil {
			return nil
		}
	}
}
