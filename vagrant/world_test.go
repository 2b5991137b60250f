package vagrant

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// world is what a fake vagrant works on: VMs in memory, with SSH servers on
// an in-memory network.
type world struct {
	testing.TB
	dir  string
	net  *labtest.Network
	plan lab.Plan

	mu       sync.Mutex
	vms      map[string]*fakeVM
	calls    [][]string
	events   []lab.Event
	inFolder int
	script   func(*call) bool // plays its own part and returns true
}

type fakeVM struct {
	ip, state string
	signer    ssh.Signer
	snaps     []string
}

// call is one run of the fake.
type call struct {
	w       *world
	hello   hello
	enc     *json.Encoder
	signals chan string   // what the process was sent
	gone    chan struct{} // closed when the process has ended
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, dir: t.TempDir(), net: labtest.NewNetwork(), vms: map[string]*fakeVM{}}
	w.plan = planOf(w.dir)
	w.plan.Report = func(e lab.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.WriteFile(filepath.Join(w.dir, worldFile), []byte(l.Addr().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.serve(c)
		}
	}()
	return w
}

func planOf(dir string) lab.Plan {
	p := lab.Plan{Dir: dir, ID: "0000002a", Spec: lab.Spec{Name: "lab", Subnet: lab.ArticleSubnet}.WithDefaults()}
	p.Nodes, _ = p.Spec.Nodes()
	return p
}

func (w *world) options() Options {
	return Options{Dial: w.Dial, Probe: 200 * time.Millisecond, Grace: time.Minute}
}

// Dial dials as the computer beside the machines.
func (w *world) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return w.net.Host("192.168.59.254").Dial(ctx, network, address)
}

func (w *world) serve(c net.Conn) {
	defer c.Close()
	dec := json.NewDecoder(bufio.NewReader(c))
	k := &call{w: w, enc: json.NewEncoder(c), signals: make(chan string, 8), gone: make(chan struct{})}
	if dec.Decode(&k.hello) != nil {
		return
	}
	k.hello.Args = slices.DeleteFunc(k.hello.Args, func(a string) bool { return a == "--machine-readable" })
	go func() {
		defer close(k.gone)
		var s string
		for dec.Decode(&s) == nil {
			k.signals <- s
		}
	}()
	child := k.hello.Args[0] == "child"
	w.mu.Lock()
	w.calls = append(w.calls, k.hello.Args)
	script := w.script
	if !child {
		if w.inFolder++; w.inFolder > 1 {
			w.Errorf("two vagrant processes in one folder: %q", w.calls)
		}
	}
	w.mu.Unlock()
	handled := script != nil && script(k)
	if !handled && !child {
		k.play()
	}
	if !child {
		w.mu.Lock()
		w.inFolder--
		w.mu.Unlock()
	}
	if !handled && !child {
		k.exit(0)
	}
	<-k.gone
}

func (k *call) out(format string, args ...any) {
	_ = k.enc.Encode(frame{Out: fmt.Sprintf(format, args...)})
}
func (k *call) exit(code int) { _ = k.enc.Encode(frame{Exit: &code}) }
func (k *call) is(words ...string) bool {
	return len(k.hello.Args) >= len(words) && slices.Equal(k.hello.Args[:len(words)], words)
}

// fail ends a call as Vagrant does.
func (k *call) fail(class, message string) {
	k.out("1700000000,,error-exit,%s,%s\n", class, strings.NewReplacer(",", "%!(VAGRANT_COMMA)", "\n", `\n`).Replace(message))
	k.exit(1)
}

// names returns the machines that the arguments mean.
func (k *call) names() []string {
	var out []string
	for _, a := range k.hello.Args[1:] {
		if strings.HasPrefix(a, "node") {
			out = append(out, a)
		}
	}
	return out
}

var nodeLine = regexp.MustCompile(`(?m)^  '(node\d+)' => '([\d.]+)',$`)

// play does what Vagrant does when nothing goes wrong.
func (k *call) play() {
	w := k.w
	w.mu.Lock()
	defer w.mu.Unlock()
	file, _ := os.ReadFile(filepath.Join(w.dir, "Vagrantfile"))
	for _, m := range nodeLine.FindAllStringSubmatch(string(file), -1) {
		if w.vms[m[1]] == nil {
			w.vms[m[1]] = &fakeVM{ip: m[2], state: "not_created"}
		}
	}
	switch k.hello.Args[0] {
	case "version":
		k.out("1700000000,,ui,output,Installed Version: 2.3.4\n1700000000,,version-installed,2.3.4\n")
	case "status":
		for name, vm := range w.vms {
			k.out("1700000000,%s,provider-name,virtualbox\n1700000000,%s,state,%s\n", name, name, vm.state)
		}
	case "ssh-config":
		for _, name := range k.names() {
			text := fmt.Sprintf("Host %s\n  HostName %s\n  User vagrant\n  Port 22\n  IdentityFile \"%s/.vagrant/machines/%s/virtualbox/private_key\"\n", name, w.vms[name].ip, w.dir, name)
			k.out("1700000000,%s,ssh-config,%s\n%s\n", name, strings.ReplaceAll(text, "\n", `\n`), text)
		}
	case "snapshot":
		k.snapshot()
	default:
		for _, name := range k.names() {
			k.one(name)
		}
	}
}

