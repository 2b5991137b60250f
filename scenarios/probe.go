package scenarios

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Probe sends requests at a fixed rate, whether or not earlier ones have been
// answered (an open loop), and counts latencies from the time at which a
// request was due: a stalled service cannot hide its stall by being asked
// less.
type Probe struct {
	Agent string // the name under which it is in access logs
	every time.Duration
	asker *asker

	mu    sync.Mutex
	stats Traffic
	dues  []time.Time // of all requests, in order
	order []Answer    // as they came
	keep  int         // how many of both are remembered; 0 = all
}

// Keep lets the probe forget all but the last n requests, for those who never
// look further back. Sums stay.
func (p *Probe) Keep(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep = n
}

// Traffic sums up what clients saw.
type Traffic struct {
	Sent   int            `json:"sent"`
	Done   int            `json:"done"`
	Failed int            `json:"failed"`
	Slow   int            `json:"slower_than_1s"`
	Worst  time.Duration  `json:"worst"`
	ByTask map[string]int `json:"by_task"`
	Errors map[string]int `json:"errors,omitempty"`
}

// Answer is one request and what came of it.
type Answer struct {
	Due     time.Time
	Latency time.Duration
	Task    string // who answered, in its own words
	Release string // its release, where it names one
	Count   int64  // where it counts in a file, what it has counted to
	Err     string // "" for status 200
	Pending bool   // it has no end yet: only Due is known
}

// Slow says whether it took longer than people put up with.
func (a Answer) Slow() bool { return a.Latency > slowAnswer }

// DialFunc opens connections; nil means the system's own.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

const (
	slowAnswer     = time.Second
	requestTimeout = 10 * time.Second
)

// Connections says how a probe comes to its connections.
type Connections string

const (
	// ConnectionsNew opens one for each request, as clients do who come for
	// the first time, or again after a fault.
	ConnectionsNew Connections = "new"
	// ConnectionsKept goes on with those that answered before.
	ConnectionsKept Connections = "kept"
)

// NewProbe makes a probe for url, an address of HTTP, with rate requests a
// second.
func NewProbe(url string, rate int, connections Connections, dial DialFunc) (*Probe, error) {
	p := &Probe{
		Agent: "lab-probe/" + rand.Text(), every: time.Second / time.Duration(rate),
		stats: Traffic{ByTask: map[string]int{}, Errors: map[string]int{}},
	}
	var err error
	if p.asker, err = newAsker(url, p.Agent, connections, dial); err != nil {
		return nil, fmt.Errorf("send requests: %w", err)
	}
	return p, nil
}

// Run sends until stop is closed, then waits for the last answers; when ctx
// ends, requests on their way are given up.
func (p *Probe) Run(ctx context.Context, stop <-chan struct{}) {
	var flying sync.WaitGroup
	defer p.asker.hangUp()
	defer flying.Wait()
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		due := start.Add(time.Duration(n) * p.every)
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-stop:
			return
		case <-timer.C:
		}
		p.mu.Lock()
		p.stats.Sent++
		p.dues = lastOf(append(p.dues, due), p.keep)
		p.mu.Unlock()
		flying.Go(func() { p.ask(ctx, due) })
	}
}

func (p *Probe) ask(ctx context.Context, due time.Time) {
	a := Answer{Due: due}
	answer, err := p.asker.ask(ctx, requestTimeout)
	switch {
	case err != nil:
		a.Err = noAnswer(err)
	case answer.cutOff:
		a.Err = "answer broke off"
	case !answer.ok:
		a.Err = answer.status
	}
	a.Task, a.Release = answer.header.Get("X-Lab-Task"), answer.header.Get("X-Lab-Release")
	a.Count, _ = strconv.ParseInt(answer.header.Get("X-Lab-Count"), 10, 64) // most name none
	a.Latency = time.Since(due)
	if ctx.Err() != nil {
		return // given up by us: says nothing about the service
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.order = lastOf(append(p.order, a), p.keep)
	p.stats.add(a)
}

// noAnswer says in a word what a client has seen instead of an answer.
func noAnswer(err error) string {
	var n net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &n) && n.Timeout():
		return "timed out"
	}
	return "connection broke off"
}

