//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
)

// checkPorts looks whether the ports that the spec wants on this machine can
// be had, before anything is started.
func (s site) checkPorts(ctx context.Context) error {
	if n, ok := s.network(); ok && !n.Exists(s.node.Name) {
		return nil // nobody can have ports there
	}
	ports := s.plan.Spec.WithDefaults().Ports
	wanted := ports.All()
	if s.node.Role == lab.RoleSlave {
		wanted = []lab.Port{{Path: "ports.ssh", Port: ports.SSH}, {Path: "ports.docker", Port: ports.Docker}}
	}
	errs := make([]error, len(wanted))
	var group sync.WaitGroup
	for i, port := range wanted { // at once: a port that is taken takes its time
		group.Go(func() { errs[i] = s.tryPort(ctx, port.Port) })
	}
	group.Wait()
	for i, err := range errs {
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			return s.addressMissing(err)
		}
		if err != nil {
			errs[i] = s.portError(wanted[i], err)
		}
	}
	return errors.Join(errs...)
}

// tryPort takes a port for a moment. One that is taken is looked at again for
// a while: another lab may just be trying it, and a process that is being
// started holds for a moment what its parent had open.
func (s site) tryPort(ctx context.Context, port int) error {
	at := net.JoinHostPort(s.node.IP.String(), strconv.Itoa(port))
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	return lab.Until(short, 20*time.Millisecond, at+" to be free", func(ctx context.Context) error {
		var l net.Listener
		err := s.within(func() (err error) {
			var lc net.ListenConfig
			l, err = lc.Listen(ctx, "tcp4", at)
			return err
		})
		switch {
		case err == nil:
			return l.Close()
		case errors.Is(err, syscall.EADDRINUSE):
			return err
		}
		return lab.Permanent(err)
	})
}

func (s site) addressMissing(err error) error {
	e := &lab.Error{ID: "address-missing", Op: "listen", Machine: s.node.Name, Err: fmt.Errorf("this computer has no address %s: %w", s.node.IP, err)}
	e.Advice = "all of 127.0.0.0/8 is usually there; look at the lo interface"
	if runtime.GOOS == "darwin" {
		e.Advice = "run, again after each restart:"
		for _, n := range s.plan.Nodes {
			e.Advice += fmt.Sprintf(" sudo ifconfig lo0 alias %s;", n.IP)
		}
	}
	return e
}

func (s site) portError(port lab.Port, err error) error {
	e := &lab.Error{ID: "port-failed", Op: "listen", Machine: s.node.Name, Err: err, Advice: fmt.Sprintf("choose another %s in lab.yaml", port.Path)}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.ID = "port-taken"
		who := "another program"
		if h := holder(s.node.IP, port.Port); h != "" {
			who = h
		}
		e.Err = fmt.Errorf("port %d of %s is taken by %s: %w", port.Port, s.node.IP, who, syscall.EADDRINUSE)
		e.Advice = fmt.Sprintf("end it, or choose another port: %s in lab.yaml (now %d)", port.Path, port.Port)
	case errors.Is(err, syscall.EACCES):
		e.Advice = fmt.Sprintf("ports below 1024 are for root: choose another %s in lab.yaml", port.Path)
	}
	return e
}
