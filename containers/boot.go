package containers

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
	"golang.org/x/crypto/ssh"
)

// mendKey gives the lab's key to a running machine that has it no longer.
func (p *Provider) mendKey(ctx context.Context, s site, id string, public []byte) error {
	text, err := p.readFile(ctx, id, keyRing)
	if err == nil && bytes.Contains(text, bytes.TrimSpace(public)) {
		return nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("look for the lab's key: %w", err)
	}
	if err := p.put(ctx, id, ringOf(append(text, public...))); err != nil {
		return err
	}
	s.mended("the lab's key was gone: put back", "SSH key of "+s.node.Name)
	return nil
}

// readFile reads a small file of a machine, running or not.
func (p *Provider) readFile(ctx context.Context, id, name string) ([]byte, error) {
	result, err := p.engine.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		return nil, err
	}
	defer result.Content.Close()
	archive := tar.NewReader(result.Content)
	if _, err := archive.Next(); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(archive, 64<<10))
}

// pin remembers the host key of a machine that has been running by itself. It
// is read out of the machine: what the engine shows is the machine's own,
// whoever answers at its address.
func (p *Provider) pin(ctx context.Context, s site, id string) error {
	text, err := p.readFile(ctx, id, hostKeyPublic)
	if err != nil {
		return fmt.Errorf("read host key: %w", err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return fmt.Errorf("read host key: %w", err)
	}
	now := record{Container: id, HostKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))}
	if r, ok := s.record(); ok && r == now {
		return nil
	}
	return lab.Permanent(s.writeRecord(now))
}

// bootWait is how long a machine may take to answer SSH; it takes 2 s.
const bootWait = 90 * time.Second

// awaitSSH returns when sshd greets and its host key is pinned. running says
// that the machine ran already, so that sshd should, too, and that its host
// key may have become another.
func (p *Provider) awaitSSH(ctx context.Context, s site, id string, running bool, wait func(string)) error {
	revive := running
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, bootWait)
	defer cancel()
	wait("the machine's SSH server")
	err := lab.Until(limited, pollEvery, "ssh at "+s.sshAddr(), func(ctx context.Context) error {
		// The greeting first: looking into a container costs its engine far more.
		err := p.greeted(ctx, s)
		if err == nil && running {
			err = p.pin(ctx, s, id)
		}
		if err == nil {
			return nil
		}
		if revive && time.Since(start) > p.patience.revive {
			revive = false
			if err := p.revive(ctx, id); err != nil {
				return lab.Permanent(err)
			}
			s.mended("sshd did not answer: started anew", "sshd of "+s.node.Name)
		}
		c, lookErr := p.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if lookErr == nil && c.Container.State != nil && !c.Container.State.Running {
			return lab.Permanent(&lab.Error{ID: "machine-boot", Op: "boot", Machine: s.node.Name,
				Err:    fmt.Errorf("the machine ended with code %d: %s", c.Container.State.ExitCode, c.Container.State.Error),
				Advice: "see docker logs " + s.machineName()})
		}
		return err
	})
	if err == nil || ctx.Err() != nil || lab.ErrorID(err) != "" {
		return err
	}
	return &lab.Error{ID: "ssh-timeout", Op: "boot", Machine: s.node.Name, Err: err,
		Advice: "look whether a firewall of this computer stands between it and " + s.sshAddr() + ", and at docker exec " + s.machineName() + " systemctl status"}
}

// revive starts sshd anew, by the engine's hand.
func (p *Provider) revive(ctx context.Context, id string) error {
	made, err := p.engine.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: []string{"/bin/sh", "-c", "systemctl reset-failed ssh.service; systemctl restart ssh.service"}})
	if err == nil {
		_, err = p.engine.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true})
	}
	if err != nil {
		return fmt.Errorf("start sshd anew: %w", err)
	}
	return nil
}

// mended tells what was found broken on a machine and mended.
func (s site) mended(text, changed string) {
	s.plan.Report.Emit(lab.Event{Op: "create", Kind: lab.EventNote, Node: s.node.Name, Text: text, Data: map[string]any{lab.DataChanged: changed}})
}

// greeted dials and reads the first line.
func (p *Provider) greeted(ctx context.Context, s site) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := p.dial(ctx, "tcp", s.sshAddr())
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(c, 256)).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read greeting: %w", err)
	}
	if !strings.HasPrefix(line, "SSH-2.0-") {
		return errors.New("something else than an SSH server answers")
	}
	return nil
}
