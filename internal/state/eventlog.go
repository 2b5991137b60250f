package state

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/mesoslab/lab"
)

// eventWriter appends events, one write a line, so that lines of several
// commands never mix.
type eventWriter struct {
	mu     sync.Mutex
	file   io.Writer
	failed func(error)
}

func (w *eventWriter) write(e lab.Event) {
	data, err := json.Marshal(e)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return
	}
	if err == nil {
		_, err = w.file.Write(append(data, '\n'))
	}
	if err != nil {
		w.file = nil
		w.failed(err)
	}
}
