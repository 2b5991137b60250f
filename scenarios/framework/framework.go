// Package framework is a small Mesos framework: a scheduler that wants as many
// tasks of one size as it can get, takes one from each offer that has room for
// it, and says of every offer what it has made of it.
//
// A Spec says who it is and what its tasks are; a Decision is one offer and
// what came of it. It speaks Mesos' scheduler API (v1, JSON in RecordIO), as
// masters from 0.26 on do. It checkpoints nothing and has no failover_timeout:
// when Run ends, for whatever reason, the master kills its tasks at once. So it
// leaves nothing behind, even if its process is killed. It never launches again
// what has ended: that is Marathon's business. Where the master is, and what is
// to be learned from the offers, is not known here.
package framework

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spec is one framework.
type Spec struct {
	Name, Role string
	CPUs, Mem  float64 // of each task; Mem in MiB
	Image      string
	Env        map[string]string
	// GivesBack is how often at most the framework ends its newest task once it
	// gets no more, as tasks end by themselves in real life: only what is given
	// back lets Mesos make shares right that came about by large offers. It
	// waits BackEvery before each, and stops when it has got back what it gave
	// comesBack times in a row: it has no more than its share.
	GivesBack int
	BackEvery time.Duration
}

// comesBack is how often a framework that has its share looks whether it has.
const comesBack = 3

// Decision is one offer and what the framework has made of it.
type Decision struct {
	At        time.Time
	Agent     string // the slave's id
	Host      string
	CPUs, Mem float64 // offered
	Task      string  // the id of the task that was launched; "" = refused
	Why       string  // it was refused
}

// Refuse is how long a refused offer stays away: Mesos' own default. What is
// left of an accepted one comes back with the next allocation.
const Refuse = 5.0

// Run subscribes at a master, http://host:port, and answers offers until ctx
// ends or the master ends the stream. saw is called for every offer, from one
// goroutine.
func Run(ctx context.Context, client *http.Client, base string, spec Spec, saw func(Decision)) error {
	f := &scheduler{client: client, url: base + "/api/v1/scheduler", spec: spec, saw: saw}
	err := f.follow(ctx)
	if ctx.Err() != nil {
		return nil // the end that was asked for
	}
	return fmt.Errorf("framework %s: %w", spec.Name, err)
}

type scheduler struct {
	client *http.Client
	url    string
	spec   Spec
	saw    func(Decision)
	stream string // Mesos-Stream-Id, from 0.28 on
	id     value
	tasks  int

	running []status  // in the order in which they began to run
	took    time.Time // when the last offer was taken
	given   int
	before  int // tasks, when it gave the last time
	kept    int // how often in a row it had as many the next time
}

type value struct {
	Value string `json:"value"`
}

type object = map[string]any

