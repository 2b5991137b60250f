package shell

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Proc is a running command: what main is given on a real machine.
type Proc struct {
	Args           []string // Args[0] is the command's name
	Environ        []string
	Dir            string
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	session *Session
	tty     io.Reader // the controlling terminal, until the command ends
}

// Getenv returns a variable, or "".
func (p *Proc) Getenv(key string) string {
	for _, pair := range p.Environ {
		if k, v, ok := strings.Cut(pair, "="); ok && k == key {
			return v
		}
	}
	return ""
}

// Files are the machine's files; use Path for every name.
func (p *Proc) Files() Files { return p.session.files }

// Path makes a name absolute.
func (p *Proc) Path(name string) string { return abs(p.Dir, name) }

// User is who runs the command; Hostname where.
func (p *Proc) User() string     { return p.session.cfg.User }
func (p *Proc) Hostname() string { return p.session.cfg.Hostname }

// Machine is the machine around the shell, nil where there is none.
func (p *Proc) Machine() Machine { return p.session.cfg.Machine }

// name is the command's name for messages.
func (p *Proc) name() string {
	return p.Args[0][strings.LastIndexByte(p.Args[0], '/')+1:]
}

// errorf prints a message behind the command's name and returns 1.
func (p *Proc) errorf(format string, a ...any) int {
	fmt.Fprintf(p.Stderr, "%s: %s\n", p.name(), fmt.Sprintf(format, a...))
	return 1
}

// failed prints what went wrong with a file and returns 1. A pipe that nobody
// reads any more ends a command without a word, as SIGPIPE does.
func (p *Proc) failed(what string, err error) int {
	if errors.Is(err, syscall.EPIPE) {
		return 141
	}
	return p.errorf("%s: %s", what, words(err))
}

func (p *Proc) printf(format string, a ...any) { fmt.Fprintf(p.Stdout, format, a...) }

// open opens a file, a device or "-", which is standard input.
func (p *Proc) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return stream{p.Stdin, io.Discard}, nil
	}
	path := p.Path(name)
	if path == "/dev/tty" && p.tty != nil {
		return stream{p.tty, io.Discard}, nil
	}
	if d := p.session.device(path, p.Stdin, p.Stdout, p.Stderr); d != nil {
		return d, nil
	}
	f, err := p.Files().Open(path)
	if err != nil {
		return nil, err
	}
	if i, err := f.Stat(); err == nil && i.IsDir() {
		f.Close()
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	}
	return f, nil
}

// create opens a file or device for writing.
func (p *Proc) create(name string, more int) (io.WriteCloser, error) {
	path := p.Path(name)
	if d := p.session.device(path, p.Stdin, p.Stdout, p.Stderr); d != nil {
		return d, nil
	}
	return p.Files().OpenFile(path, os.O_WRONLY|os.O_CREATE|more, 0o644)
}

// config is the configuration of a shell that this command starts.
func (p *Proc) config() Config {
	c := p.session.cfg
	c.Login = false
	c.Env, c.Dir, c.Stdin, c.Stdout, c.Stderr = p.Environ, p.Dir, p.Stdin, p.Stdout, p.Stderr
	return c
}

// each calls fn for every file named, or standard input, and returns the worst
// status.
func (p *Proc) each(names []string, fn func(name string, r io.Reader) error) int {
	return p.eachOr(names, func(name string, err error) int { return p.failed(name, err) }, fn)
}

// eachOpened is each in the words of head and tail.
func (p *Proc) eachOpened(names []string, fn func(name string, r io.Reader) error) int {
	return p.eachOr(names, func(name string, err error) int {
		return p.errorf("cannot open '%s' for reading: %s", name, words(err))
	}, fn)
}

func (p *Proc) eachOr(names []string, unopened func(string, error) int, fn func(name string, r io.Reader) error) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	status := 0
	for _, name := range names {
		r, err := p.open(name)
		if err != nil {
			status = unopened(name, err)
			continue
		}
		err = fn(name, r)
		r.Close()
		if err != nil {
			status = p.failed(name, err)
		}
	}
	return status
}
