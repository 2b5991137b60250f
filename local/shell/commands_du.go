package shell

import (
	"context"
	"io/fs"
	"strconv"
	"strings"
)

// walk visits name and everything below it, following no links.
func (p *Proc) walk(ctx context.Context, name string, visit func(string, fs.FileInfo)) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	i, err := p.Files().Lstat(p.Path(name))
	if err != nil {
		return err
	}
	visit(name, i)
	if !i.IsDir() {
		return nil
	}
	entries, err := p.Files().ReadDir(p.Path(name))
	for _, e := range entries {
		// What vanishes while one looks is not there.
		_ = p.walk(ctx, strings.TrimSuffix(name, "/")+"/"+e.Name(), visit)
	}
	return err
}

func du(ctx context.Context, p *Proc) int {
	o, names, ok := p.options("shkmabxd: summarize human-readable max-depth= all bytes")
	if !ok {
		return 1
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	show := func(bytes int64, name string) {
		switch {
		case o.has("h", "human-readable"):
			p.printf("%s\t%s\n", human(bytes), name)
		case o.has("b", "bytes"):
			p.printf("%d\t%s\n", bytes, name)
		case o.has("m"):
			p.printf("%d\t%s\n", (bytes+1<<20-1)>>20, name)
		default:
			p.printf("%d\t%s\n", bytes>>10, name)
		}
	}
	depth := -1
	if text := o["d"] + o["max-depth"]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return p.errorf("invalid maximum depth '%s'", text)
		}
		depth = n
	}
	if o.has("s", "summarize") {
		depth = 0
	}
	sizes := usage{block: 4096, files: o.has("a", "all"), show: show}
	if o.has("b", "bytes") {
		sizes.block = 1
	}
	status := 0
	for _, name := range names {
		if _, err := sizes.of(ctx, p, name, depth, true); err != nil {
			status = p.errorf("cannot access '%s': %s", name, words(err))
		}
	}
	return status
}

// usage adds up what trees take, in whole blocks, and shows it.
type usage struct {
	block int64
	files bool // show them, too
	show  func(int64, string)
}

// of shows the directories of a tree down to a depth, itself last; a negative
// depth is any. named says that the user named it: then it is shown.
func (u usage) of(ctx context.Context, p *Proc, name string, depth int, named bool) (int64, error) {
	i, err := p.Files().Lstat(p.Path(name))
	if err != nil {
		return 0, err
	}
	sum := (i.Size() + u.block - 1) / u.block * u.block
	if i.IsDir() {
		entries, err := p.Files().ReadDir(p.Path(name))
		if err != nil {
			return 0, err
		}
		below := u
		if depth == 0 {
			below.show = func(int64, string) {}
		}
		for _, e := range entries {
			if ctx.Err() != nil {
				return sum, ctx.Err()
			}
			// What vanishes while one looks takes nothing.
			n, _ := below.of(ctx, p, strings.TrimSuffix(name, "/")+"/"+e.Name(), depth-1, false)
			sum += n
		}
	}
	if i.IsDir() || u.files || named {
		u.show(sum, name)
	}
	return sum, nil
}
