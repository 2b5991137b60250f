//go:build unix

package machine

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/local/folder"
)

// HostKey returns the SSH key of the machine in f, made when it is asked for
// the first time, and its public half as an authorized_keys line.
func HostKey(f folder.Folder) (ssh.Signer, string, error) {
	if text, err := os.ReadFile(f.Path(folder.HostKeyFile)); err == nil {
		signer, err := ssh.ParsePrivateKey(text)
		if err != nil {
			return nil, "", fmt.Errorf("host key %s: %w", f.Path(folder.HostKeyFile), err)
		}
		return signer, publicLine(signer), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("host key: %w", err)
	}
	text, signer, err := NewKey("root@lab machine")
	if err != nil {
		return nil, "", fmt.Errorf("host key: %w", err)
	}
	if err := atomicfile.Write(f.Path(folder.HostKeyPubFile), []byte(publicLine(signer)+"\n"), 0o644); err != nil {
		return nil, "", fmt.Errorf("host key: %w", err)
	}
	if err := atomicfile.Write(f.Path(folder.HostKeyFile), text, 0o600); err != nil {
		return nil, "", fmt.Errorf("host key: %w", err)
	}
	return signer, publicLine(signer), nil
}

// NewKey makes an ed25519 key; text is in OpenSSH's format.
func NewKey(comment string) (text []byte, signer ssh.Signer, err error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return nil, nil, err
	}
	signer, err = ssh.NewSignerFromKey(private)
	return pem.EncodeToMemory(block), signer, err
}

func publicLine(s ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey())))
}

// skeleton makes what is missing on the disk of the machine. What somebody
// changed stays, but for what follows from the settings.
func (m *machine) skeleton() error {
	for _, dir := range strings.Fields(`/bin /sbin /usr/bin /usr/sbin /usr/local/bin /dev /etc/default /etc/init.d /home/vagrant /root /opt /proc/1 /proc/sys/kernel/random /srv
		/usr/share /var/lib/docker /var/log /var/run /var/tmp /mnt /boot`) {
		if err := m.files().MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make disk: %w", err)
		}
	}
	if err := m.files().MkdirAll("/tmp", 0o777); err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	if err := m.files().Symlink("var/run", "/run"); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make disk: %w", err)
	}
	if err := m.emptyRun(); err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	for name, text := range m.fixedFiles() {
		if err := m.writeFile(name, text, 0o644); err != nil {
			return err
		}
	}
	for name, text := range firstFiles() {
		if _, err := m.files().Lstat(name); err == nil {
			continue
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(name, "/etc/init.d/") {
			mode = 0o755
		}
		if err := m.writeFile(name, text, mode); err != nil {
			return err
		}
	}
	return nil
}

// emptyRun clears /var/run, which a boot always does.
func (m *machine) emptyRun() error {
	entries, err := m.files().ReadDir("/var/run")
	for _, e := range entries {
		err = errors.Join(err, m.files().RemoveAll("/var/run/"+e.Name()))
	}
	return err
}

func (m *machine) writeFile(name, text string, mode fs.FileMode) error {
	if err := m.files().Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := m.files().OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// fixedFiles follow from the settings and are written at each boot.
func (m *machine) fixedFiles() map[string]string {
	hosts := "127.0.0.1 localhost\n"
	names := m.hosts.Names()
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(m.hosts[a], m.hosts[b]) })
	for _, name := range names {
		hosts += m.hosts[name] + " " + name + "\n"
	}
	kib := m.settings.MemoryMiB << 10
	return map[string]string{
		"/etc/hostname":                   m.settings.Name + "\n",
		"/etc/hosts":                      hosts,
		"/proc/1/comm":                    "init\n",
		"/proc/meminfo":                   fmt.Sprintf("MemTotal:     %12d kB\nMemFree:      %12d kB\nMemAvailable: %12d kB\n", kib, kib, kib),
		"/proc/cpuinfo":                   strings.Repeat("processor\t: 0\nmodel name\t: lab\n\n", m.settings.CPUs),
		"/proc/version":                   "Linux version 4.0.0-lab (lab machine)\n",
		"/proc/sys/kernel/random/boot_id": uuid.NewString() + "\n",
	}
}

// firstFiles are written once.
func firstFiles() map[string]string {
	return map[string]string{
		"/etc/os-release": "NAME=\"lab machine\"\nID=lab\nVERSION_ID=\"1\"\nPRETTY_NAME=\"lab machine\"\n",
		"/etc/issue":      "lab machine\n",
		"/etc/passwd":     "root:x:0:0:root:/root:/bin/bash\nvagrant:x:1000:1000::/home/vagrant:/bin/bash\n",
		"/etc/group":      "root:x:0:\nvagrant:x:1000:\ndocker:x:999:vagrant\n",
		"/etc/init.d/docker": "#!/bin/sh\n# The service itself is a part of this machine.\n" +
			"exec service docker \"$@\"\n",
		"/etc/motd": "An embedded machine of a lab: a small shell with commands of its own (help) and a\nDocker engine of its own (docker ps).\n",
	}
}
