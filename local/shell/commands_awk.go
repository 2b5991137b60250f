package shell

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/benhoyt/goawk/interp"
	"github.com/benhoyt/goawk/parser"
	"github.com/itchyny/gojq"
)

// awk is goawk, without files and commands of the computer: its input is all
// the files one behind the other.
func awk(ctx context.Context, p *Proc) int {
	args := p.Args[1:]
	vars := []string{}
	program, given := "", false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--" {
		flag, value := args[0][:2], args[0][2:]
		if value == "" && len(args) > 1 {
			value, args = args[1], args[1:]
		}
		args = args[1:]
		switch flag {
		case "-F":
			vars = append(vars, "FS", value)
		case "-v":
			name, text, ok := strings.Cut(value, "=")
			if !ok {
				return p.errorf("'%s' is no NAME=VALUE", value)
			}
			vars = append(vars, name, text)
		case "-f":
			text, err := p.Files().ReadFile(p.Path(value))
			if err != nil {
				return p.failed(value, err)
			}
			program, given = program+string(text)+"\n", true
		default:
			return p.errorf("unknown option %s: -F, -v and -f are known", flag)
		}
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if !given {
		if len(args) == 0 {
			return p.errorf("usage: awk [-F FS] [-v NAME=VALUE] 'PROGRAM' [FILE]...")
		}
		program, args = args[0], args[1:]
	}
	parsed, err := parser.ParseProgram([]byte(program), nil)
	if err != nil {
		p.errorf("%v", err)
		return 2
	}
	in, status := p.joined(args)
	defer in.Close()
	if len(args) == 1 {
		vars = append(vars, "FILENAME", args[0])
	}
	run, err := interp.New(parsed)
	if err != nil {
		return p.errorf("%v", err)
	}
	environ := []string{} // not the computer's
	for _, pair := range p.Environ {
		if k, v, ok := strings.Cut(pair, "="); ok {
			environ = append(environ, k, v)
		}
	}
	exit, err := run.ExecuteContext(ctx, &interp.Config{
		Stdin: bufio.NewReader(in), Output: p.Stdout, // goawk would close a Closer, and compares readers
		Error: p.Stderr, Argv0: "awk", Args: []string{}, Vars: vars, Environ: environ,
		NoArgVars: true, NoExec: true, NoFileWrites: true, NoFileReads: true,
	})
	if err != nil && ctx.Err() == nil {
		p.failed("run", err)
		return 2
	}
	return max(exit, status)
}

// joined is every file named, or standard input. A file that cannot be opened
// is told and makes the status 2.
func (p *Proc) joined(names []string) (io.ReadCloser, int) {
	if len(names) == 0 {
		return stream{p.Stdin, io.Discard}, 0
	}
	var all []io.Reader
	var open closers
	status := 0
	for _, name := range names {
		r, err := p.open(name)
		if err != nil {
			p.failed(name, err)
			status = 2
			continue
		}
		all, open = append(all, r), append(open, r)
	}
	return struct {
		io.Reader
		closers
	}{io.MultiReader(all...), open}, status
}

type closers []io.Closer

func (c closers) Close() error {
	var err error
	for _, x := range c {
		err = errors.Join(err, x.Close())
	}
	return err
}

// jq is gojq, without the environment and the files of the computer.
func jq(ctx context.Context, p *Proc) int {
	o, args, ok := p.options("rcnesSajC raw-output compact-output null-input exit-status slurp sort-keys tab")
	if !ok {
		return 2
	}
	if len(args) == 0 {
		args = []string{"."}
	}
	query, err := gojq.Parse(args[0])
	if err != nil {
		p.errorf("error: %v", err)
		return 3
	}
	code, err := gojq.Compile(query)
	if err != nil {
		p.errorf("error: %v", err)
		return 3
	}
	in, status := p.joined(args[1:])
	defer in.Close()
	inputs, err := jqInputs(in, o)
	var last any
	for _, v := range inputs {
		results := code.RunWithContext(ctx, v)
		for {
			v, more := results.Next()
			if !more {
				break
			}
			if failure, ok := v.(error); ok {
				var halt *gojq.HaltError
				if errors.As(failure, &halt) && halt.Value() == nil {
					return status
				}
				p.errorf("error: %v", failure)
				status = 5
				break
			}
			last = v
			if err := p.jqPrint(v, o); err != nil {
				return p.failed("write", err)
			}
		}
	}
	if err != nil {
		p.errorf("error (at <stdin>): %v", err)
		return 2
	}
	if o.has("e", "exit-status") && (last == nil || last == false) {
		return 1
	}
	return status
}

// jqInputs reads JSON values; what came before a mistake is returned with it.
func jqInputs(r io.Reader, o options) ([]any, error) {
	if o.has("n", "null-input") {
		return []any{nil}, nil
	}
	dec := json.NewDecoder(r)
	dec.UseNumber()
	all := []any{}
	for {
		var v any
		err := dec.Decode(&v)
		if err == io.EOF {
			err = nil
			if o.has("s", "slurp") {
				return []any{all}, nil
			}
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
}

func (p *Proc) jqPrint(v any, o options) error {
	if text, ok := v.(string); ok && o.has("r", "raw-output", "j") {
		end := "\n"
		if o.has("j") {
			end = ""
		}
		_, err := io.WriteString(p.Stdout, text+end)
		return err
	}
	text, err := gojq.Marshal(v) // big numbers stay what they are
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if o.has("c", "compact-output") {
		b.Write(text)
	} else {
		indent := "  "
		if o.has("tab") {
			indent = "\t"
		}
		if err := json.Indent(&b, text, "", indent); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(p.Stdout, b.String())
	return err
}
