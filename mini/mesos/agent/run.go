package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos/agent/config"
	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/mesos/election"
)

// Version is the Mesos version whose API this agent offers.
const Version = "1.3.2"

// Run is the mini.Program mesos-slave. env.Args are its flags, or
// start-mesos-slave.sh, or mesos-slave and its flags. It returns 0 after the
// context's end or a shutdown by the master, 1 if it cannot start or go on.
func Run(ctx context.Context, env mini.Env) int {
	cfg, err := config.Load(env)
	switch {
	case errors.Is(err, config.ErrHelp):
		config.Usage(env.Stdout)
		return 0
	case errors.Is(err, config.ErrVersion):
		fmt.Fprintf(env.Stdout, "mesos %s\n", Version)
		return 0
	case err != nil:
		fmt.Fprintf(env.Stderr, "mesos-slave: %v\nSee `mesos-slave --help`\n", err)
		return 1
	}
	engine := docker.NewMoby(env.Dial, cfg.DockerSocket)
	defer engine.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := newLogger(env.Stderr, cfg.Quiet)
	if err := out.keep(env, cfg.LogDir); err != nil {
		out.warningf("No log file is kept: %v", err)
	}
	defer out.close()
	group, err := election.Parse(ctx, cfg.Master, election.Options{Dial: env.Dial, Logf: out.infof})
	if err != nil {
		fmt.Fprintf(env.Stderr, "mesos-slave: --master: %v\n", err)
		return 1
	}
	code := run(ctx, env, cfg, engine, group, meta.NewStore(env.Path(cfg.WorkDir+metaFolder)), out)
	cancel()
	if z, ok := group.(*election.ZooKeeper); ok {
		z.Wait()
	}
	return code
}

// metaFolder is where under --work_dir the agent remembers.
const metaFolder = "/meta"

// run is Run with its world handed in.
func run(ctx context.Context, env mini.Env, cfg *config.Config, engine docker.Engine, group election.Group, disk *meta.Store, out *logger) int {
	a, l, err := prepare(ctx, env, cfg, engine, disk, out)
	if err != nil {
		if ctx.Err() != nil {
			return 0
		}
		out.errorf("%v", err)
		return 1
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := env.Server(mini.Patient(a.handler()))
	a.spawn(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.do(func() { a.fail(fmt.Errorf("serve HTTP: %w", err)) })
		}
	})
	a.spawn(func() { a.follow(ctx, group) })
	a.spawn(func() { a.collect(ctx) })
	code := a.loop(ctx)
	cancel()
	server.Close()
	a.background.Wait()
	return code
}

// engineWait is how long a start waits for a Docker engine that does not
// answer: both may be starting with the machine.
const engineWait = 30 * time.Second

// prepare opens the port, finds the engine and recovers what an earlier run
// left.
func prepare(ctx context.Context, env mini.Env, cfg *config.Config, engine docker.Engine, disk *meta.Store, out *logger) (*agent, net.Listener, error) {
	l, err := env.Listen(ctx, "tcp", net.JoinHostPort(cfg.IP, strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	a := newAgent(ctx, env, cfg, engine, disk, out)
	if err := a.ready(ctx, l.Addr()); err != nil {
		l.Close()
		a.stop()
		close(a.ended)
		a.background.Wait()
		return nil, nil, err
	}
	return a, l, nil
}

func (a *agent) ready(ctx context.Context, listening net.Addr) error {
	if err := a.identify(ctx, listening); err != nil {
		return err
	}
	version := "no docker engine"
	if a.cfg.UsesDocker() {
		var err error
		if version, err = awaitEngine(ctx, a.engine, a.log); err != nil {
			return fmt.Errorf("failed to create a containerizer: %w", err)
		}
	}
	a.log.infof("Agent %s on %s with %s", a.pid(), a.info.Hostname, version)
	if err := a.recoverReserved(); err != nil {
		return err
	}
	return a.recover(ctx)
}

func awaitEngine(ctx context.Context, engine docker.Engine, out *logger) (string, error) {
	limit, cancel := context.WithTimeout(ctx, engineWait)
	defer cancel()
	for told := false; ; told = true {
		version, err := engine.Version(limit)
		if err == nil {
			return version, nil
		}
		if !told {
			out.warningf("Waiting for the docker engine: %v", err)
		}
		if !pause(limit, time.Second) {
			return "", err
		}
	}
}

// identify settles the address that the agent advertises.
func (a *agent) identify(ctx context.Context, listening net.Addr) error {
	at, err := netip.ParseAddrPort(listening.String())
	if err != nil {
		return fmt.Errorf("address of the listener: %w", err)
	}
	a.ip, a.port = at.Addr().Unmap(), int(at.Port())
	if ip, err := netip.ParseAddr(a.cfg.IP); err == nil && !ip.IsUnspecified() {
		a.ip = ip
	}
	if a.ip.IsUnspecified() {
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", a.env.Hostname)
		if err != nil || len(ips) == 0 {
			return fmt.Errorf("no address to advertise: give --ip (looking up %q: %w)", a.env.Hostname, errors.Join(err))
		}
		a.ip = ips[0].Unmap()
	}
	hostname := a.cfg.Hostname
	if hostname == "" {
		hostname = a.ip.String()
	}
	port := int32(a.port)
	a.info.Hostname, a.info.Port = hostname, &port
	a.info.Resources, a.info.Attributes = a.cfg.Resources, a.cfg.Attributes
	return nil
}

// pause waits and says whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