func (f *scheduler) follow(ctx context.Context) error {
	resp, err := f.post(ctx, object{"type": "SUBSCRIBE", "subscribe": object{"framework_info": object{
		"user": "root", "name": f.spec.Name, "role": f.spec.Role, "failover_timeout": 0.0, "checkpoint": false,
	}}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f.stream = resp.Header.Get("Mesos-Stream-Id")
	events, failed := make(chan event), make(chan error, 1)
	over := make(chan struct{})
	defer close(over)
	go func() { failed <- read(resp.Body, events, over) }() // ends with the body, which is closed above
	back := time.NewTicker(max(f.spec.BackEvery, time.Second))
	defer back.Stop()
	for {
		select {
		case e := <-events:
			err = f.take(ctx, e)
		case <-back.C:
			err = f.giveBack(ctx)
		case err = <-failed:
		}
		if err != nil {
			return err
		}
	}
}

// read hands events on until the stream or their reader is over.
func read(body io.Reader, events chan<- event, over <-chan struct{}) error {
	records := bufio.NewReader(body)
	for {
		record, err := readRecord(records)
		if err != nil {
			return err
		}
		var e event
		if err := json.Unmarshal(record, &e); err != nil {
			return fmt.Errorf("event %.80q: %w", record, err)
		}
		select {
		case events <- e:
		case <-over:
			return nil
		}
	}
}

// giveBack ends the newest task, if no offer was taken for a while.
func (f *scheduler) giveBack(ctx context.Context) error {
	n := len(f.running)
	if f.given >= f.spec.GivesBack || f.kept >= comesBack || n < 2 || time.Since(f.took) < f.spec.BackEvery {
		return nil
	}
	if n != f.before {
		f.before, f.kept = n, 0
	} else if f.kept++; f.kept >= comesBack {
		return nil
	}
	f.given++
	newest := f.running[n-1]
	return f.call(ctx, "KILL", "kill", object{"task_id": newest.TaskID, "agent_id": newest.AgentID})
}

// event is what is read of an event.
type event struct {
	Type       string
	Subscribed struct {
		FrameworkID value `json:"framework_id"`
	}
	Offers struct{ Offers []offer }
	Update struct{ Status status }
	Error  struct{ Message string }
}

type offer struct {
	ID        value
	AgentID   value `json:"agent_id"`
	Hostname  string
	Resources []struct {
		Name   string
		Scalar struct{ Value float64 }
	}
}

type status struct {
	TaskID  value  `json:"task_id"`
	AgentID value  `json:"agent_id"`
	UUID    string `json:"uuid"`
	State   string
}

// maxRecord bounds one event: a hundred offers take 40 kB.
const maxRecord = 16 << 20

// readRecord reads "<length>\n<record>".
func readRecord(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the master ended the stream: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || n < 0 || n > maxRecord {
		return nil, fmt.Errorf("length of a record is %.20q", line)
	}
	record := make([]byte, n)
	if _, err := io.ReadFull(r, record); err != nil {
		return nil, fmt.Errorf("the master ended the stream: %w", err)
	}
	return record, nil
}

func (f *scheduler) take(ctx context.Context, e event) error {
	switch e.Type {
	case "SUBSCRIBED":
		f.id = e.Subscribed.FrameworkID
	case "ERROR":
		return errors.New(e.Error.Message)
	case "OFFERS":
		for _, o := range e.Offers.Offers {
			if err := f.answer(ctx, o); err != nil {
				return err
			}
		}
	case "UPDATE":
		s := e.Update.Status
		f.running = slices.DeleteFunc(f.running, func(r status) bool { return r.TaskID == s.TaskID })
		if s.State == "TASK_RUNNING" {
			f.running = append(f.running, s)
		}
		if s.UUID != "" { // else there is nothing to acknowledge
			return f.call(ctx, "ACKNOWLEDGE", "acknowledge", object{"agent_id": s.AgentID, "task_id": s.TaskID, "uuid": s.UUID})
		}
	}
	return nil
}

// slack is what resources may be short of by rounding.
const slack = 1e-6

func (f *scheduler) answer(ctx context.Context, o offer) error {
	d := Decision{At: time.Now(), Agent: o.AgentID.Value, Host: o.Hostname}
	for _, r := range o.Resources {
		switch r.Name {
		case "cpus":
			d.CPUs += r.Scalar.Value
		case "mem":
			d.Mem += r.Scalar.Value
		}
	}
	switch {
	case d.CPUs+slack < f.spec.CPUs:
		d.Why = fmt.Sprintf("%.2f cpus, a task needs %g", d.CPUs, f.spec.CPUs)
	case d.Mem+slack < f.spec.Mem:
		d.Why = fmt.Sprintf("%.0f MiB, a task needs %g", d.Mem, f.spec.Mem)
	}
	if d.Why != "" {
		f.saw(d)
		return f.call(ctx, "DECLINE", "decline", object{"offer_ids": []value{o.ID}, "filters": object{"refuse_seconds": Refuse}})
	}
	f.tasks++
	f.took = d.At
	d.Task = fmt.Sprintf("%s.%d-%s", f.spec.Name, f.tasks, shortID(f.id.Value))
	f.saw(d)
	return f.call(ctx, "ACCEPT", "accept", object{
		"offer_ids": []value{o.ID}, "filters": object{"refuse_seconds": 0.0},
		"operations": []object{{"type": "LAUNCH", "launch": object{"task_infos": []object{f.task(d)}}}},
	})
}
