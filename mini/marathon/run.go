package marathon

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathon/api"
	"github.com/mesoslab/lab/mini/marathon/callback"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/health"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/ui"
)

// Exit codes.
const (
	exitUsage      = 1
	exitRefused    = 9   // Mesos said ERROR
	exitTerminated = 143 // SIGTERM, as a JVM
)

// noLeaderPatience is how long a request waits for a leader (contracts 1).
const noLeaderPatience = 2500 * time.Millisecond

// marathon is one process.
type marathon struct {
	env      mini.Env
	opt      options
	store    store.Store
	election store.Election
	detector scheduler.Detector
	stop     context.CancelFunc

	logMu sync.Mutex

	mu   sync.Mutex
	term *api.Term
	exit int
}

var _ api.Leadership = (*marathon)(nil)

// Run is Marathon's main function.
func Run(ctx context.Context, env mini.Env) int {
	opt, err := parseOptions(env)
	if err != nil {
		fmt.Fprintf(env.Stderr, "marathon: %v\n", err)
		return exitUsage
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m := &marathon{env: env, opt: opt, stop: stop, exit: exitTerminated}
	closeAll, err := m.open()
	if err != nil {
		fmt.Fprintf(env.Stderr, "marathon: %v\n", err)
		return exitUsage
	}
	defer closeAll()
	return m.run(ctx)
}

// open connects what the flags name.
func (m *marathon) open() (closeAll func(), err error) {
	var closers []func()
	closeAll = func() {
		for _, c := range closers {
			c()
		}
	}
	if m.opt.memoryStore {
		mem := store.NewMemory(m.opt.address())
		m.store, m.election = mem, mem
	} else {
		url, err := store.ParseURL(m.opt.zk)
		if err != nil {
			return nil, fmt.Errorf("--zk: %w", err)
		}
		z, err := store.NewZooKeeper(store.Config{URL: url, Session: m.opt.zkSession, Timeout: m.opt.zkTimeout, MaxNode: m.opt.zkMaxNode,
			Dial: m.env.Dial, Address: m.opt.address(), Log: m.log})
		if err != nil {
			return nil, err
		}
		closers = append(closers, z.Close)
		m.store, m.election = z, z
	}
	if !strings.HasPrefix(m.opt.master, "zk://") {
		m.detector = scheduler.Fixed(strings.TrimPrefix(m.opt.master, "http://"))
		return closeAll, nil
	}
	url, err := store.ParseURL(m.opt.master)
	if err == nil {
		conn, cerr := store.Connect(url.Servers, m.opt.zkSession, m.env.Dial, nil)
		if err = cerr; err == nil {
			closers = append(closers, conn.Close)
			m.detector = &scheduler.ZooKeeper{Conn: conn, Path: url.Path}
		}
	}
	if err != nil {
		closeAll()
		return nil, fmt.Errorf("--master: %w", err)
	}
	return closeAll, nil
}

// run serves and stands for election until ctx ends.
func (m *marathon) run(ctx context.Context) int {
	ln, err := m.env.Listen(ctx, "tcp", net.JoinHostPort(m.opt.httpAddress, strconv.Itoa(m.opt.httpPort)))
	if err != nil {
		fmt.Fprintf(m.env.Stderr, "marathon: listen on port %d: %v\n", m.opt.httpPort, err)
		return exitUsage
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, m.opt.proxyConnect)
		defer cancel()
		return m.env.Dial(ctx, network, address)
	}, ResponseHeaderTimeout: m.opt.proxyIO}
	defer transport.CloseIdleConnections()
	rest := &api.Server{Lead: m, Info: m.opt.info(), Address: m.opt.address(), UI: ui.Handler(), Transport: transport,
		NoLeaderPatience: noLeaderPatience, Credentials: m.opt.credentials, ErrorLog: log.New(logWriter{m}, "", 0)}
	srv := m.env.Server(mini.Patient(rest.Handler()))
	srv.ErrorLog = rest.ErrorLog
	where := m.opt.zk
	if m.opt.memoryStore {
		where = "memory"
	}
	m.log("Marathon %s as %s, state in %s, Mesos at %s", Version, m.opt.address(), where, m.opt.master)

	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			m.log("http server: %v", err)
			m.quit(exitUsage)
		}
	})
	_ = m.election.Run(ctx, m.lead) // ends with ctx only
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := srv.Shutdown(bye); err != nil {
		srv.Close()
	}
	wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.exit
}

