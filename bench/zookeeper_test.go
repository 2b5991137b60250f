//go:build linux

package bench

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest/realzk"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/zookeeper"
)

// What BenchmarkZooKeeper does.
const (
	zkClients = 16
	zkLength  = 2 * time.Second
)

// BenchmarkZooKeeper creates nodes of 100 bytes, one after the other in each of
// 16 sessions, in a lab's ZooKeeper, in ours with forceSync, and in a real one,
// in turn. The latter two flush their logs to the disk before they answer; a
// lab's writes it and leaves the flush to the system, which a killed process
// survives and a power cut need not.
func BenchmarkZooKeeper(b *testing.B) {
	realzk.Need(b)
	b.Log(machineSize())
	l := rig.New(b)
	l.Create("--fast", "--no-app")
	for _, name := range []string{"marathon", "mesos_master"} { // nobody else asks it anything
		if _, err := l.Docker(1).ContainerStop(b.Context(), name, client.ContainerStopOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	ours, flushed, theirs := in("per-s"), in("per-s"), in("per-s")
	addrs := map[*figures]string{ours: net.JoinHostPort(l.IP(1), "2181"), flushed: syncedZooKeeper(b),
		theirs: realzk.Start(b, "127.0.0.1:0").Addr}
	round := 0
	for b.Loop() {
		for range rounds {
			round++
			for f, addr := range addrs {
				f.add(creates(b, addr, "/bench-"+strconv.Itoa(round)))
			}
		}
	}
	ours.report(b, "lab")
	flushed.report(b, "lab-synced")
	theirs.report(b, "real")
	l.Must("destroy")
}

// syncedZooKeeper is ours as it is without a lab's settings.
func syncedZooKeeper(b *testing.B) (addr string) {
	b.Helper()
	bound := make(chan string, 1)
	env := mini.Env{Root: b.TempDir(), Stdout: io.Discard, Stderr: io.Discard,
		Listen: func(context.Context, string, string) (net.Listener, error) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err == nil {
				bound <- ln.Addr().String()
			}
			return ln, err
		}}
	ctx, cancel := context.WithCancel(b.Context())
	var server sync.WaitGroup
	server.Go(func() { zookeeper.Run(ctx, env) })
	b.Cleanup(func() { cancel(); server.Wait() })
	return <-bound
}

// creates returns how many nodes below top a server takes in a second.
func creates(b *testing.B, addr, top string) float64 {
	b.Helper()
	var conns []*zk.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range zkClients {
		c, events, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogInfo(false))
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c)
		go func() {
			for range events { // the library wants them read
			}
		}()
	}
	data, acl := make([]byte, 100), zk.WorldACL(zk.PermAll)
	if _, err := conns[0].Create(top, nil, 0, acl); err != nil {
		b.Fatal(err)
	}
	for _, c := range conns { // all sessions stand
		if _, _, err := c.Exists(top); err != nil {
			b.Fatal(err)
		}
	}
	var done atomic.Int64
	failed := make(chan error, zkClients)
	start := time.Now()
	var all sync.WaitGroup
	for i, c := range conns {
		all.Go(func() {
			for n := 0; time.Since(start) < zkLength; n++ {
				if _, err := c.Create(top+"/"+strconv.Itoa(i)+"-"+strconv.Itoa(n), data, 0, acl); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	if len(failed) > 0 {
		b.Fatal(<-failed)
	}
	return float64(done.Load()) / time.Since(start).Seconds()
}
