package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// source gives the named files.
func (s *scpSide) source(ctx context.Context, names []string) error {
	if err := s.answer(); err != nil {
		return err
	}
	for _, name := range names {
		if err := s.give(ctx, s.p.Path(name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *scpSide) give(ctx context.Context, file string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	i, err := s.p.Files().Stat(file)
	if err == nil && i.IsDir() && !s.recursive {
		err = &fs.PathError{Op: "scp", Path: file, Err: errors.New("not a regular file")}
	}
	if err != nil {
		s.complain(err)
		return nil
	}
	if s.times {
		if err := s.say("T%d 0 %d 0\n", i.ModTime().Unix(), i.ModTime().Unix()); err != nil {
			return err
		}
	}
	if i.IsDir() {
		return s.giveDir(ctx, file, i)
	}
	return s.giveFile(file)
}

func (s *scpSide) say(format string, a ...any) error {
	if _, err := fmt.Fprintf(s.p.Stdout, format, a...); err != nil {
		return err
	}
	return s.answer()
}

func (s *scpSide) giveDir(ctx context.Context, dir string, i fs.FileInfo) error {
	if err := s.say("D%04o 0 %s\n", i.Mode().Perm(), path.Base(dir)); err != nil {
		return err
	}
	entries, err := s.p.Files().ReadDir(dir)
	if err != nil {
		s.complain(err)
	}
	for _, e := range entries {
		if err := s.give(ctx, path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return s.say("E\n")
}

func (s *scpSide) giveFile(file string) error {
	f, err := s.p.Files().Open(file)
	if err != nil {
		s.complain(err)
		return nil
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		s.complain(err)
		return nil
	}
	if err := s.say("C%04o %d %s\n", i.Mode().Perm(), i.Size(), path.Base(file)); err != nil {
		return err
	}
	// The announced number of bytes is owed, even if the file shrinks.
	n, err := io.Copy(s.p.Stdout, io.LimitReader(f, i.Size()))
	if err != nil || n < i.Size() {
		return fmt.Errorf("%s: ended after %d of %d bytes: %w", file, n, i.Size(), errors.Join(err, io.ErrUnexpectedEOF))
	}
	if err := s.ok(); err != nil {
		return err
	}
	return s.answer()
}
