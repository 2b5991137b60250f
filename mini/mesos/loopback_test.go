package mesos

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/mesoslab/lab/mini"
)

// TestLoopback is one look at a master on real sockets: what curl sees.
func TestLoopback(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr, code := make(chan string, 1), make(chan int, 1)
	env := mini.Env{
		Args: []string{"mesos-master", "--ip=127.0.0.1", "--port=0", "--work_dir=/var/lib/mesos", "--hostname_lookup=false"},
		Root: t.TempDir(), Stdout: io.Discard, Stderr: io.Discard,
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			l, err := new(net.ListenConfig).Listen(ctx, network, address)
			if err == nil {
				addr <- l.Addr().String()
			}
			return l, err
		},
		Dial: new(net.Dialer).DialContext,
	}
	go func() { code <- Run(ctx, env) }()
	at := <-addr
	await(t, "an elected master", func() bool {
		resp, err := http.Get("http://" + at + "/state.json")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == 200 && strings.Contains(string(b), `"activated_slaves":0.0`) &&
			strings.Contains(string(b), `"pid":"master@`+at+`"`)
	})
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d", c)
	}
}
