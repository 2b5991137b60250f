package ui

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/mesoslab/lab"
)

// JSONLines writes events as one JSON object a line.
func JSONLines(out io.Writer) lab.Report {
	var mu sync.Mutex
	enc := json.NewEncoder(out)
	return func(e lab.Event) {
		mu.Lock()
		defer mu.Unlock()
		enc.Encode(e)
	}
}

// Tee reports to all of reports that are not nil.
func Tee(reports ...lab.Report) lab.Report {
	return func(e lab.Event) {
		for _, r := range reports {
			if r != nil {
				r(e)
			}
		}
	}
}
