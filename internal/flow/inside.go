package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/scenarios"
)

// replyPatience is how long a machine waits for an answer before it calls the
// other side silent.
const replyPatience = time.Second

// Ask lets one machine send a request. It travels through the machine's SSH
// server, which dials: what a cut keeps from the machine, it keeps from this.
func (v *live) Ask(ctx context.Context, from, url string) (scenarios.Reply, error) {
	host, err := v.host(ctx, from)
	if err != nil {
		return scenarios.Reply{}, fmt.Errorf("ask from %s: %w", from, err)
	}
	ctx, cancel := context.WithTimeout(ctx, replyPatience)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return host.Dial(ctx, network, addr)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return scenarios.Reply{}, fmt.Errorf("ask %s: %w", url, err)
	}
	req.Header.Set("User-Agent", "lab-inside")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err == nil {
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	}
	switch {
	case err == nil:
		return scenarios.Reply{Status: resp.StatusCode, Task: resp.Header.Get("X-Lab-Task")}, nil
	case ctx.Err() != nil || isTimeout(err):
		return scenarios.Reply{}, fmt.Errorf("%s waits for %s: %w", from, url, os.ErrDeadlineExceeded)
	}
	if strings.Contains(err.Error(), "refused") { // sshd passes it on in words
		err = errors.Join(syscall.ECONNREFUSED, err)
	}
	return scenarios.Reply{}, fmt.Errorf("%s asks: %w", from, err)
}

// File reads a file of a machine.
func (v *live) File(ctx context.Context, node, name string) ([]byte, error) {
	host, err := v.host(ctx, node)
	if err != nil {
		return nil, err
	}
	return host.ReadFile(ctx, name)
}

// Forget removes a folder of /var/lib in which an app of lab's own has kept
// something.
func (v *live) Forget(ctx context.Context, node, folder string) error {
	name, own := strings.CutPrefix(folder, "/var/lib/lab-")
	if !own || name == "" || strings.ContainsAny(name, "/.") {
		return fmt.Errorf("%w: %s is no folder of an app of lab's own", lab.ErrUsage, folder)
	}
	host, err := v.host(ctx, node)
	if err != nil {
		return err
	}
	words := []string{"rm", "-rf", folder}
	if !host.Root() {
		words = append([]string{"sudo", "-n"}, words...)
	}
	_, err = host.Run(ctx, provision.Quote(words...), nil)
	return err
}
