package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

func (e *fakeEngine) ContainerCreate(ctx context.Context, o client.ContainerCreateOptions) (r client.ContainerCreateResult, err error) {
	err = e.act(ctx, "create %s", o.Name)
	defer e.mu.Unlock()
	if err != nil {
		return r, err
	}
	if e.lookup(o.Name) != nil {
		return r, errdefs.ErrConflict
	}
	e.serial++
	c := &fakeContainer{id: fmt.Sprint("c", e.serial), o: o, state: container.StateCreated}
	e.containers[c.id] = c
	r.ID = c.id
	return r, nil
}

func (e *fakeEngine) ContainerStart(ctx context.Context, id string, _ client.ContainerStartOptions) (r client.ContainerStartResult, err error) {
	c := e.find(id)
	err = e.act(ctx, "start %s", c.o.Name)
	defer e.mu.Unlock()
	if err != nil {
		return r, err
	}
	h := c.o.HostConfig
	if len(h.CapAdd) > 0 && e.noRights {
		return r, errors.New("OCI runtime create failed: unable to apply caps: operation not permitted")
	}
	c.started, c.state = time.Now(), container.StateRunning
	switch c.o.Config.Labels[labelPart] {
	case partProbe:
		c.state = container.StateExited
	case partCard:
		if !c.plugged {
			for _, s := range c.o.NetworkingConfig.EndpointsConfig {
				e.plug(c, s.IPAMConfig.IPv4Address)
			}
		}
	case partMachine:
		return r, e.boot(c)
	}
	return r, nil
}

// boot lets the machine's sshd listen, if it can.
func (e *fakeEngine) boot(c *fakeContainer) error {
	card := e.cardOf(c)
	if card == nil || card.state != container.StateRunning {
		return errors.New("cannot join network of a non running container")
	}
	if c.hostKey == nil {
		return errors.New("the machine has no host key")
	}
	l, err := e.net.Host(card.address.String()).Listen(context.Background(), "tcp", ":22")
	if err != nil {
		return err
	}
	e.serial++
	c.pid, c.close = e.serial, func() { l.Close() }
	go greet(l)
	return nil
}

func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := io.WriteString(c, "SSH-2.0-fake\r\n"); err == nil {
				_, _ = io.Copy(c, c) // ends with the connection
			}
		}()
	}
}

func (e *fakeEngine) cardOf(c *fakeContainer) *fakeContainer {
	return e.containers[strings.TrimPrefix(string(c.o.HostConfig.NetworkMode), "container:")]
}

// die ends a machine; its kernel says so if anybody can hear it.
func (e *fakeEngine) die(c *fakeContainer) {
	if c.close == nil {
		c.state = container.StateExited
		return
	}
	c.close()
	c.close, c.state, c.ended, c.code = nil, container.StateExited, time.Now(), 137
	if card := e.cardOf(c); card != nil && card.plugged {
		e.net.Crash(card.address.String())
		e.net.Mend(card.address.String())
	} else if card != nil {
		card.residue = true
	}
}

func (e *fakeEngine) ContainerStop(ctx context.Context, id string, _ client.ContainerStopOptions) (r client.ContainerStopResult, err error) {
	c := e.find(id)
	err = e.act(ctx, "stop %s", c.o.Name)
	defer e.mu.Unlock()
	if err == nil {
		e.die(c)
	}
	return r, err
}

func (e *fakeEngine) ContainerKill(ctx context.Context, id string, _ client.ContainerKillOptions) (r client.ContainerKillResult, err error) {
	c := e.find(id)
	err = e.act(ctx, "kill %s", c.o.Name)
	defer e.mu.Unlock()
	if err == nil {
		e.die(c)
	}
	return r, err
}

func (e *fakeEngine) ContainerPause(ctx context.Context, id string, _ client.ContainerPauseOptions) (r client.ContainerPauseResult, err error) {
	c := e.find(id)
	err = e.act(ctx, "pause %s", c.o.Name)
	defer e.mu.Unlock()
	if err == nil && c.state != container.StateRunning {
		err = fmt.Errorf("container is %s: %w", c.state, errdefs.ErrConflict)
	}
	if err == nil {
		c.state = container.StatePaused
	}
	return r, err
}

