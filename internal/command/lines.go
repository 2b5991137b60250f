package command

import (
	"bytes"
	"errors"
	"strings"
)

// errEndless is a line that does not end.
var errEndless = errors.New("a line of more than 64 KiB")

// kept is how many of the last lines an error shows.
const kept = 5

// lineWriter cuts what is written into lines and keeps the last few.
type lineWriter struct {
	said func(string)
	rest []byte
	last []string
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexAny(w.rest, "\r\n")
		if i < 0 {
			if len(w.rest) > 64<<10 {
				return 0, errEndless
			}
			return len(p), nil
		}
		line := strings.TrimSpace(string(w.rest[:i]))
		w.rest = w.rest[i+1:]
		if line == "" {
			continue
		}
		if w.last = append(w.last, line); len(w.last) > kept {
			w.last = w.last[1:]
		}
		w.said(line)
	}
}