func (t *Traffic) add(a Answer) {
	t.Done++
	t.Worst = max(t.Worst, a.Latency)
	if a.Slow() {
		t.Slow++
	}
	if a.Err != "" {
		t.Failed++
		t.Errors[a.Err]++
		return
	}
	t.ByTask[a.Task]++
}

// Traffic returns what was seen so far.
func (p *Probe) Traffic() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.stats
	t.ByTask, t.Errors = maps.Clone(t.ByTask), maps.Clone(t.Errors)
	return t
}

// Between sums up the requests that were due from one moment until before
// another.
func (p *Probe) Between(from, to time.Time) Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := Traffic{ByTask: map[string]int{}, Errors: map[string]int{}}
	for _, due := range p.dues {
		if !due.Before(from) && due.Before(to) {
			t.Sent++
		}
	}
	for _, a := range p.order {
		if !a.Due.Before(from) && a.Due.Before(to) {
			t.add(a)
		}
	}
	return t
}

// Since returns the requests that were due from a moment on and have an end.
func (p *Probe) Since(from time.Time) []Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Answer
	for _, a := range p.order {
		if !a.Due.Before(from) {
			out = append(out, a)
		}
	}
	return out
}

// FlyingAt counts the requests that a task has answered whole after a moment at
// which nothing new went to it any more: they were under way then.
func (p *Probe) FlyingAt(at time.Time, task string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, a := range p.order {
		if a.Err == "" && a.Task == task && a.Due.Before(at) && a.Due.Add(a.Latency).After(at) {
			n++
		}
	}
	return n
}

// Landed says what came of the requests that were under way at a moment: when
// the last of a task's was answered whole (zero: it had none), how many of all
// have no end yet, and how many failed. Who should have answered those nobody
// knows.
func (p *Probe) Landed(at time.Time, task string) (last time.Time, pending, failed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, due := range p.dues {
		if due.Before(at) {
			pending++
		}
	}
	for _, a := range p.order {
		if !a.Due.Before(at) {
			continue
		}
		pending--
		switch end := a.Due.Add(a.Latency); {
		case !end.After(at):
		case a.Err != "":
			failed++
		case a.Task == task:
			last = later(last, end)
		}
	}
	return last, pending, failed
}

// peace is how long no request may have been in trouble for a trouble to be
// over.
const peace = time.Second

// PeaceAfter returns when the last request in trouble had its end, of those
// that were due from since until end and of those that followed at once. It is
// end if clients were fine before.
func (p *Probe) PeaceAfter(since, end time.Time) time.Time {
	troubled := p.troubled(since)
	slices.SortFunc(troubled, func(a, b Answer) int { return a.Due.Compare(b.Due) })
	for _, a := range troubled {
		if a.Due.Sub(end) > peace {
			break
		}
		end = later(end, a.Due.Add(a.Latency))
	}
	return end
}

func (p *Probe) troubled(since time.Time) []Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Answer
	for _, a := range p.order {
		if a.trouble() && !a.Due.Before(since) {
			out = append(out, a)
		}
	}
	return out
}

func (a Answer) trouble() bool { return a.Err != "" || a.Slow() }

// FirstTrouble returns the first request due at or after since that failed or
// was slow.
func (p *Probe) FirstTrouble(since time.Time) (Answer, bool) {
	all := p.troubled(since)
	if len(all) == 0 {
		return Answer{}, false
	}
	return slices.MinFunc(all, func(a, b Answer) int { return a.Due.Compare(b.Due) }), true
}

// Answers returns all answers so far, as they came.
func (p *Probe) Answers() []Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.order)
}

// Recent returns the last n requests in the order in which they were due.
func (p *Probe) Recent(n int) []Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	dues := lastOf(p.dues, n)
	out := make([]Answer, len(dues))
	at := map[time.Time]int{}
	for i, due := range dues {
		out[i] = Answer{Due: due, Pending: true}
		at[due] = i
	}
	for _, a := range p.order {
		if i, ok := at[a.Due]; ok {
			out[i] = a
		}
	}
	return out
}

// lastOf returns the last n of a list; all of them where n is 0.
func lastOf[T any](list []T, n int) []T {
	if n == 0 || len(list) <= n {
		return list
	}
	return list[len(list)-n:]
}
