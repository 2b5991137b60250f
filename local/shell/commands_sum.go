package shell

import (
	"context"
	"fmt"
	"hash"
	"io"
	"strings"
)

// sum prints check sums; -c compares files with such a list.
func sum(algorithm func() hash.Hash) Command {
	return func(_ context.Context, p *Proc) int {
		o, names, ok := p.options("bctw check binary text status quiet")
		if !ok {
			return 1
		}
		if o.has("c", "check") {
			return p.compareSums(algorithm, names, o)
		}
		return p.each(names, func(name string, r io.Reader) error {
			h := algorithm()
			_, err := io.Copy(h, r)
			if err == nil {
				p.printf("%x  %s\n", h.Sum(nil), name)
			}
			return err
		})
	}
}

// compareSums checks the lines "SUM  FILE" of lists.
func (p *Proc) compareSums(algorithm func() hash.Hash, lists []string, o options) int {
	failed, missing := 0, 0
	status := p.each(lists, func(_ string, r io.Reader) error {
		return lines(r, func(line string) error {
			want, name, ok := strings.Cut(line, "  ")
			if !ok {
				if want, name, ok = strings.Cut(line, " *"); !ok {
					return fmt.Errorf("no properly formatted checksum lines found")
				}
			}
			h := algorithm()
			f, err := p.open(name)
			if err == nil {
				_, err = io.Copy(h, f)
				f.Close()
			}
			result := "OK"
			switch {
			case err != nil:
				p.failed(name, err)
				missing++
				result = "FAILED open or read"
			case !strings.EqualFold(want, fmt.Sprintf("%x", h.Sum(nil))):
				failed++
				result = "FAILED"
			}
			if !o.has("status") && (result != "OK" || !o.has("quiet")) {
				p.printf("%s: %s\n", name, result)
			}
			return nil
		})
	})
	warn := func(n int, one, many string) {
		if n > 0 {
			status = 1
			p.errorf("WARNING: %d %s", n, map[bool]string{true: one, false: many}[n == 1])
		}
	}
	warn(missing, "listed file could not be read", "listed files could not be read")
	warn(failed, "computed checksum did NOT match", "computed checksums did NOT match")
	return status
}
