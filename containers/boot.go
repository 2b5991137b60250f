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

	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
	"golang.org/x/crypto/ssh"
)

// vagrantUID is the user's number in the machine image: the first that
// useradd gives.
const vagrantUID = 1000

// giveKey puts the lab's key into a machine that does not run.
func (p *Provider) giveKey(ctx context.Context, id string, public []byte) error {
	content, err := tarOf(map[string][]byte{"authorized_keys": public}, vagrantUID, 0o600)
	if err != nil {
		return err
	}
	_, err = p.engine.CopyToContainer(ctx, id, client.CopyToContainerOptions{
		DestinationPath: "/home/vagrant/.ssh", Content: bytes.NewReader(content), CopyUIDGID: true,
	})
	if err != nil {
		return fmt.Errorf("put the lab's key in: %w", err)
	}
	return nil
}

// hostKeyFile is what the machine makes at its first boot.
const hostKeyFile = "/etc/ssh/ssh_host_ed25519_key.pub"

// pin reads the machine's host key out of it, once for each container.
func (p *Provider) pin(ctx context.Context, s site, id string) error {
	if r, ok := s.record(); ok && r.Container == id {
		return nil
	}
	result, err := p.engine.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: hostKeyFile})
	if err != nil {
		return err
	}
	defer result.Content.Close()
	archive := tar.NewReader(result.Content)
	if _, err := archive.Next(); err != nil {
		return fmt.Errorf("read host key: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(archive, 64<<10))
	if err != nil {
		return fmt.Errorf("read host key: %w", err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return fmt.Errorf("read host key: %w", err)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	return lab.Permanent(s.writeRecord(record{Container: id, HostKey: line}))
}

// bootWait is how long a machine may take to answer SSH; it takes 2 s.
const bootWait = 90 * time.Second

// awaitSSH returns when the host key is pinned and sshd greets.
func (p *Provider) awaitSSH(ctx context.Context, s site, id string, wait func(string)) error {
	limited, cancel := context.WithTimeout(ctx, bootWait)
	defer cancel()
	wait("the machine's SSH server")
	err := lab.Until(limited, pollEvery, "ssh at "+s.sshAddr(), func(ctx context.Context) error {
		err := p.pin(ctx, s, id)
		if err == nil {
			err = p.greeted(ctx, s)
		}
		if err == nil {
			return nil
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
