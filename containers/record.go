package containers

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/atomicfile"
)

// record is what is remembered of a machine: the host key that the container
// got before its first boot. It is worthless once the container is another.
type record struct {
	Container string `json:"container"`
	HostKey   string `json:"host_key"`
}

func (s site) record() (record, bool) {
	var r record
	text, err := os.ReadFile(s.recordFile())
	if err != nil || json.Unmarshal(text, &r) != nil || r.HostKey == "" {
		return record{}, false
	}
	return r, true
}

func (s site) writeRecord(r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := write(s.recordFile(), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("%s: pin host key: %w", s.node.Name, err)
	}
	return nil
}

func (s site) endpoint(hostKey string) lab.SSHEndpoint {
	return lab.SSHEndpoint{Addr: s.sshAddr(), User: "vagrant", KeyFile: s.keyFile(), HostKey: hostKey}
}

func (s site) sshAddr() string { return net.JoinHostPort(s.node.IP.String(), "22") }

// machine describes a machine whose host key is pinned.
func (s site) machine() (lab.Machine, error) {
	r, ok := s.record()
	if !ok {
		return lab.Machine{}, fmt.Errorf("%s: its host key is not recorded in %s", s.node.Name, s.recordFile())
	}
	return lab.Machine{Node: s.node, SSH: s.endpoint(r.HostKey)}, nil
}

// ensureKey makes the key that opens the lab's machines, once, and returns its
// authorized_keys line.
func ensureKey(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = newKey(); err == nil {
			err = write(file, text, 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, &lab.Error{ID: "ssh-key", Op: "read key", Err: fmt.Errorf("%s: %w", file, err), Advice: "the key file is damaged: lab destroy, then lab create"}
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " lab\n"
	if old, err := os.ReadFile(file + ".pub"); err != nil || string(old) != line {
		if err := write(file+".pub", []byte(line), 0o644); err != nil {
			return nil, fmt.Errorf("make key: %w", err)
		}
	}
	return []byte(line), nil
}

func newKey() ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "lab")
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

// write makes a file, and its folder.
func write(file string, text []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(file, text, mode)
}