func (e *fakeEngine) ContainerUnpause(ctx context.Context, id string, _ client.ContainerUnpauseOptions) (r client.ContainerUnpauseResult, err error) {
	c := e.find(id)
	err = e.act(ctx, "unpause %s", c.o.Name)
	defer e.mu.Unlock()
	if err == nil && c.state != container.StatePaused {
		err = fmt.Errorf("container is %s: %w", c.state, errdefs.ErrConflict)
	}
	if err == nil {
		c.state = container.StateRunning
	}
	return r, err
}

func (e *fakeEngine) ContainerRemove(ctx context.Context, id string, _ client.ContainerRemoveOptions) (r client.ContainerRemoveResult, err error) {
	c := e.find(id)
	if c.id == "" {
		return r, errdefs.ErrNotFound
	}
	err = e.act(ctx, "remove %s", c.o.Name)
	defer e.mu.Unlock()
	if err != nil {
		return r, err
	}
	e.die(c)
	if c.address.IsValid() {
		e.net.Crash(c.address.String())
		e.net.Mend(c.address.String())
	}
	delete(e.containers, c.id)
	return r, nil
}

func (e *fakeEngine) CopyToContainer(ctx context.Context, id string, o client.CopyToContainerOptions) (r client.CopyToContainerResult, err error) {
	c := e.find(id)
	err = e.act(ctx, "copy-to %s %s", c.o.Name, o.DestinationPath)
	defer e.mu.Unlock()
	if err != nil {
		return r, err
	}
	if o.DestinationPath != "/" || !o.CopyUIDGID {
		return r, fmt.Errorf("not the way of keys: %+v", o)
	}
	wants := map[string]tar.Header{
		"home/vagrant/.ssh/":                {Mode: 0o700, Uid: vagrantUID},
		"home/vagrant/.ssh/authorized_keys": {Mode: 0o600, Uid: vagrantUID},
		"etc/ssh/ssh_host_ed25519_key":      {Mode: 0o600},
		"etc/ssh/ssh_host_ed25519_key.pub":  {Mode: 0o644},
	}
	for archive := tar.NewReader(o.Content); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return r, nil
		} else if err != nil {
			return r, err
		}
		want, known := wants[h.Name]
		if !known || h.Mode != want.Mode || h.Uid != want.Uid || h.Gid != want.Uid {
			return r, fmt.Errorf("not a key: %+v", h)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return r, err
		}
		switch path.Base(h.Name) {
		case "authorized_keys":
			c.key = text
		case path.Base(hostKeyPublic):
			c.hostKey = text
		}
	}
}

func (e *fakeEngine) ContainerRename(ctx context.Context, id string, o client.ContainerRenameOptions) (r client.ContainerRenameResult, err error) {
	c := e.find(id)
	err = e.act(ctx, "rename %s %s", c.o.Name, o.NewName)
	defer e.mu.Unlock()
	if err == nil && e.lookup(o.NewName) != nil {
		err = errdefs.ErrConflict
	}
	if err == nil {
		c.o.Name = o.NewName
	}
	return r, err
}

func (e *fakeEngine) ExecCreate(ctx context.Context, id string, o client.ExecCreateOptions) (r client.ExecCreateResult, err error) {
	c := e.find(id)
	err = e.act(ctx, "exec %s %s", c.o.Name, o.Cmd)
	defer e.mu.Unlock()
	r.ID = c.id
	return r, err
}

// ExecStart knows one command only: to start sshd.
func (e *fakeEngine) ExecStart(_ context.Context, id string, _ client.ExecStartOptions) (r client.ExecStartResult, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.lookup(id)
	c.close()
	return r, e.boot(c)
}

func (e *fakeEngine) CopyFromContainer(_ context.Context, id string, o client.CopyFromContainerOptions) (r client.CopyFromContainerResult, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.lookup(id)
	text := []byte(nil)
	switch {
	case c == nil:
	case o.SourcePath == hostKeyPublic:
		text = c.hostKey
	case o.SourcePath == keyRing:
		text = c.key
	}
	if text == nil {
		return r, errdefs.ErrNotFound
	}
	archive, err := tarOf(map[string][]byte{path.Base(o.SourcePath): text}, 0, 0o644)
	r.Content = io.NopCloser(bytes.NewReader(archive))
	return r, err
}