// lead is one term of leadership.
func (m *marathon) lead(ctx context.Context) {
	m.log("elected as leader")
	defer m.log("leadership has ended")
	client := m.env.HTTPClient()
	defer client.CloseIdleConnections()
	bus := event.NewBus()
	bus.Outstanding = m.opt.outstanding
	driver := &scheduler.Client{HTTP: client, Detector: m.detector, Framework: m.framework(), Log: m.log}
	term, end := context.WithCancel(ctx)
	defer end()
	c, err := core.New(term, m.opt.core, core.Deps{Store: m.store, Mesos: driver, Bus: bus,
		Probe: health.Prober{Dial: m.env.Dial}, Fatal: m.refused, Disconnected: m.election.Abdicate, Log: m.log})
	if err != nil {
		m.log("cannot lead: %v", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		return
	}
	driver.Handler = c
	callbacks, err := m.callbacks(term, bus)
	if err != nil {
		m.log("cannot post events: %v", err)
	}
	if id, _ := c.Framework(); id != "" {
		driver.Framework.ID = &mesos.FrameworkID{Value: id}
	}
	m.setTerm(&api.Term{Core: c, Bus: bus, Callbacks: callbacks})
	_ = driver.Run(term) // ends with the term only
	m.setTerm(nil)
	end()
	bus.Close()
	c.Wait()
	if callbacks != nil {
		callbacks.Wait()
	}
}

// callbacks posts events for one term; nil unless the flags ask for it.
func (m *marathon) callbacks(ctx context.Context, bus *event.Bus) (*callback.Service, error) {
	if m.opt.values["event_subscriber"] == "" {
		return nil, nil
	}
	return callback.New(ctx, callback.Deps{Store: m.store, Bus: bus, Client: m.env.HTTPClient(), Endpoints: m.opt.endpoints,
		Timeout: m.opt.callbackTimeout, Log: m.log})
}

// framework is how Marathon introduces itself to Mesos.
func (m *marathon) framework() mesos.FrameworkInfo {
	failover := m.opt.failover.Seconds()
	web := m.opt.webUI
	if web == "" {
		web = "http://" + m.opt.address()
	}
	f := mesos.FrameworkInfo{User: m.opt.user, Name: m.opt.frameworkName, FailoverTimeout: &failover,
		Checkpoint: &m.opt.checkpoint, Hostname: &m.opt.hostname, WebUiURL: &web}
	if m.opt.role != "" {
		f.Role = &m.opt.role
	}
	return f
}

// refused ends the process when Mesos says ERROR.
func (m *marathon) refused(string, bool) { m.quit(exitRefused) }

func (m *marathon) quit(code int) {
	m.mu.Lock()
	m.exit = code
	m.mu.Unlock()
	m.stop()
}

// Term is our own leadership while it lasts.
func (m *marathon) Term() *api.Term {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.term
}

func (m *marathon) setTerm(t *api.Term) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.term = t
}

// Leader is who leads, as far as the election knows.
func (m *marathon) Leader() string { return m.election.Leader() }

// Abdicate ends our leadership.
func (m *marathon) Abdicate() { m.election.Abdicate() }

func (m *marathon) log(format string, args ...any) {
	m.logMu.Lock()
	defer m.logMu.Unlock()
	fmt.Fprintf(m.env.Stdout, "%s %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprintf(format, args...))
}

// logWriter is m.log as package net/http wants it.
type logWriter struct{ m *marathon }

func (w logWriter) Write(p []byte) (int, error) {
	w.m.log("http: %s", strings.TrimSpace(string(p)))
	return len(p), nil
}
