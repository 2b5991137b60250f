package shell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
)

// oneAfterAnother reads files as one: a last line without its end gets one
// when another file follows.
type oneAfterAnother struct {
	names      []string
	open       func(string) (io.ReadCloser, error)
	unreadable func(string, error) int
	now        io.ReadCloser
	unended    bool
}

func (x *oneAfterAnother) Read(p []byte) (int, error) {
	for {
		if x.now == nil {
			if len(x.names) == 0 {
				return 0, io.EOF
			}
			name := x.names[0]
			x.names = x.names[1:]
			r, err := x.open(name)
			if err != nil {
				x.unreadable(name, err)
				continue
			}
			x.now = r
			if x.unended {
				x.unended = false
				p[0] = '\n'
				return 1, nil
			}
		}
		n, err := x.now.Read(p)
		if n > 0 {
			x.unended = p[n-1] != '\n'
		}
		if err == io.EOF {
			x.Close()
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (x *oneAfterAnother) Close() error {
	if x.now == nil {
		return nil
	}
	defer func() { x.now = nil }()
	return x.now.Close()
}

func (p *Proc) sedInPlace(ctx context.Context, program []*sedCommand, name string, quiet bool, backup string) error {
	file := p.Path(name)
	i, err := p.Files().Stat(file)
	if err != nil {
		return err
	}
	text, err := p.Files().ReadFile(file)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := runSed(ctx, program, bytes.NewReader(text), &out, quiet); err != nil {
		return err
	}
	if backup != "" {
		if err := p.copyFile(file, file+backup, i.Mode().Perm()); err != nil {
			return err
		}
	}
	f, err := p.Files().OpenFile(file, os.O_WRONLY|os.O_TRUNC, i.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = f.Write(out.Bytes())
	return errors.Join(err, f.Close())
}
