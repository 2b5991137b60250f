package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

const (
	// dialTimeout bounds the way to a master that is silent.
	dialTimeout = 3 * time.Second
	// answerTimeout is how long a master may take to answer a registration.
	answerTimeout = 10 * time.Second
	// pingTimeout is the total ping time-out of a master that tells none.
	pingTimeout = 75 * time.Second
)

var (
	errLeaderChanged = errors.New("another master leads")
	errNoAnswer      = fmt.Errorf("no answer to the registration within %v", answerTimeout)
	errNotConnected  = errors.New("the master takes this agent for disconnected")
)

// session is one connection to a master. Messages go out in order through a
// queue without a limit, so that the loop never waits for the network.
type session struct {
	conn *wire.Conn

	mu    sync.Mutex
	queue []wire.Message
	more  chan struct{} // holds one token while there is something in queue
}

func newSession(c *wire.Conn) *session { return &session{conn: c, more: make(chan struct{}, 1)} }

func (s *session) send(m wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, m)
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// write sends what is queued until ctx ends or the connection breaks.
func (s *session) write(ctx context.Context) error {
	for {
		select {
		case <-s.more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s.mu.Lock()
		batch := slices.Clone(s.queue)
		s.queue = s.queue[:0]
		s.mu.Unlock()
		for _, m := range batch {
			if err := s.conn.Send(ctx, m); err != nil {
				return err
			}
		}
	}
}

// follow keeps the agent connected to whoever leads, until ctx ends.
func (a *agent) follow(ctx context.Context, group election.Group) {
	leader, err := group.Detect(ctx, election.Master{})
	for err == nil {
		current := leader
		a.do(func() { a.leads(current) })
		var next election.Master
		during, cancel := context.WithCancelCause(ctx)
		detected := make(chan struct{})
		a.spawn(func() {
			defer close(detected)
			next, err = group.Detect(ctx, current)
			cancel(errLeaderChanged)
		})
		if current != (election.Master{}) {
			a.serve(during, current.Addr())
		}
		<-detected
		leader = next
	}
}

func (a *agent) leads(m election.Master) {
	a.master = m.Hostname
	if m == (election.Master{}) {
		a.log.warningf("No master is leading")
		return
	}
	a.log.infof("New master detected at %s", m.PID)
}

// serve connects to the master at addr again and again until ctx ends. Before
// each attempt it waits a random part of --registration_backoff_factor, so
// that not all agents come at once.
func (a *agent) serve(ctx context.Context, addr string) {
	to := addr
	for attempt := 0; pause(ctx, a.backoff(attempt)); attempt++ {
		err := a.connect(ctx, to)
		if ctx.Err() != nil {
			return
		}
		a.log.warningf("Not connected to master %s: %v", to, err)
		var elsewhere *wire.RedirectError
		if to = addr; errors.As(err, &elsewhere) {
			to = elsewhere.Leader
		}
	}
}

func (a *agent) backoff(attempt int) time.Duration {
	most := a.cfg.RegistrationBackoff
	if attempt == 0 {
		return time.Duration(rand.Float64() * float64(most))
	}
	return max(most/2+time.Duration(rand.Float64()*float64(most/2)), 50*time.Millisecond)
}

// connect opens a session, registers, and handles what the master says until
// the connection is of no use any more. It returns why.
func (a *agent) connect(ctx context.Context, addr string) error {
	dialing, done := context.WithTimeout(ctx, dialTimeout)
	conn, err := wire.Dial(dialing, a.env.Dial, addr)
	done()
	if err != nil {
		return err
	}
	defer conn.Close()
	s := newSession(conn)
	ctx, cancel := context.WithCancelCause(ctx)
	var writer sync.WaitGroup
	defer writer.Wait()
	defer cancel(nil)
	writer.Go(func() { cancel(s.write(ctx)) })
	if !a.do(func() { a.attach(s) }) {
		return nil
	}
	err = a.receive(ctx, cancel, s)
	a.do(func() { a.detach(s) })
	return err
}

// receive passes the master's messages to the loop. Silence for the total
// ping time-out ends the session.
func (a *agent) receive(ctx context.Context, cancel context.CancelCauseFunc, s *session) error {
	limit, registered := pingTimeout, false
	silence := time.AfterFunc(answerTimeout, func() { cancel(errNoAnswer) })
	defer func() { silence.Stop() }()
	listen := func() {
		silence.Stop()
		if !registered {
			silence = time.AfterFunc(answerTimeout, func() { cancel(errNoAnswer) })
			return
		}
		silence = time.AfterFunc(limit, func() {
			cancel(fmt.Errorf("no pings from master received within %v", limit))
		})
	}
	welcome := func(d time.Duration) {
		limit, registered = d, true
		if limit <= 0 {
			limit = pingTimeout
		}
	}
	for {
		m, err := s.conn.Receive(ctx)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Ping:
			s.send(&wire.Pong{Seq: m.Seq})
			if registered {
				if !m.Connected {
					return errNotConnected
				}
				listen()
			}
			continue
		case *wire.Registered:
			welcome(m.TotalPingTimeout)
		case *wire.Reregistered:
			welcome(m.TotalPingTimeout)
		}
		// The loop may wait for its disk. Meanwhile nobody reads: it is not the
		// master who is silent.
		silence.Stop()
		if !a.do(func() { a.handle(s, m) }) {
			return nil
		}
		listen()
	}
}

// attach makes s the session and registers on it.
func (a *agent) attach(s *session) {
	a.session, a.registered = s, false
	if a.id() == "" {
		a.log.infof("Registering with master at %s", s.conn.RemoteAddr())
		s.send(&wire.Register{Agent: wire.Of(a.info), PID: a.pid(), Version: Version, Checkpoint: true, Reserved: wire.All(a.reserved)})
		return
	}
	a.log.infof("Re-registering as %s with master at %s", a.id(), s.conn.RemoteAddr())
	s.send(a.reregister())
}

func (a *agent) detach(s *session) {
	if a.session == s {
		a.session, a.registered = nil, false
	}
}

// handle acts on one message of the session s.
func (a *agent) handle(s *session, m wire.Message) {
	if a.session != s || a.leaving {
		return
	}
	switch m := m.(type) {
	case *wire.Registered:
		a.welcome(m.AgentID, nil)
	case *wire.Reregistered:
		a.welcome(m.AgentID, m.Reconcile)
	case *wire.Shutdown:
		a.log.warningf("Asked to shut down by the master: %s", m.Message)
		a.leave()
	case *wire.RunTask:
		a.runTask(m.Framework.V, m.Task.V)
	case *wire.KillTask:
		a.killTask(wire.TaskRef{FrameworkID: m.FrameworkID, TaskID: m.TaskID}, m.GracePeriod)
	case *wire.CheckpointResources:
		a.checkpoint(m)
	case *wire.UpdateFramework:
		a.resend(m.FrameworkID)
	case *wire.ShutdownFramework:
		a.shutdownFramework(m.FrameworkID)
	case *wire.Ack:
		a.acknowledge(wire.TaskRef{FrameworkID: m.FrameworkID, TaskID: m.TaskID}, m.UUID)
	case *wire.Reconcile:
		a.reconcile(m.Tasks)
	default:
		a.log.warningf("Ignoring a %s message from the master", m.Kind())
	}
}
