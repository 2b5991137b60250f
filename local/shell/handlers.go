package shell

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// abs makes a name absolute in dir.
func abs(dir, name string) string {
	if name == "" {
		return ""
	}
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	return path.Clean(name)
}

var errEmptyName = fs.ErrNotExist

func (s *Session) open(ctx context.Context, name string, flag int, perm fs.FileMode) (io.ReadWriteCloser, error) {
	hc := interp.HandlerCtx(ctx)
	p := abs(hc.Dir, name)
	if p == "" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errEmptyName}
	}
	reads := flag&(os.O_WRONLY|os.O_RDWR) == 0
	if t := s.cfg.Terminal; t != nil && reads && (p == "/dev/tty" || isStdin(p) && s.isKeyboard(hc.Stdin)) {
		return s.openTTY()
	}
	if d := s.device(p, hc.Stdin, hc.Stdout, hc.Stderr); d != nil {
		return d, nil
	}
	f, err := s.files.OpenFile(p, flag, perm)
	if err != nil {
		return nil, &fs.PathError{Op: "bash:", Path: name, Err: errors.New(words(err))}
	}
	return f, nil
}

func (s *Session) stat(ctx context.Context, name string, follow bool) (fs.FileInfo, error) {
	p := abs(interp.HandlerCtx(ctx).Dir, name)
	if p == "" {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: errEmptyName}
	}
	if follow {
		return s.files.Stat(p)
	}
	return s.files.Lstat(p)
}

func (s *Session) readDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	return s.files.ReadDir(abs(interp.HandlerCtx(ctx).Dir, name))
}

func (s *Session) access(ctx context.Context, name string, mode interp.AccessMode) error {
	i, err := s.stat(ctx, name, true)
	if err != nil {
		return err
	}
	if mode&interp.AccessExec != 0 && i.Mode()&0o111 == 0 {
		return fs.ErrPermission
	}
	return nil
}

// call sees every simple command before the interpreter does, and turns the
// builtins that look at the computer into commands of ours.
func (s *Session) call(ctx context.Context, args []string) ([]string, error) {
	// A function that calls itself for ever must not exhaust this process.
	if runtime.Callers(maxFrames, make([]uintptr, 1)) > 0 {
		return nil, errors.New("maximum function nesting level exceeded")
	}
	rest := args
	for len(rest) > 1 && (rest[0] == "builtin" || (rest[0] == "command" && !strings.HasPrefix(rest[1], "-"))) {
		rest = rest[1:]
	}
	switch name := rest[0]; name {
	case "source", ".":
		return s.source(interp.HandlerCtx(ctx).Dir, rest)
	case "command", "type", "kill", "umask", "ulimit", "newgrp", "suspend", "fc", "jobs", "bg", "fg", "disown", "history", "help":
		return slices.Concat([]string{builtinPrefix + name}, rest[1:]), nil
	case "pwd": // pwd -P resolves links of the computer
		return []string{"pwd"}, nil
	case "cd":
		return s.cd(interp.HandlerCtx(ctx), rest), nil
	case "logout":
		return slices.Concat([]string{"exit"}, rest[1:]), nil
	case "read":
		return s.read(ctx, rest), ctx.Err()
	case "mapfile", "readarray":
		return s.mapfile(ctx, rest), ctx.Err()
	case builtinPrefix + "choose":
		return s.choose(ctx, rest), ctx.Err()
	case "test", "[":
		if len(rest) >= 3 && rest[1] == "-t" && (name == "test" && len(rest) == 3 || name == "[" && len(rest) == 4 && rest[3] == "]") {
			return []string{strconv.FormatBool(s.onTerminal(ctx, rest[2]))}, nil
		}
	case "wait":
		return s.wait(ctx, rest), nil
	case "alias":
		for i := range args {
			args[i] = homesInAlias(args[i])
		}
	case "eval", "trap":
		if _, err := parse(strings.Join(rest[1:], " "), name); err != nil && !isSyntax(err) {
			return []string{builtinPrefix + "refuse", err.Error()}, nil
		}
	}
	return args, nil
}

// wait waits for the shell's jobs; what else is in the background the
// interpreter knows.
func (s *Session) wait(ctx context.Context, args []string) []string {
	if s.prompt == nil {
		return args
	}
	if len(args) > 1 && s.prompt.jobs.find(args[1]) == nil {
		return args
	}
	p := &Proc{Args: args, session: s}
	status := waitJobs(ctx, p)
	if len(args) > 1 || ctx.Err() != nil {
		return []string{builtinPrefix + "status", strconv.Itoa(status)}
	}
	s.prompt.waits()
	return args
}

// cd finds out what is wrong with a directory, in bash's words.
func (s *Session) cd(hc interp.HandlerContext, args []string) []string {
	refuse := func(why string) []string {
		return []string{builtinPrefix + "refuse", "cd: " + why}
	}
	dirs := slices.DeleteFunc(slices.Clone(args[1:]), func(a string) bool { return a == "-L" || a == "-P" || a == "--" })
	switch {
	case len(dirs) > 1:
		return refuse("too many arguments")
	case len(dirs) == 0 || dirs[0] == "-":
		return append([]string{"cd"}, dirs...)
	case dirs[0] == "":
		return []string{"true"}
	}
	i, err := s.files.Stat(abs(hc.Dir, dirs[0]))
	if err != nil {
		return refuse(dirs[0] + ": " + words(err))
	}
	if !i.IsDir() {
		return refuse(dirs[0] + ": Not a directory")
	}
	return append([]string{"cd"}, dirs...)
}

// maxFrames bounds the interpreter's recursion, in frames of Go.
const maxFrames = 20000

func isSyntax(err error) bool {
	_, parse := errors.AsType[syntax.ParseError](err)
	_, lang := errors.AsType[syntax.LangError](err)
	return parse || lang
}

// builtinPrefix marks commands that only call may name: no word of a script
// holds a NUL.
const builtinPrefix = "\x00"

// source turns ". file" into an eval of its text.
func (s *Session) source(dir string, args []string) ([]string, error) {
	refuse := func(text string) ([]string, error) {
		return []string{builtinPrefix + "refuse", args[0] + ": " + text}, nil
	}
	if len(args) < 2 {
		return refuse("filename argument required")
	}
	f, err := s.files.Open(abs(dir, args[1]))
	if err != nil {
		return refuse(args[1] + ": " + words(err))
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return refuse(args[1] + ": " + words(err))
	}
	if _, err := parse(string(text), args[1]); err != nil {
		return refuse(err.Error())
	}
	return []string{"eval", string(text)}, nil
}

// isStdin names the ways to a command's own input.
func isStdin(p string) bool {
	return p == "/dev/stdin" || p == "/dev/fd/0" || p == "/proc/self/fd/0"
}

// device returns the made-up file for a path below /dev, or nil.
func (s *Session) device(p string, in io.Reader, out, errOut io.Writer) io.ReadWriteCloser {
	nothing := strings.NewReader("")
	switch p {
	case "/dev/null":
		return stream{nothing, io.Discard}
	case "/dev/zero":
		return stream{zeros{}, io.Discard}
	case "/dev/urandom", "/dev/random":
		return stream{rand.Reader, io.Discard}
	case "/dev/tty":
		if t := s.cfg.Terminal; t != nil {
			return stream{t, t}
		}
		return nil
	case "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
		return stream{nothing, out}
	case "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2":
		return stream{nothing, errOut}
	}
	if isStdin(p) {
		return stream{in, io.Discard}
	}
	return nil
}

type stream struct {
	io.Reader
	io.Writer
}

func (stream) Close() error { return nil }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
