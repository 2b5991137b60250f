package vagrant

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab"
)

// errSeen ends a handshake once the host key is known: nobody logs in.
var errSeen = errors.New("host key seen")

// hostKey dials addr and returns the key that the SSH server there proves to
// have, as an authorized_keys line. pinned, if set, is the key to ask for.
func (o Options) hostKey(ctx context.Context, addr, pinned string) (string, error) {
	algorithms := []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	if kind, _, _ := strings.Cut(pinned, " "); kind == ssh.KeyAlgoRSA {
		algorithms = algorithms[4:]
	} else if kind != "" {
		algorithms = []string{kind}
	}
	c, err := o.Dial(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	var seen string
	_, _, _, err = ssh.NewClientConn(c, addr, &ssh.ClientConfig{
		User: "vagrant", HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			seen = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
			return errSeen
		},
	})
	if seen == "" {
		return "", fmt.Errorf("ssh %s: %w", addr, err)
	}
	return seen, nil
}

// answers reports whether the machine of an endpoint answers, and not another
// one at its address.
func (o Options) answers(ctx context.Context, e lab.SSHEndpoint) bool {
	if e.Addr == "" || e.HostKey == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, o.Probe)
	defer cancel()
	key, err := o.hostKey(ctx, e.Addr, e.HostKey)
	return err == nil && key == e.HostKey
}

// pin returns e with its host key: the one pinned at first sight, or, for a
// machine that was never seen, the one it shows now.
func (s *session) pin(ctx context.Context, node string, e lab.SSHEndpoint) (lab.SSHEndpoint, error) {
	old := s.mem.Machines[node].SSH.HostKey
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := lab.Until(ctx, 200*time.Millisecond, "the SSH server of "+node, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		var err error
		e.HostKey, err = s.opts.hostKey(ctx, e.Addr, "")
		return err
	})
	if err != nil {
		return e, &lab.Error{ID: "ssh-timeout", Op: "read host key", Machine: node, Err: err, Advice: "look at the machine's console; lab create goes on from here"}
	}
	if old != "" && old != e.HostKey {
		return e, &lab.Error{
			ID: "host-key-changed", Op: "check host key", Machine: node,
			Err:    fmt.Errorf("%s shows %s, pinned is %s", e.Addr, fingerprint(e.HostKey), fingerprint(old)),
			Advice: "if somebody made this machine anew, lab destroy and lab create; if not, another machine answers at its address",
		}
	}
	return e, nil
}

func fingerprint(line string) string {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return "an unreadable key"
	}
	return ssh.FingerprintSHA256(key)
}

// endpoints asks Vagrant how the machines are reached and pins their keys.
// go-vagrant's ssh-config loses key files whose path has a space in it.
func (s *session) endpoints(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	found := map[string]lab.SSHEndpoint{}
	err := s.run(ctx, "ssh-config", func(r record) {
		if r.Kind == "ssh-config" && r.Target != "" {
			found[r.Target] = parseSSHConfig(strings.Join(r.Data, ","))
		}
	}, append([]string{"ssh-config"}, names...)...)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		e, ok := found[name]
		if !ok || e.Addr == "" || e.User == "" || e.KeyFile == "" {
			errs = append(errs, &lab.Error{ID: "vagrant-failed", Op: "ssh-config", Machine: name, Err: fmt.Errorf("vagrant does not say how it is reached"), Advice: "vagrant ssh-config " + name + " in the lab's folder shows more"})
			continue
		}
		e, err := s.pin(ctx, name, e)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r := s.mem.Machines[name]
		r.SSH = e
		s.mem.Machines[name] = r
		s.mem.set(name, lab.StateRunning)
	}
	return errors.Join(append(errs, s.mem.write(s.dir))...)
}

// parseSSHConfig reads what ssh-config prints of one machine. What is missing
// or malformed stays empty.
func parseSSHConfig(text string) lab.SSHEndpoint {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		value = strings.TrimSpace(value)
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		key = strings.ToLower(key)
		if _, twice := values[key]; !twice {
			values[key] = value
		}
	}
	e := lab.SSHEndpoint{User: values["user"], KeyFile: values["identityfile"]}
	port := values["port"]
	if port == "" {
		port = "22"
	}
	if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 65536 && values["hostname"] != "" {
		e.Addr = net.JoinHostPort(values["hostname"], strconv.Itoa(n))
	}
	return e
}
