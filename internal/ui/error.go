package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mesoslab/lab"
)

// PrintError writes an error for people: what failed, and what to try.
//
//	lab: error: node2: ssh: connection refused [ssh-timeout]
//	lab: try: …
func PrintError(w io.Writer, err error) {
	id := ""
	if x := lab.ErrorID(err); x != "" {
		id = " [" + x + "]"
	}
	said := map[string]bool{}
	for i, line := range strings.Split(clean(err), "\n") {
		if said[line] {
			continue // several machines failed for one reason
		}
		said[line] = true
		if i == 0 {
			fmt.Fprintf(w, "lab: error: %s%s\n", line, id)
			continue
		}
		fmt.Fprintf(w, "lab:        %s\n", line)
	}
	if e, ok := errors.AsType[*lab.Error](err); ok && e.Advice != "" {
		fmt.Fprintf(w, "lab: try: %s\n", e.Advice)
	}
}

// clean drops the sentinel's own words, which the exit code says already.
func clean(err error) string {
	text := err.Error()
	for _, s := range []error{lab.ErrUsage, lab.ErrExpectation, lab.ErrInconclusive} {
		text = strings.ReplaceAll(text, s.Error()+": ", "")
	}
	return text
}

// JSONError writes the same as one JSON document.
func JSONError(w io.Writer, err error) error {
	doc := struct {
		Error   string `json:"error"`
		ID      string `json:"id,omitempty"`
		Machine string `json:"machine,omitempty"`
		Advice  string `json:"advice,omitempty"`
	}{Error: clean(err)}
	if e, ok := errors.AsType[*lab.Error](err); ok {
		doc.ID, doc.Machine, doc.Advice = e.ID, e.Machine, e.Advice
	}
	return json.NewEncoder(w).Encode(doc)
}
