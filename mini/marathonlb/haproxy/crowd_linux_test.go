package haproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// few is how many descriptors the HAProxy of TestFewDescriptors may have.
const few = 1000

func takeFew() error {
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: few, Max: few})
}

// serveWithFew runs a HAProxy with two ports and more checked servers than
// descriptors would suffice for, were they not counted. It prints what HAProxy
// says it can take, and the answer to its first reload.
func serveWithFew(ctx context.Context, h *HAProxy, server string) {
	text := "  maxconn 10000\n  timeout connect 3s\n  timeout client 30s\n  timeout server 30s\n  timeout http-request 30s\n"
	var frontends []proxy.Frontend
	for _, port := range []string{"10000", "10001"} {
		frontends = append(frontends, proxy.Frontend{Name: "web" + port, Bind: "*:" + port, Mode: proxy.HTTP, Backend: "web"})
		text += "\nfrontend web" + port + "\n  bind *:" + port + "\n  mode http\n  use_backend web\n"
	}
	text += "\nbackend web\n  mode http\n  server real " + server + "\n\nbackend many\n"
	for i := range 300 {
		text += fmt.Sprintf("  server s%d %s check inter 60s\n", i, server)
	}
	err := h.Apply(ctx, frontends, text)
	info, _ := h.worker.ask(ctx, "show info")
	fmt.Println(field(info, "Maxconn"), field(info, "Maxsock"), err)
}

// asNobody takes root's rights from a program, whose HAProxy would take more
// descriptors than it may have. It gets a copy of its own in a folder that it
// may use.
func asNobody(t *testing.T) func(cmd *exec.Cmd, folder string) {
	if os.Getuid() != 0 {
		return nil
	}
	return func(cmd *exec.Cmd, folder string) {
		if err := os.Chmod(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(folder, "lab.test")
		if err := exec.Command("cp", cmd.Path, other).Run(); err != nil {
			t.Fatal(err)
		}
		cmd.Path = other
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
}

// TestFewDescriptors: however few there are, HAProxy starts, and a crowd at one
// port is no other port's.
func TestFewDescriptors(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	prefix := strings.TrimSuffix(labtest.Subnet(t), "0/24")
	r := &rig{t: t, prefix: prefix}
	server := r.web("2", nil)
	_, line := inProcess(t, asNobody(t), "few", prefix+"1", server)
	var clients, sockets int
	var reload string
	if _, err := fmt.Sscan(line, &clients, &sockets, &reload); err != nil || reload != "<nil>" || clients < 200 || sockets > few {
		t.Fatalf("HAProxy takes %q, %v", line, err)
	}
	var crowd []net.Conn
	for range clients + 50 {
		c, err := net.Dial("tcp", prefix+"1:10000")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET / HT"); err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
	}
	for range 20 {
		if body, err := r.get(10001); err != nil || body != "2" {
			t.Fatalf("another port, with %d at the first: %q, %v", len(crowd), body, err)
		}
	}
	for _, c := range crowd {
		c.Close()
	}
	r.until("the first port to answer when they have gone", func() bool {
		body, err := r.get(10000)
		return err == nil && body == "2"
	})
}
