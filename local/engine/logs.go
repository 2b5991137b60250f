package engine

import (
	"net/http"
	"strconv"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/jsonlog"
	"github.com/mesoslab/lab/local/engine/internal/stream"
)

// Content types of streams: since API 1.42 a multiplexed one says so.
const (
	rawStream         = "application/vnd.docker.raw-stream"
	multiplexedStream = "application/vnd.docker.multiplexed-stream"
)

func streamType(v vars, tty bool) string {
	if tty || v.before("1.42") {
		return rawStream
	}
	return multiplexedStream
}

// logQuery reads the query of GET logs.
func logQuery(r *http.Request) (q jsonlog.Query, err error) {
	q = jsonlog.Query{
		Stdout: api.Bool(r.FormValue("stdout")), Stderr: api.Bool(r.FormValue("stderr")),
		Follow: api.Bool(r.FormValue("follow")), Tail: -1,
	}
	if !q.Stdout && !q.Stderr {
		return q, api.BadRequest("Bad parameters: you must choose at least one stream")
	}
	if t := r.FormValue("tail"); t != "" && t != "all" {
		// dockerd takes what is no number for all.
		if n, err := strconv.Atoi(t); err == nil && n >= 0 {
			q.Tail = n
		}
	}
	if q.Since, err = api.ParseTime(r.FormValue("since")); err != nil {
		return q, err
	}
	q.Until, err = api.ParseTime(r.FormValue("until"))
	return q, err
}

func (e *Engine) containerLogs(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	q, err := logQuery(r)
	if err != nil {
		return err
	}
	tty := c.snapshot().Config.Tty
	ctx, cancel := e.during(r.Context())
	defer cancel()
	w.Header().Set("Content-Type", streamType(v, tty))
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	if err := flush.Flush(); err != nil {
		return err
	}
	frames := stream.Frames{W: w, Raw: tty}
	stamps := api.Bool(r.FormValue("timestamps"))
	return c.log.Read(ctx, q, func(entry jsonlog.Entry) error {
		if err := frames.Write(number(entry.Stream), text(entry, stamps)); err != nil {
			return err
		}
		if q.Follow {
			return flush.Flush()
		}
		return nil
	})
}

func number(name string) byte {
	if name == "stderr" {
		return stream.Stderr
	}
	return stream.Stdout
}

// text is an entry as logs shows it. The time has nine digits always, so that
// columns stay in line.
func text(entry jsonlog.Entry, stamps bool) []byte {
	if !stamps {
		return []byte(entry.Text)
	}
	return []byte(entry.Time.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " " + entry.Text)
}
