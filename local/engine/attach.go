package engine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/jsonlog"
	"github.com/mesoslab/lab/local/engine/internal/stream"
)

// attachable checks the state and joins the streams of the present life, or
// of the next.
func (c *container) attachable() (*stdio, *stream.Reader, record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.removed:
		return nil, nil, c.rec, api.NotFound("No such container: %s", c.rec.ID)
	case c.rec.Status == paused:
		return nil, nil, c.rec, api.Conflict("container %s is paused, unpause the container before attach", c.rec.ID)
	case c.rec.Status == restarting:
		return nil, nil, c.rec, api.Conflict("container %s is restarting, wait until the container is running", c.rec.ID)
	}
	return c.io, c.io.out.Reader(), c.rec, nil
}

func (e *Engine) containerAttach(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	std, reader, rec, err := c.attachable()
	if err != nil {
		return err
	}
	defer reader.Detach()
	want := func(key string) bool { return api.Bool(r.FormValue(key)) }
	query := jsonlog.Query{Stdout: want("stdout"), Stderr: want("stderr"), Tail: -1}
	logs, live, input := want("logs"), want("stream"), want("stdin") && rec.Config.OpenStdin
	keys := detachKeys(r.FormValue("detachKeys"))
	h, err := hijack(w, r, streamType(v, rec.Config.Tty))
	if err != nil {
		return err
	}
	defer h.finish()
	c.event("attach")
	ctx, cancel := context.WithCancelCause(e.ctx)
	defer cancel(nil)
	out := map[byte]io.Writer{
		stream.Stdout: h.writer(stream.Stdout, rec.Config.Tty), stream.Stderr: h.writer(stream.Stderr, rec.Config.Tty),
	}
	if logs {
		err := c.log.Read(ctx, query, func(entry jsonlog.Entry) error {
			_, err := out[number(entry.Stream)].Write([]byte(entry.Text))
			return err
		})
		if err != nil || !live {
			return err
		}
	}
	if input && live {
		go func() {
			if err := c.feed(std, rec, h, keys); errors.Is(err, errDetached) {
				cancel(err)
			}
		}()
	}
	if !live {
		return nil
	}
	err = reader.Copy(ctx, func(p stream.Piece) error {
		if p.Stream == stream.Stdout && !query.Stdout || p.Stream == stream.Stderr && !query.Stderr {
			return nil
		}
		_, err := out[p.Stream].Write(p.Data)
		return err
	})
	if errors.Is(context.Cause(ctx), errDetached) {
		c.event("detach")
	}
	return err
}

// feed copies a client's input to the program until one of the two ends. A
// terminal stays open when a client has left, as dockerd's does.
func (c *container) feed(std *stdio, rec record, h *hijacked, keys []byte) error {
	if std.tty != nil {
		in := &detachReader{r: h.in, keys: keys}
		buf := make([]byte, 4096)
		for {
			n, err := in.Read(buf)
			std.tty.Type(buf[:n])
			if err != nil {
				return err
			}
		}
	}
	_, err := io.Copy(std.feed, h.in)
	if err == nil && rec.Config.StdinOnce {
		return std.feed.Close()
	}
	return err
}

// addExec notes an exec with the container.
func (c *container) addExec(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.execs = append(c.execs, id)
}

// dropExec forgets it.
func (c *container) dropExec(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.execs = slices.DeleteFunc(c.execs, func(have string) bool { return have == id })
}