// one does a command to one machine.
func (k *call) one(name string) {
	w, vm := k.w, k.w.vms[name]
	command := k.hello.Args[0]
	k.out("1700000000,%s,action,%s,start\n1700000000,%s,ui,info,==> %s: %s%%!(VAGRANT_COMMA) please wait\n", name, command, name, name, command)
	switch command {
	case "up":
		if vm.state != "running" {
			w.boot(name)
		}
	case "resume":
		w.net.Mend(vm.ip)
		vm.state = "running"
	case "suspend":
		w.net.Cut(vm.ip)
		vm.state = "saved"
	case "halt":
		if slices.Contains(k.hello.Args, "--force") {
			w.net.Cut(vm.ip)
		} else {
			w.net.Crash(vm.ip)
			w.net.Mend(vm.ip)
		}
		vm.state = "poweroff"
	case "destroy":
		w.net.Crash(vm.ip)
		w.net.Mend(vm.ip)
		w.vms[name] = &fakeVM{ip: vm.ip, state: "not_created"}
		os.RemoveAll(filepath.Join(w.dir, ".vagrant", "machines", name))
	}
	k.out("1700000000,%s,action,%s,end\n", name, command)
}

func (k *call) snapshot() {
	for name, vm := range k.w.vms {
		switch {
		case k.is("snapshot", "list"):
			k.out("1700000000,%s,ui,output,==> %s: \n", name, name)
			if len(vm.snaps) == 0 {
				k.out("1700000000,%s,ui,detail,No snapshots have been taken yet!\n", name)
			}
			for _, s := range vm.snaps {
				k.out("1700000000,%s,ui,detail,%s\n", name, s)
			}
		case k.is("snapshot", "save") && slices.Contains(k.hello.Args, name):
			vm.snaps = append(vm.snaps, k.hello.Args[len(k.hello.Args)-1])
		}
	}
}

// made leaves the file by which Vagrant knows a VM. The caller holds mu.
func (w *world) made(name string) {
	dir := filepath.Join(w.dir, ".vagrant", "machines", name, "virtualbox")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "id"), []byte("id-of-"+name), 0o600); err != nil {
		w.Error(err)
	}
}

// boot brings a VM's SSH server up. The caller holds mu.
func (w *world) boot(name string) {
	vm := w.vms[name]
	if vm.signer == nil {
		_, key, err := ed25519.GenerateKey(nil)
		if err == nil {
			vm.signer, err = ssh.NewSignerFromKey(key)
		}
		if err != nil {
			w.Error(err)
		}
	}
	w.made(name)
	w.net.Crash(vm.ip)
	w.net.Mend(vm.ip)
	l, err := w.net.Host(vm.ip).Listen(context.Background(), "tcp", ":22")
	if err != nil {
		w.Error(err)
		return
	}
	vm.state = "running"
	conf := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, errSeen }}
	conf.AddHostKey(vm.signer)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _, _, _ = ssh.NewServerConn(c, conf) // nobody gets in
			}()
		}
	}()
}

// called returns how often a command was run.
func (w *world) called(command string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c[0] == command {
			n++
		}
	}
	return n
}

func (w *world) setScript(f func(*call) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script = f
}

// texts returns the texts of the events of a kind about a machine.
func (w *world) texts(kind lab.EventKind, node string) (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == kind && e.Node == node {
			out = append(out, e.Text)
		}
	}
	return out
}

func TestConformance(t *testing.T) {
	labtest.TestProvider(t, func(t *testing.T) (lab.Provider, lab.Plan) {
		t.Parallel()
		w := newWorld(t)
		p := struct {
			lab.Provider
			labtest.Dialer
		}{New(w.options()), w}
		w.plan.Nodes = w.plan.Nodes[:2]
		if w.plan.Nodes[1].IP != netip.MustParseAddr("192.168.59.2") {
			t.Fatalf("nodes %v", w.plan.Nodes)
		}
		return p, w.plan
	})
}
