package engine

import (
	"net/http"
	"strconv"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/terminal"
)

func (e *Engine) containerCreate(w http.ResponseWriter, r *http.Request, _ vars) error {
	var req api.CreateRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	c, warnings, err := e.create(r.FormValue("name"), req)
	if err != nil {
		return err
	}
	if warnings == nil {
		warnings = []string{}
	}
	return writeJSON(w, http.StatusCreated, map[string]any{"Id": c.id(), "Warnings": warnings})
}

func (e *Engine) containerInspect(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, c.inspect(api.Bool(r.FormValue("size"))))
}

// act finds the container, does something to it and answers 204.
func (e *Engine) act(w http.ResponseWriter, v vars, do func(c *container) error) error {
	c, err := e.find(v["id"])
	if err == nil {
		err = do(c)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e *Engine) containerStart(w http.ResponseWriter, _ *http.Request, v vars) error {
	return e.act(w, v, func(c *container) error { return e.start(e.ctx, c) })
}

// order reads how to stop from a query.
func order(r *http.Request) (stopOrder, error) {
	o := stopOrder{signal: r.FormValue("signal")}
	if t := r.FormValue("t"); t != "" {
		n, err := strconv.Atoi(t)
		if err != nil {
			return o, api.BadRequest("invalid time-out: %s", t)
		}
		o.timeout = &n
	}
	return o, nil
}

func (e *Engine) containerStop(w http.ResponseWriter, r *http.Request, v vars) error {
	o, err := order(r)
	if err != nil {
		return err
	}
	return e.act(w, v, func(c *container) error { return e.stop(c, o) })
}

func (e *Engine) containerRestart(w http.ResponseWriter, r *http.Request, v vars) error {
	o, err := order(r)
	if err != nil {
		return err
	}
	return e.act(w, v, func(c *container) error { return e.restart(e.ctx, c, o) })
}

func (e *Engine) containerKill(w http.ResponseWriter, r *http.Request, v vars) error {
	return e.act(w, v, func(c *container) error { return e.kill(c, r.FormValue("signal")) })
}

func (e *Engine) containerPause(w http.ResponseWriter, _ *http.Request, v vars) error {
	return e.act(w, v, e.pause)
}

func (e *Engine) containerUnpause(w http.ResponseWriter, _ *http.Request, v vars) error {
	return e.act(w, v, e.unpause)
}

func (e *Engine) containerRename(w http.ResponseWriter, r *http.Request, v vars) error {
	return e.act(w, v, func(c *container) error { return e.rename(c, r.FormValue("name")) })
}

func (e *Engine) containerRemove(w http.ResponseWriter, r *http.Request, v vars) error {
	if api.Bool(r.FormValue("link")) {
		return api.BadRequest("lab-engine has no container links")
	}
	return e.act(w, v, func(c *container) error {
		return e.remove(e.ctx, c, api.Bool(r.FormValue("force")), api.Bool(r.FormValue("v")))
	})
}

// containerResize changes the size of the container's terminal.
func (e *Engine) containerResize(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	size, err := sizeIn(r)
	if err != nil {
		return err
	}
	c.mu.Lock()
	rec, tty := c.rec, c.io.tty
	c.mu.Unlock()
	if !rec.alive() {
		return api.Conflict("Container %s is not running", rec.ID)
	}
	if tty != nil {
		tty.Resize(size)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// sizeIn reads the query of a resize.
func sizeIn(r *http.Request) (terminal.Size, error) {
	var size terminal.Size
	for key, to := range map[string]*int{"h": &size.Rows, "w": &size.Columns} {
		n, err := strconv.ParseUint(r.FormValue(key), 10, 32)
		if err != nil {
			return size, api.BadRequest("invalid terminal size %s=%q", key, r.FormValue(key))
		}
		*to = int(min(n, maxSize))
	}
	return size, nil
}

// maxSize bounds the rows and columns of a terminal.
const maxSize = 1000

// consoleSize is rows and columns as a request gives them.
func consoleSize(size *[2]uint) terminal.Size {
	if size == nil {
		return terminal.Size{}
	}
	return terminal.Size{Rows: int(min(size[0], maxSize)), Columns: int(min(size[1], maxSize))}
}

// containerUpdate changes the restart policy and recorded limits.
func (e *Engine) containerUpdate(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	var req api.UpdateRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if err := c.update(req); err != nil {
		return err
	}
	c.event("update")
	return writeJSON(w, http.StatusOK, map[string]any{"Warnings": []string{}})
}

func (c *container) update(req api.UpdateRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.rec.HostConfig
	if p := req.RestartPolicy; p != nil && p.Name != "" {
		if err := checkRestart(*p); err != nil {
			return err
		}
		if h.AutoRemove && p.Name != "no" {
			return api.Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
		}
		h.RestartPolicy = *p
	}
	for _, f := range []struct{ to, from *int64 }{
		{&h.CPUShares, req.CPUShares}, {&h.Memory, req.Memory}, {&h.MemorySwap, req.MemorySwap},
		{&h.MemoryReservation, req.MemoryReservation}, {&h.NanoCPUs, req.NanoCPUs},
	} {
		if f.from != nil && *f.from != 0 {
			*f.to = *f.from
		}
	}
	if req.PidsLimit != nil {
		h.PidsLimit = req.PidsLimit
	}
	return c.save()
}

// containerChanges knows no layers to compare with: nothing is reported.
func (e *Engine) containerChanges(w http.ResponseWriter, _ *http.Request, v vars) error {
	if _, err := e.find(v["id"]); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, []struct{}{})
}

// containerWait answers when the condition holds. Its header goes out at
// once: docker run waits for it before it starts the container.
func (e *Engine) containerWait(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	c.mu.Lock()
	before := c.exits
	c.mu.Unlock()
	var holds func(exits int, rec record) bool
	switch condition := r.FormValue("condition"); condition {
	case "", "not-running":
		holds = func(_ int, rec record) bool { return !rec.alive() }
	case "next-exit":
		holds = func(exits int, _ record) bool { return exits > before }
	case "removed":
		holds = func(int, record) bool { return false }
	default:
		return api.BadRequest("invalid condition: \"%s\"", condition)
	}
	ctx, cancel := e.during(r.Context())
	defer cancel()
	if !v.before("1.30") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
	}
	rec, err := c.await(ctx, holds)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"StatusCode": rec.ExitCode})
}
