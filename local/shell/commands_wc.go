package shell

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"unicode/utf8"
)

// wc counts lines, words, characters and bytes. Columns are as wide as the
// largest size, and 7 where something is no file.
func wc(_ context.Context, p *Proc) int {
	o, names, ok := p.options("lwcm lines words bytes chars")
	if !ok {
		return 1
	}
	type row struct {
		counts []int
		name   string
	}
	columns := []struct {
		letter, long string
		count        func([]byte) int
	}{
		{"l", "lines", func(t []byte) int { return bytes.Count(t, []byte("\n")) }}, {"w", "words", func(t []byte) int { return len(bytes.Fields(t)) }},
		{"m", "chars", utf8.RuneCount}, {"c", "bytes", func(t []byte) int { return len(t) }},
	}
	var rows []row
	total := row{make([]int, len(columns)), "total"}
	width, size := 1, 0
	status := p.each(names, func(name string, r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		x := row{make([]int, len(columns)), name}
		for i, f := range columns {
			x.counts[i] = f.count(text)
			total.counts[i] += x.counts[i]
		}
		if size += len(text); name == "-" {
			width = 7
		}
		if len(names) == 0 {
			x.name = ""
		}
		rows = append(rows, x)
		return nil
	})
	width = max(width, len(strconv.Itoa(size)))
	if len(names) > 1 {
		rows = append(rows, total)
	} else if len(o) == 1 {
		width = 1
	}
	for _, x := range rows {
		sep := ""
		for i, f := range columns {
			if o.has(f.letter, f.long) || len(o) == 0 && f.letter != "m" {
				p.printf("%s%*d", sep, width, x.counts[i])
				sep = " "
			}
		}
		if x.name != "" {
			p.printf(" %s", x.name)
		}
		p.printf("\n")
	}
	return status
}
