package vagrant

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/atomicfile"
)

// escape makes a path safe as the beginning of a pattern.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// ensureFile brings the Vagrantfile to what the plan wants, unless somebody
// changed it by hand.
func (s *session) ensureFile() error {
	want, err := Render(s.plan)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "Vagrantfile")
	have, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read Vagrantfile: %w", err)
	case bytes.Equal(have, want) && s.mem.Vagrantfile == sum(want):
		return nil
	case !bytes.Equal(have, want) && sum(have) != s.mem.Vagrantfile && !s.opts.Force:
		return &lab.Error{
			ID: "vagrantfile-changed", Op: "render Vagrantfile",
			Err:    fmt.Errorf("%s was changed by hand; - stands in it, + is what lab would write:\n%s", path, diff(string(have), string(want))),
			Advice: "lab create --force renders it anew (your changes go); or put what you need into lab.yaml and delete the file",
		}
	}
	if err := atomicfile.Write(path, want, 0o644); err != nil {
		return fmt.Errorf("write Vagrantfile: %w", err)
	}
	s.mem.Vagrantfile = sum(want)
	return s.mem.write(s.dir)
}

// maxDiff bounds how many lines of a difference are shown.
const maxDiff = 40

// diff shows the lines that differ, by the longest common sequence of lines.
func diff(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	if len(x) > 2000 {
		return fmt.Sprintf("(%d lines, too many to compare)", len(x))
	}
	common := make([][]int, len(x)+1)
	for i := range common {
		common[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	for i, j := 0, 0; i < len(x) || j < len(y); {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			i, j = i+1, j+1
		case j == len(y) || (i < len(x) && common[i+1][j] >= common[i][j+1]):
			out = append(out, fmt.Sprintf("%4d - %s", i+1, x[i]))
			i++
		default:
			out = append(out, fmt.Sprintf("     + %s", y[j]))
			j++
		}
	}
	if len(out) > maxDiff {
		out = append(out[:maxDiff], fmt.Sprintf("     … and %d more lines", len(out)-maxDiff))
	}
	return strings.Join(out, "\n")
}
