package shell

import (
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// complete is the tab key: the word before the cursor as far as it is clear,
// else what it could become.
func (s *Session) complete(screen io.Writer, line string, pos int) (string, int, bool) {
	start := strings.LastIndexAny(line[:pos], " \t;|&<>(\"'=") + 1
	word := line[start:pos]
	before := strings.TrimRight(line[:start], " \t")
	names := s.completions(word, commandPlace(before))
	if len(names) == 0 {
		return line, pos, true
	}
	common := names[0]
	for _, n := range names[1:] {
		for !strings.HasPrefix(n, common) {
			_, size := utf8.DecodeLastRuneInString(common)
			common = common[:len(common)-size]
		}
	}
	if len(names) == 1 && !strings.HasSuffix(common, "/") {
		common += " "
	}
	if len(common) == len(word) && len(names) > 1 {
		shown := make([]string, len(names))
		for i, n := range names {
			shown[i] = path.Base(n)
			if strings.HasSuffix(n, "/") {
				shown[i] += "/"
			}
		}
		io.WriteString(screen, columnsOf(shown, s.cfg.Terminal.Size().Columns))
	}
	return line[:start] + common + line[pos:], start + len(common), true
}

// commandPlace reports whether a command stands behind this beginning.
func commandPlace(before string) bool {
	if before == "" || strings.ContainsAny(before[len(before)-1:], ";|&(") {
		return true
	}
	words := strings.Fields(before)
	return slices.Contains([]string{"sudo", "then", "do", "else", "{", "!", "time", "nohup", "watch", "man", "which", "type"}, words[len(words)-1])
}

// completions are the names that begin with a word, sorted.
func (s *Session) completions(word string, command bool) []string {
	if command && !strings.Contains(word, "/") {
		names := map[string]bool{}
		for n := range s.cfg.Commands {
			names[n] = true
		}
		for _, n := range strings.Fields(shellWords) {
			names[n] = true
		}
		for n := range s.runner.Funcs {
			names[n] = true
		}
		return slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(n string) bool { return !strings.HasPrefix(n, word) })
	}
	dir, base := path.Split(word)
	at := dir
	if at == "~/" || strings.HasPrefix(at, "~/") {
		at = s.variable("HOME", homeOf(s.cfg.User)) + at[1:]
	}
	entries, err := s.files.ReadDir(abs(s.Dir(), at+"."))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") && base == "" {
			continue
		}
		if i, err := s.files.Stat(abs(s.Dir(), at+name)); err == nil && i.IsDir() {
			name += "/"
		}
		names = append(names, dir+name)
	}
	return names
}

const manyNames = 2000

// columnsOf lays out names as ls does: column by column, as many as fit.
func columnsOf(names []string, width int) string {
	if width <= 0 {
		width = 80
	}
	rows := 1
	if len(names) > manyNames { // not worth the search for the best layout
		rows = max(1, len(names)/max(1, width/columnWidth(names, 0, len(names))))
	}
	for rows < len(names) && layout(names, rows) > width {
		rows++
	}
	var b strings.Builder
	for row := range rows {
		for i := row; i < len(names); i += rows {
			b.WriteString(names[i])
			if i+rows < len(names) {
				b.WriteString(strings.Repeat(" ", columnWidth(names, i/rows, rows)-utf8.RuneCountInString(names[i])))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// columnWidth is that of column n, with the gap behind it.
func columnWidth(names []string, n, rows int) int {
	widest := 0
	for _, name := range names[n*rows : min(len(names), (n+1)*rows)] {
		widest = max(widest, utf8.RuneCountInString(name))
	}
	return widest + 2
}

func layout(names []string, rows int) int {
	total := -2
	for n := 0; n*rows < len(names); n++ {
		total += columnWidth(names, n, rows)
	}
	return total
}
