package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/change"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/health"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/view"
)

// lab is a Core over a Mesos twin and a store in memory, in a bubble.
type lab struct {
	*core.Core
	t      *testing.T
	twin   *scheduler.Twin
	store  *store.Memory
	disk   *disk // what store is on
	log    *eventLog
	sick   *sickness
	cancel context.CancelFunc
	done   chan struct{}
	began  time.Time // the term
	cfg    core.Config
	faults *faults // nil: nothing goes wrong by itself
}

// eventLog keeps the events of the bus in order.
type eventLog struct {
	mu   sync.Mutex
	msgs []event.Message
}

func (l *eventLog) kinds() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, m := range l.msgs {
		out = append(out, m.Type)
	}
	return out
}

func (l *eventLog) count(kind string) int {
	n := 0
	for _, k := range l.kinds() {
		if k == kind {
			n++
		}
	}
	return n
}

// sickness answers probes: an address that is in it fails.
type sickness struct {
	mu     sync.Mutex
	status map[string]int // by host:port; 0 = 200
	all    int
}

func (s *sickness) set(address string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status[address] = status
}

func (s *sickness) of(address string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.status[address]; c != 0 {
		return c
	}
	return s.all
}

// dial is a server for one request that answers what the sickness says.
func (s *sickness) dial(_ context.Context, _, address string) (net.Conn, error) {
	code := s.of(address)
	if code < 0 {
		return nil, errors.New("connection refused")
	}
	a, b := net.Pipe()
	go func() {
		defer b.Close()
		buf := make([]byte, 4096)
		if _, err := b.Read(buf); err != nil {
			return
		}
		fmt.Fprintf(b, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", code, http.StatusText(code))
		_, _ = io.Copy(io.Discard, b)
	}()
	return a, nil
}

// run plays one lab in a bubble: three agents of 4 cpus and 4096 MiB.
func run(t *testing.T, fn func(t *testing.T, l *lab)) { runWith(t, core.Defaults(), fn) }

func runWith(t *testing.T, cfg core.Config, fn func(t *testing.T, l *lab)) {
	runFaulty(t, cfg, nil, fn)
}

func runFaulty(t *testing.T, cfg core.Config, f *faults, fn func(t *testing.T, l *lab)) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		twin := scheduler.NewTwin()
		twin.StartDelay, twin.StopDelay = 200*time.Millisecond, 100*time.Millisecond
		for i, rack := range []string{"r1", "r1", "r2"} {
			twin.AddAgent(fmt.Sprintf("S%d", i), fmt.Sprintf("10.0.0.%d", i+1), 4, 4096, map[string]string{"rack": rack})
		}
		mem := store.NewMemory("me:8080")
		l := &lab{t: t, twin: twin, store: mem, disk: newDisk(mem), sick: &sickness{status: map[string]int{}, all: 200}, cfg: cfg, faults: f}
		if f != nil {
			twin.Faults = f.of(l.store)
		}
		l.start()
		defer l.stop() // idle when the test has stopped it
		fn(t, l)
		for _, v := range twin.Violations() {
			t.Errorf("never to happen: %s", v)
		}
	})
}

// start begins a term.
func (l *lab) start() {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	l.cancel, l.done = cancel, make(chan struct{})
	bus := event.NewBus()
	l.log = &eventLog{}
	sub := bus.Subscribe()
	go func() {
		for m := range sub.C {
			l.log.mu.Lock()
			l.log.msgs = append(l.log.msgs, m)
			l.log.mu.Unlock()
		}
	}()
	deps := core.Deps{Store: l.disk, Mesos: l.twin, Bus: bus, Probe: health.Prober{Dial: l.sick.dial},
		Rand: rand.New(rand.NewPCG(1, 2)), Log: l.t.Logf}
	c, err := core.New(ctx, l.cfg, deps)
	for errors.Is(err, store.ErrUnavailable) { // an elected leader tries again, too
		l.pass(time.Second)
		c, err = core.New(ctx, l.cfg, deps)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.Core, l.began = c, time.Now()
	go func() {
		defer close(l.done)
		l.twin.Attach(ctx, c)
		c.Wait()
		bus.Close()
	}()
	synctest.Wait()
}

// stop ends the term and waits for all it started.
func (l *lab) stop() {
	l.cancel() // idempotent
	<-l.done
	synctest.Wait()
}

// pass lets time pass.
func (l *lab) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// create makes an app from JSON.
func (l *lab) create(body string) view.App {
	l.t.Helper()
	u, err := app.ParseNew([]byte(body))
	if err != nil {
		l.t.Fatal(err)
	}
	id, res, err := change.CreateApp(l.Core, u, false)
	if err != nil {
		l.t.Fatalf("create %s: %v", body, err)
	}
	v, err := view.Created(l.Core, id, res)
	if err != nil {
		l.t.Fatal(err)
	}
	synctest.Wait()
	return v
}

// update changes an app.
func (l *lab) update(id, body string, force bool) (core.Result, error) {
	l.t.Helper()
	res, err := l.ask(id, body, force)()
	synctest.Wait()
	return res, err
}

// ask is update for those who do not wait for all that comes of it.
func (l *lab) ask(id, body string, force bool) func() (core.Result, error) {
	l.t.Helper()
	u, err := app.ParseUpdate([]byte(body))
	if err != nil {
		l.t.Fatal(err)
	}
	c := l.Core
	return func() (core.Result, error) {
		res, _, err := change.UpdateApp(c, id, u, force)
		return res, err
	}
}

// running lists the ids of an app's tasks that Mesos runs.
func (l *lab) running(appID string) []string {
	var ids []string
	for _, t := range l.twin.Tasks() {
		if of, _ := app.OfTask(t.Info.TaskID.Value); of == appID {
			ids = append(ids, t.Info.TaskID.Value)
		}
	}
	return ids
}

func (l *lab) view(id string) view.App {
	l.t.Helper()
	v, err := view.One(l.Core, id, view.Embed{Counts: true, Deployments: true, Tasks: true, LastTaskFailure: true, Readiness: true})
	if err != nil {
		l.t.Fatal(err)
	}
	return v
}

func (l *lab) deploying() int {
	l.t.Helper()
	ds, err := view.Deployments(l.Core)
	if err != nil {
		l.t.Fatal(err)
	}
	return len(ds)
}
