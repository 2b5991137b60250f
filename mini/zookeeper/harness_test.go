package zookeeper

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// output collects what a server prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// running is a server that Run runs.
type running struct {
	addr string
	root string
	out  *output
	err  *output
	end  func() int // ends the server and returns its exit code
}

// start runs a server whose container's root is root. listen is its network.
func start(t *testing.T, root string, listen func(context.Context, string, string) (net.Listener, error), args ...string) *running {
	t.Helper()
	return startOn(t, nil, root, listen, args...)
}

// startOn is start on a disk, see store.Options.
func startOn(t *testing.T, before func() error, root string, listen func(context.Context, string, string) (net.Listener, error), args ...string) *running {
	t.Helper()
	r := &running{root: root, out: &output{}, err: &output{}}
	bound, code := make(chan string, 1), make(chan int, 1)
	ctx, cancel := context.WithCancel(context.Background())
	env := mini.Env{
		Args: args, Root: root, Hostname: "node1", Stdout: r.out, Stderr: r.err,
		Listen: func(ctx context.Context, network, addr string) (net.Listener, error) {
			ln, err := listen(ctx, network, addr)
			if err == nil {
				bound <- ln.Addr().String()
			}
			return ln, err
		},
	}
	go func() { code <- OnDisk(before)(ctx, env) }()
	var once sync.Once
	var exit int
	r.end = func() int {
		once.Do(func() {
			cancel()
			exit = <-code
		})
		return exit
	}
	select {
	case r.addr = <-bound:
	case exit = <-code:
		once.Do(cancel)
	}
	t.Cleanup(func() {
		if c := r.end(); c != 0 && !t.Failed() && r.addr != "" {
			t.Errorf("exit code %d\n%s%s", c, r.out, r.err)
		}
		if t.Failed() {
			t.Logf("server:\n%s%s", r.out, r.err)
		}
	})
	return r
}

func loopback(context.Context, string, string) (net.Listener, error) {
	return net.Listen("tcp", "127.0.0.1:0")
}

// image copies a live server's files: what a killed process leaves.
func (r *running) image(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(r.root)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// zooCfg writes a zoo.cfg into the root of a container.
func zooCfg(t *testing.T, root, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, "conf"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "conf", "zoo.cfg"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// client is a zk.Conn with its session events.
type client struct {
	*zk.Conn
	events <-chan zk.Event
}

// dial connects a client, on the loopback interface or from a host, and waits
// for its session.
func dial(t *testing.T, addr string, timeout time.Duration, from *labtest.Host) *client {
	t.Helper()
	dialer := net.DialTimeout
	if from != nil {
		dialer = func(network, addr string, timeout time.Duration) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			return from.Dial(ctx, network, addr)
		}
	}
	// A channel of our own: zk drops events when its own, of six, is full.
	// "Connecting" comes each second while the server is away.
	events := make(chan zk.Event, 1000)
	c, _, err := zk.Connect([]string{addr}, timeout, zk.WithDialer(dialer), zk.WithLogger(quiet{}),
		zk.WithEventCallback(func(e zk.Event) {
			if e.State != zk.StateConnecting {
				events <- e
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl := &client{c, events}
	cl.await(t, zk.StateHasSession)
	return cl
}

// await takes session events until a state is reached.
func (c *client) await(t *testing.T, want zk.State) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case e := <-c.events:
			if e.Type == zk.EventSession && e.State == want {
				return
			}
		case <-deadline:
			t.Fatalf("never %v", want)
		}
	}
}

func (c *client) create(t *testing.T, path string, flags int32) string {
	t.Helper()
	p, err := c.Create(path, []byte(path), flags, zk.WorldACL(zk.PermAll))
	if err != nil {
		t.Fatalf("create %s: %v", path, err)
	}
	return p
}

func (c *client) there(t *testing.T, path string) bool {
	t.Helper()
	ok, _, err := c.Exists(path)
	if err != nil {
		t.Fatalf("exists %s: %v", path, err)
	}
	return ok
}

// event takes the event of a watch.
func event(t *testing.T, ch <-chan zk.Event, want zk.EventType, path string) {
	t.Helper()
	select {
	case e := <-ch:
		if e.Type != want || e.Path != path {
			t.Errorf("got %v of %s, want %v of %s (%v)", e.Type, e.Path, want, path, e.Err)
		}
	case <-time.After(time.Minute):
		t.Fatalf("no %v of %s", want, path)
	}
}

// raw is a connection that speaks packets.
type raw struct {
	t  *testing.T
	nc net.Conn
}

func rawDial(t *testing.T, addr string) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &raw{t, nc}
}

func (r *raw) send(encode ...interface{ Encode(*jute.Encoder) }) {
	r.t.Helper()
	var e jute.Encoder
	e.Int32(0)
	for _, v := range encode {
		v.Encode(&e)
	}
	b := e.Bytes()
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := r.nc.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// packet reads one packet; io.EOF is the end.
func (r *raw) packet() (*jute.Decoder, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r.nc, head); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head))
	_, err := io.ReadFull(r.nc, b)
	return jute.NewDecoder(b), err
}

// reply reads one reply or event.
func (r *raw) reply() (jute.ReplyHeader, *jute.Decoder) {
	r.t.Helper()
	d, err := r.packet()
	if err != nil {
		r.t.Fatal(err)
	}
	var h jute.ReplyHeader
	h.Decode(d)
	return h, d
}

type connected struct {
	timeout  int32
	session  int64
	password []byte
	rest     int
}

func (r *raw) connect(req jute.ConnectRequest) connected {
	r.t.Helper()
	r.send(req)
	d, err := r.packet()
	if err != nil {
		r.t.Fatal(err)
	}
	d.Int32()
	c := connected{timeout: d.Int32(), session: d.Int64(), password: d.Buffer()}
	c.rest = d.Len()
	return c
}

// ended fails the test unless the server has closed the connection.
func (r *raw) ended() {
	r.t.Helper()
	if d, err := r.packet(); err == nil {
		r.t.Errorf("still open: %d bytes", d.Len())
	} else if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
		r.t.Errorf("still open: %v", err)
	}
}
