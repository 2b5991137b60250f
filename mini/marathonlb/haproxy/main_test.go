package haproxy

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
	"github.com/mesoslab/lab/mini/supervise"
)

// TestMain makes this test binary the supervisor, and a process that runs a
// HAProxy until it is killed: "serve ROOT IP" prints the workers, "few ROOT IP
// SERVER" has few descriptors (serveWithFew).
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || strings.HasPrefix(os.Args[1], "-") {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "mini":
		os.Exit(supervise.Run(os.Args[3:], os.Environ(), os.Stderr))
	case "serve", "few":
		if err := serveUntilKilled(os.Args[2], os.Args[3], os.Args[4:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func serveUntilKilled(root, ip string, server []string) error {
	ctx := context.Background()
	if len(server) > 0 {
		if err := takeFew(); err != nil {
			return err
		}
	}
	env := envAt(root, ip)
	p, err := Find(ctx, env, "auto")
	if err != nil {
		return err
	}
	h, err := Start(ctx, env, Options{Program: p, Folder: folder, Limits: proxy.DefaultLimits(), Log: func(string, ...any) {}})
	if err != nil {
		return err
	}
	if len(server) > 0 {
		serveWithFew(ctx, h, server[0])
		select {}
	}
	pids, err := h.Pids(ctx)
	if err != nil {
		return err
	}
	fmt.Println(pids[0])
	select {}
}

const folder = "/run/lb"

// envAt is a machine with an address on loopback.
func envAt(root, ip string) mini.Env {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: 5 * time.Second}
	return mini.Env{
		Root: root, Environ: os.Environ(), Children: supervise.NewPlain(self),
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			if host == "" || host == "127.0.0.1" {
				host = ip
			}
			return (&net.ListenConfig{}).Listen(ctx, network, net.JoinHostPort(host, port))
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if network == "unix" {
				return (&net.Dialer{}).DialContext(ctx, network, filepath.Join(root, address))
			}
			return d.DialContext(ctx, network, address)
		},
	}
}
