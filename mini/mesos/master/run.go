package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/master/flags"
)

// Run is the mini.Program mesos-master; env.Args are its flags. It returns 0
// after the context's end, --help and --version, and 1 if it cannot start or
// lost its leadership.
func Run(ctx context.Context, env mini.Env) int {
	cfg, err := flags.Parse(env.Args, flags.Source{
		Getenv:   env.Getenv,
		ReadFile: func(p string) ([]byte, error) { return os.ReadFile(env.Path(p)) },
	})
	switch {
	case cfg.Help:
		io.WriteString(env.Stdout, flags.Usage())
		return 0
	case cfg.Version:
		fmt.Fprintln(env.Stdout, "mesos "+endpoints.Version)
		return 0
	case err != nil:
		fmt.Fprintf(env.Stderr, "%v\n\nSee `mesos-master --help`\n", err)
		return 1
	}
	m := newMaster(env, cfg)
	if list := flags.NoEffect(env.Args); len(list) > 0 {
		m.log.printf("flags without effect in this master: %s", strings.Join(list, " "))
	}
	if err := m.run(ctx); err != nil {
		fmt.Fprintf(env.Stderr, "E%s master] %v\n", time.Now().Format("0102 15:04:05.000000"), err)
		return 1
	}
	return 0
}

func newMaster(env mini.Env, cfg flags.Config) *master {
	return &master{env: env, cfg: cfg, started: time.Now(), log: &logger{w: env.Stderr, quiet: cfg.Quiet}}
}

// master is one running master.
type master struct {
	env     mini.Env
	cfg     flags.Config
	started time.Time
	log     *logger
	info    election.Master
	// For tests:
	audit  func(error)      // see cluster.Options
	group  election.Group   // instead of ZooKeeper
	keeper cluster.Registry // of the registry, instead of a file

	mu       sync.Mutex
	leader   election.Master
	reign    *reign // while it leads
	closing  bool
	requests sync.WaitGroup // counted up under mu, while not closing
}

// farewell is how long a master that ends waits for its answers to go out.
const farewell = 250 * time.Millisecond

func (m *master) run(ctx context.Context) error {
	host := "0.0.0.0"
	if m.cfg.IP.IsValid() {
		host = m.cfg.IP.String()
	}
	l, err := m.env.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(m.cfg.Port)))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if m.info, err = m.identity(l.Addr()); err != nil {
		l.Close()
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Requests outlive ctx: a cluster that closes its streams itself takes no
	// scheduler or agent for lost.
	base, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	server := m.env.Server(m)
	server.IdleTimeout, server.MaxHeaderBytes = 2*patience, maxHeader
	server.BaseContext = func(net.Listener) context.Context { return base }
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(l); ctx.Err() == nil {
			cancel(fmt.Errorf("serve: %w", err))
		}
	}()
	m.log.printf("master %s started on %s", m.info.ID, m.info.PID)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(m.elect(ctx, &wg)) })
	<-ctx.Done()
	m.mu.Lock()
	m.closing, m.reign = true, nil // at once: the next leader may be there already
	m.mu.Unlock()
	wg.Wait()
	// Streams that the cluster has closed may say their last.
	parting, cancelParting := context.WithTimeout(base, farewell)
	defer cancelParting()
	server.Shutdown(parting) // its error: they took too long, and are cut
	endRequests()
	server.Close()
	m.requests.Wait()
	<-served
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// identity is what this master tells others about itself.
func (m *master) identity(listening net.Addr) (election.Master, error) {
	ap, err := netip.ParseAddrPort(listening.String())
	if err != nil {
		return election.Master{}, fmt.Errorf("own address %s: %w", listening, err)
	}
	ip, port := ap.Addr().Unmap(), ap.Port()
	if ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1}) // give --ip or --advertise_ip to be found by others
	}
	if m.cfg.AdvertiseIP.IsValid() {
		ip = m.cfg.AdvertiseIP
	}
	if m.cfg.AdvertisePort > 0 {
		port = uint16(m.cfg.AdvertisePort)
	}
	hostname := m.cfg.Hostname
	if hostname == "" && m.cfg.HostnameLookup {
		hostname = m.env.Hostname
	}
	if hostname == "" {
		hostname = ip.String()
	}
	return election.NewMaster(uuid.NewString(), hostname, netip.AddrPortFrom(ip, port), endpoints.Version), nil
}

// logger writes lines in the style of glog, as Mesos does.
type logger struct {
	mu    sync.Mutex
	w     io.Writer
	quiet bool
	level uint32 // of verbosity, until that time
	until time.Time
}

func (l *logger) printf(format string, args ...any) {
	if l.quiet {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, "I%s master] %s\n", time.Now().Format("0102 15:04:05.000000"), fmt.Sprintf(format, args...))
}
