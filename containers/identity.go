package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/crypto/ssh"
)

// vagrantUID is the user's number in the machine image: the first that
// useradd gives.
const vagrantUID = 1000

// The user's home and the file by which sshd knows the lab's key.
const (
	userHome = "/home/vagrant"
	keyRing  = userHome + "/.ssh/authorized_keys"
)

// The machine's own key, by which clients know it.
const (
	hostKeyFile    = "/etc/ssh/ssh_host_ed25519_key"
	hostKeyPublic  = hostKeyFile + ".pub"
	hostKeyComment = "lab"
)

// content is a file for a machine.
type content struct {
	path string
	mode int64
	uid  int
	text []byte
}

func ringOf(keys []byte) content {
	return content{path: keyRing, mode: 0o600, uid: vagrantUID, text: keys}
}

// giveIdentity makes a machine that is off one that clients know and that
// knows them: it gets the lab's key and, before its first boot, a host key,
// which is pinned. The engine starts a process of its own for each copy into
// or out of a container, so all goes in one.
func (p *Provider) giveIdentity(ctx context.Context, s site, id string, public []byte) error {
	if r, ok := s.record(); ok && r.Container == id {
		return p.put(ctx, id, ringOf(public))
	}
	private, err := newKey()
	if err != nil {
		return fmt.Errorf("make host key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		return fmt.Errorf("make host key: %w", err)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	err = p.put(ctx, id, ringOf(public),
		content{path: hostKeyFile, mode: 0o600, text: private},
		content{path: hostKeyPublic, mode: 0o644, text: []byte(line + " " + hostKeyComment + "\n")})
	if err != nil {
		return err
	}
	return s.writeRecord(record{Container: id, HostKey: line})
}

// put lays files into a machine, running or not. A folder named .ssh gets its
// owner and mode from its file.
func (p *Provider) put(ctx context.Context, id string, files ...content) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	var err error
	for _, f := range files {
		name := strings.TrimPrefix(f.path, "/")
		if dir := path.Dir(name); path.Base(dir) == ".ssh" {
			err = errors.Join(err, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o700, Uid: f.uid, Gid: f.uid, ModTime: time.Unix(0, 0)}))
		}
		err = errors.Join(err, w.WriteHeader(&tar.Header{Name: name, Mode: f.mode, Uid: f.uid, Gid: f.uid, Size: int64(len(f.text)), ModTime: time.Unix(0, 0)}))
		if err == nil {
			_, err = w.Write(f.text)
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	_, err = p.engine.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: &archive, CopyUIDGID: true})
	if err != nil {
		return fmt.Errorf("put the machine's keys in: %w", err)
	}
	return nil
}
