package scenarios

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Probe sends requests at a fixed rate, whether or not earlier ones have been
// answered (an open loop), and counts latencies from the time at which a
// request was due: a stalled service cannot hide its stall by being asked
// less.
type Probe struct {
	url    string
	every  time.Duration
	client *http.Client

	mu    sync.Mutex
	stats Traffic
	order []Answer
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
	Err     string // "" for status 200
}

// DialFunc opens connections; nil means the system's own.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

const (
	slowAnswer     = time.Second
	requestTimeout = 10 * time.Second
)

// NewProbe makes a probe for url with rate requests a second.
func NewProbe(url string, rate int, dial DialFunc) *Probe {
	return &Probe{
		url: url, every: time.Second / time.Duration(rate),
		client: &http.Client{
			Timeout:   requestTimeout,
			Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 64, DisableCompression: true},
		},
		stats: Traffic{ByTask: map[string]int{}, Errors: map[string]int{}},
	}
}

// Run sends until stop is closed, then waits for the last answers; when ctx
// ends, requests on their way are given up.
func (p *Probe) Run(ctx context.Context, stop <-chan struct{}) {
	var flying sync.WaitGroup
	defer p.client.CloseIdleConnections()
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
		p.mu.Unlock()
		flying.Go(func() { p.ask(ctx, due) })
	}
}

func (p *Probe) ask(ctx context.Context, due time.Time) {
	a := Answer{Due: due}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	var resp *http.Response
	if err == nil {
		resp, err = p.client.Do(req)
	}
	if err != nil {
		a.Err = "no answer"
	} else {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		a.Task = resp.Header.Get("X-Lab-Task")
		switch {
		case err != nil:
			a.Err = "answer broke off"
		case resp.StatusCode != http.StatusOK:
			a.Err = resp.Status
		}
	}
	a.Latency = time.Since(due)
	if ctx.Err() != nil {
		return // given up by us: says nothing about the service
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.order = append(p.order, a)
	p.stats.Done++
	p.stats.Worst = max(p.stats.Worst, a.Latency)
	if a.Latency > slowAnswer {
		p.stats.Slow++
	}
	if a.Err != "" {
		p.stats.Failed++
		p.stats.Errors[a.Err]++
		return
	}
	p.stats.ByTask[a.Task]++
}

// Traffic returns what was seen so far.
func (p *Probe) Traffic() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.stats
	t.ByTask, t.Errors = copyMap(t.ByTask), copyMap(t.Errors)
	return t
}

// FirstTrouble returns the first request due at or after since that failed or
// was slow.
func (p *Probe) FirstTrouble(since time.Time) (Answer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first Answer
	for _, a := range p.order {
		if (a.Err != "" || a.Latency > slowAnswer) && !a.Due.Before(since) && (first.Due.IsZero() || a.Due.Before(first.Due)) {
			first = a
		}
	}
	return first, !first.Due.IsZero()
}

func copyMap(m map[string]int) map[string]int {
	out := make(map[string]int, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
