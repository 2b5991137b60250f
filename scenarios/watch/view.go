package watch

import (
	"slices"
	"sync"
	"time"
)

// View is a lab as it was seen last, part by part.
type View struct {
	Lab      string    `json:"lab"`
	At       time.Time `json:"at"`
	Machines []Machine `json:"machines"`
	Apps     []App     `json:"apps"`
	Traffic  *Traffic  `json:"traffic,omitempty"` // nil while no app is behind the load balancer
	Faults   []string  `json:"faults"`            // what lab broke and has not mended
	Problems []string  `json:"problems"`          // who does not answer, and how
	Events   []Event   `json:"events"`            // the last ones, newest last
}

// Machine is one machine with what runs on it.
type Machine struct {
	Name  string `json:"name"`
	Alias string `json:"alias"`
	IP    string `json:"ip"`
	Power string `json:"power"` // running, cut, paused, off, missing; "" before the first look
	Slave string `json:"slave"` // S0 active, S0 inactive, or "" where Mesos lists none
	Tasks []Task `json:"tasks"`
}

// Task is one task as Marathon lists it.
type Task struct {
	ID    string `json:"id"`
	App   string `json:"app"`
	State string `json:"state"` // staging, running, healthy or unhealthy
	InLB  bool   `json:"in_lb"`
}

// App is one app as Marathon shows it.
type App struct {
	ID        string `json:"id"`
	Instances int    `json:"instances"`
	Running   int    `json:"running"`
	Healthy   int    `json:"healthy"`
	Checked   bool   `json:"checked"` // it has health checks
	Queued    int    `json:"queued"`
	Overdue   bool   `json:"overdue"` // queued, and waiting for offers
	Deploying bool   `json:"deploying"`
}

// Traffic is what the probe's requests of the last Seconds came to.
type Traffic struct {
	App     string         `json:"app"`
	URL     string         `json:"url"`
	Seconds int            `json:"seconds"`
	Sent    int            `json:"sent"`
	Failed  int            `json:"failed"`
	Slow    int            `json:"slower_than_1s"`
	Worst   float64        `json:"worst"` // seconds
	ByTask  map[string]int `json:"by_task"`
	Errors  map[string]int `json:"errors"`
	// Recent has a sign for each of the last requests, oldest first.
	Recent string `json:"recent"`
}

// The signs of Recent.
const (
	SignGood    = '·'
	SignSlow    = '▲'
	SignFailed  = '✘'
	SignWaiting = '…' // no answer yet, for more than a second
	SignFresh   = ' ' // no answer yet
)

// Event is something that happened.
type Event struct {
	Number int       `json:"number"` // counts up from 1
	At     time.Time `json:"at"`
	Text   string    `json:"text"`
}

// maxEvents is how many events a board keeps.
const maxEvents = 100

// Board is where samplers put what they find.
type Board struct {
	mu       sync.Mutex
	view     View
	problems map[string]string
	number   int
	traffic  func(now time.Time) *Traffic
}

// NewBoard makes an empty board.
func NewBoard(lab string) *Board {
	return &Board{view: View{Lab: lab}, problems: map[string]string{}}
}

// update changes the board's view.
func (b *Board) update(fn func(*View)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn(&b.view)
}

// answered notes how a part was reached.
func (b *Board) answered(who string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.problems, who)
	if err != nil {
		b.problems[who] = err.Error()
	}
}

// happened adds an event.
func (b *Board) happened(at time.Time, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	b.view.Events = append(b.view.Events, Event{b.number, at, text})
	if len(b.view.Events) > maxEvents {
		b.view.Events = slices.Clone(b.view.Events[len(b.view.Events)-maxEvents:])
	}
}

// View returns a copy of what the board shows now.
func (b *Board) View(now time.Time) View {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.view
	v.At = now
	v.Machines = make([]Machine, 0, len(b.view.Machines))
	for _, m := range b.view.Machines {
		m.Tasks = append([]Task{}, m.Tasks...)
		v.Machines = append(v.Machines, m)
	}
	v.Apps = append([]App{}, b.view.Apps...)
	v.Faults = append([]string{}, b.view.Faults...)
	v.Events = append([]Event{}, b.view.Events...)
	v.Problems = []string{}
	for who, what := range b.problems {
		v.Problems = append(v.Problems, who+": "+what)
	}
	slices.Sort(v.Problems)
	if b.traffic != nil {
		v.Traffic = b.traffic(now)
	}
	return v
}
