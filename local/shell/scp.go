package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// scp is the far side of the old scp protocol (scp -O, the default up to
// OpenSSH 8.9): -t takes files, -f gives them. The protocol is that of rcp:
// a line for each file (C mode size name), directory (D, E) and time (T), and
// a zero byte, or one and a message, from the other side after each.
func scp(ctx context.Context, p *Proc) int {
	o, names, ok := p.options("tfrpdvq")
	if !ok || len(names) == 0 || o.has("t") == o.has("f") {
		return p.errorf("only scp -t and scp -f, as the scp command elsewhere calls them")
	}
	s := &scpSide{p: p, in: bufio.NewReader(p.Stdin), times: o.has("p"), recursive: o.has("r")}
	if o.has("t") {
		return s.report(s.sink(ctx, p.Path(names[0]), o.has("d")))
	}
	return s.report(s.source(ctx, names))
}

type scpSide struct {
	p         *Proc
	in        *bufio.Reader
	times     bool
	recursive bool
	failed    bool
}

// report ends the command: a fatal error is told to the other side.
func (s *scpSide) report(err error) int {
	if err != nil && !errors.Is(err, io.EOF) {
		s.complain(err)
	}
	if s.failed || err != nil && !errors.Is(err, io.EOF) {
		return 1
	}
	return 0
}

func (s *scpSide) ok() error {
	_, err := s.p.Stdout.Write([]byte{0})
	return err
}

// complain tells the other side about a file that failed; the rest goes on.
func (s *scpSide) complain(err error) {
	s.failed = true
	text := words(err)
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		text = pe.Path + ": " + text
	}
	fmt.Fprintf(s.p.Stdout, "\x01scp: %s\n", strings.ReplaceAll(text, "\n", " "))
}

// answer reads what the other side says to the last message.
func (s *scpSide) answer() error {
	b, err := s.in.ReadByte()
	if err != nil {
		return err
	}
	if b == 0 {
		return nil
	}
	line, err := s.in.ReadString('\n')
	if err != nil {
		return err
	}
	if b == 1 {
		s.failed = true
		return nil
	}
	return errors.New(strings.TrimSpace(line))
}

// control is one line of the protocol.
type control struct {
	kind  byte
	mode  fs.FileMode
	size  int64
	name  string
	mtime time.Time
}

// parseControl reads a line without its newline. Names with a slash, and the
// two that are no names, are refused: they would lead elsewhere.
func parseControl(line string) (control, error) {
	bad := fmt.Errorf("unexpected line %q", line)
	if line == "" {
		return control{}, bad
	}
	c := control{kind: line[0]}
	fields := strings.SplitN(line[1:], " ", 4)
	switch c.kind {
	case 'E':
		return c, nil
	case 'T':
		sec, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return control{}, bad
		}
		c.mtime = time.Unix(sec, 0)
		return c, nil
	case 'C', 'D':
		if fields = strings.SplitN(line[1:], " ", 3); len(fields) != 3 {
			return control{}, bad
		}
		mode, err := strconv.ParseUint(fields[0], 8, 32)
		size, err2 := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || err2 != nil || size < 0 {
			return control{}, bad
		}
		c.mode, c.size, c.name = fs.FileMode(mode).Perm(), size, fields[2]
		if c.name == "" || c.name == "." || c.name == ".." || strings.ContainsAny(c.name, "/\x00") {
			return control{}, fmt.Errorf("unexpected filename: %q", c.name)
		}
		return c, nil
	}
	return control{}, bad
}

// sink takes files into target.
func (s *scpSide) sink(ctx context.Context, target string, mustBeDir bool) error {
	i, err := s.p.Files().Stat(target)
	isDir := err == nil && i.IsDir()
	if mustBeDir && !isDir {
		return &fs.PathError{Op: "scp", Path: target, Err: errors.New("not a directory")}
	}
	if err := s.ok(); err != nil {
		return err
	}
	return s.sinkInto(ctx, target, isDir)
}

func (s *scpSide) sinkInto(ctx context.Context, target string, isDir bool) error {
	var mtime time.Time
	for ctx.Err() == nil {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return err
		}
		if line[0] == 1 || line[0] == 2 {
			s.failed = true
			continue
		}
		c, err := parseControl(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return err
		}
		to := target
		if isDir {
			to = path.Join(target, c.name)
		}
		switch c.kind {
		case 'T':
			mtime = c.mtime
			err = s.ok()
		case 'E':
			return s.ok()
		case 'D':
			err = s.sinkDir(ctx, to, c)
		case 'C':
			err = s.sinkFile(to, c)
		}
		if err != nil {
			return err
		}
		if c.kind != 'T' && !mtime.IsZero() {
			// Times are a courtesy.
			_ = s.p.Files().Chtimes(to, mtime, mtime)
			mtime = time.Time{}
		}
	}
	return ctx.Err()
}

func (s *scpSide) sinkDir(ctx context.Context, to string, c control) error {
	if !s.recursive {
		return fmt.Errorf("received directory %q without -r", c.name)
	}
	if err := s.p.Files().MkdirAll(to, c.mode|0o700); err != nil {
		return err
	}
	if err := s.ok(); err != nil {
		return err
	}
	return s.sinkInto(ctx, to, true)
}

func (s *scpSide) sinkFile(to string, c control) error {
	f, err := s.p.Files().OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, c.mode)
	if err != nil {
		s.complain(err)
		return nil
	}
	defer f.Close()
	if err := s.ok(); err != nil {
		return err
	}
	if _, err := io.CopyN(f, s.in, c.size); err != nil {
		return err
	}
	if err := s.answer(); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(c.mode), f.Close()); err != nil {
		s.complain(err)
		return nil
	}
	return s.ok()
}
