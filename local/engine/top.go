package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/procfs"
)

// processes are those of the container, its first one first. A process that
// has no pid of its own is shown by its command line.
func (c *container) processes() ([]procfs.Process, error) {
	c.mu.Lock()
	l, r := c.life, c.rec
	c.mu.Unlock()
	if l == nil {
		return nil, api.Conflict("container %s is not running", r.ID)
	}
	if tree := procfs.Tree(l.proc.Pid()); len(tree) > 0 {
		return tree, nil
	}
	return []procfs.Process{{PID: l.proc.Pid(), Command: strings.Join(r.Argv, " "), Started: r.StartedAt}}, nil
}

// containerTop answers with the columns of ps -ef, or those of ps aux.
func (e *Engine) containerTop(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	list, err := c.processes()
	if err != nil {
		return err
	}
	var titles []string
	var line func(p procfs.Process) []string
	switch args := strings.TrimPrefix(strings.TrimSpace(r.FormValue("ps_args")), "-"); args {
	case "", "ef":
		titles = []string{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}
		line = func(p procfs.Process) []string {
			return []string{user(p.UID), strconv.Itoa(p.PID), strconv.Itoa(p.PPID), "0", p.Started.Format("15:04"), "?", clock(p.CPU), p.Command}
		}
	case "aux":
		titles = []string{"USER", "PID", "RSS", "TTY", "START", "TIME", "COMMAND"}
		line = func(p procfs.Process) []string {
			return []string{user(p.UID), strconv.Itoa(p.PID), strconv.FormatInt(p.RSS>>10, 10), "?", p.Started.Format("15:04"), clock(p.CPU), p.Command}
		}
	default:
		return api.BadRequest("lab-engine's top knows the ps arguments -ef and aux only")
	}
	rows := make([][]string, 0, len(list))
	for _, p := range list {
		rows = append(rows, line(p))
	}
	c.event("top")
	return writeJSON(w, http.StatusOK, map[string]any{"Titles": titles, "Processes": rows})
}

func user(uid int) string {
	if uid == 0 {
		return "root"
	}
	return strconv.Itoa(uid)
}

// clock writes a CPU time as ps does.
func clock(d time.Duration) string {
	s := int(d / time.Second)
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

// usage is one measurement for stats.
type usage struct {
	at          time.Time
	cpu, system time.Duration
	rss         int64
	pids        int
}

// measure takes a measurement; zero values where nothing runs or the process
// has no pid of its own.
func (c *container) measure() usage {
	u := usage{at: time.Now()}
	list, err := c.processes()
	if err != nil {
		return u
	}
	u.system = procfs.SystemCPU()
	for _, p := range list {
		u.cpu += p.CPU
		u.rss += p.RSS
	}
	u.pids = len(list)
	return u
}

func (u usage) cpuStats() map[string]any {
	return map[string]any{
		"cpu_usage":        map[string]any{"total_usage": u.cpu, "usage_in_kernelmode": 0, "usage_in_usermode": u.cpu},
		"system_cpu_usage": u.system, "online_cpus": runtime.NumCPU(),
		"throttling_data": map[string]int{"periods": 0, "throttled_periods": 0, "throttled_time": 0},
	}
}

// statsJSON puts two measurements into dockerd's shape. Network and disk are
// not measured.
func (c *container) statsJSON(before, now usage) map[string]any {
	r := c.snapshot()
	limit := r.HostConfig.Memory
	if limit == 0 {
		limit = c.e.cfg.MemoryMiB << 20
	}
	memory := map[string]any{}
	if now.pids > 0 {
		memory = map[string]any{"usage": now.rss, "limit": limit, "stats": map[string]int64{"inactive_file": 0}}
	}
	return map[string]any{
		"read": api.FormatTime(now.at), "preread": api.FormatTime(before.at), "name": "/" + r.Name, "id": r.ID,
		"cpu_stats": now.cpuStats(), "precpu_stats": before.cpuStats(), "memory_stats": memory,
		"pids_stats": map[string]int{"current": now.pids}, "num_procs": 0, "storage_stats": struct{}{},
		"blkio_stats": map[string]any{"io_service_bytes_recursive": nil}, "networks": map[string]any{},
	}
}

// statsEvery is the distance between two measurements.
const statsEvery = time.Second

// containerStats sends a measurement a second; with stream=0 one that has a
// second behind it, with one-shot one at once.
func (e *Engine) containerStats(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	endless := r.FormValue("stream") == "" || api.Bool(r.FormValue("stream"))
	oneShot := api.Bool(r.FormValue("one-shot"))
	if endless && oneShot {
		return api.BadRequest("cannot have stream=true and one-shot=true")
	}
	ctx, cancel := e.during(r.Context())
	defer cancel()
	before := usage{}
	if !endless && !oneShot && c.snapshot().alive() {
		before = c.measure()
		if !elapse(ctx, statsEvery) {
			return ctx.Err()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	enc := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	for {
		now := c.measure()
		if err := enc.Encode(c.statsJSON(before, now)); err != nil || !endless {
			return err
		}
		if err := flush.Flush(); err != nil {
			return err
		}
		before = now
		if gone := !elapse(ctx, statsEvery); gone || c.isRemoved() {
			return nil
		}
	}
}

func (c *container) isRemoved() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removed
}

// elapse waits; false if ctx ended first.
func elapse(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
