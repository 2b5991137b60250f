package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// nodePrefix precedes the sequence number in a candidate's node.
const nodePrefix = "json.info_"

// Options are what Open needs besides the URL.
type Options struct {
	// Dial opens a TCP connection, as mini.Env.Dial does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// SessionTimeout is ZooKeeper's session time-out; 0 means 10 s.
	SessionTimeout time.Duration
	// Logf, if set, is told about connections and sessions.
	Logf func(format string, args ...any)
}

// ZooKeeper is a Group in a ZooKeeper.
type ZooKeeper struct {
	url     URL
	timeout time.Duration
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	logf    func(format string, args ...any)
	running sync.WaitGroup // counted up by start, and by what is counted

	mu      sync.Mutex
	ended   bool // the sessions are over: nothing is started any more
	live    *session
	dropped chan struct{} // closed when live is given up
	changed chan struct{} // closed when live changes
}

var _ Group = (*ZooKeeper)(nil)

// Open returns the group at the URL (see ParseURL) and connects in the
// background until ctx ends. The only error is a bad URL: servers that are
// not there yet are waited for.
func Open(ctx context.Context, url string, o Options) (*ZooKeeper, error) {
	u, err := ParseURL(url)
	if err != nil {
		return nil, err
	}
	z := &ZooKeeper{url: u, timeout: o.SessionTimeout, dial: o.Dial, logf: o.Logf, changed: make(chan struct{})}
	if z.timeout <= 0 {
		z.timeout = 10 * time.Second
	}
	if z.logf == nil {
		z.logf = func(string, ...any) {}
	}
	z.running.Go(func() {
		z.sessions(ctx)
		z.mu.Lock()
		z.ended = true
		z.mu.Unlock()
	})
	return z, nil
}

// errEnded: the context of Open has ended.
var errEnded = errors.New("the connection to ZooKeeper has been given up")

// start runs fn, and Wait waits for it. False: everything has ended, and Wait
// may have returned.
func (z *ZooKeeper) start(fn func()) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.ended {
		return false
	}
	z.running.Go(fn)
	return true
}

// Wait returns when everything has ended that Open started, about a second
// after its context at the latest: a session is closed politely.
func (z *ZooKeeper) Wait() { z.running.Wait() }

// Contend implements Group.
func (z *ZooKeeper) Contend(ctx context.Context, m Master) (<-chan struct{}, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode master info: %w", err)
	}
	for {
		s, err := z.current(ctx)
		if err != nil {
			return nil, fmt.Errorf("contend: %w", err)
		}
		node, err := z.enter(s, data)
		if err == nil {
			lost := make(chan struct{})
			if !z.start(func() { z.guard(ctx, s, node, lost) }) {
				return nil, fmt.Errorf("contend: %w", errEnded)
			}
			return lost, nil
		}
		z.giveUp(s, fmt.Errorf("contend: %w", err))
		select {
		case <-s.lost:
		case <-ctx.Done():
		}
	}
}

func (z *ZooKeeper) enter(s *session, data []byte) (node string, err error) {
	if err := z.mkdirAll(s); err != nil {
		return "", err
	}
	return s.conn.Create(path.Join(z.url.Path, nodePrefix), data, zk.FlagEphemeral|zk.FlagSequence, z.acl())
}

// guard closes lost when node is gone, and removes node when ctx ends.
func (z *ZooKeeper) guard(ctx context.Context, s *session, node string, lost chan struct{}) {
	defer close(lost)
	for {
		exists, _, events, err := s.conn.ExistsW(node)
		if err != nil {
			// The library comes back to the same session, or the session
			// ends; a node we cannot see counts as ours until then.
			select {
			case <-s.lost:
				return
			case <-time.After(z.timeout / 10):
				continue
			case <-ctx.Done():
				return
			}
		}
		if !exists {
			return
		}
		select {
		case <-events:
		case <-s.lost:
			return
		case <-ctx.Done():
			s.conn.Delete(node, -1)
			return
		}
	}
}

func (z *ZooKeeper) mkdirAll(s *session) error {
	p := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(z.url.Path, "/"), "/") {
		p += "/" + part
		if _, err := s.conn.Create(p, nil, 0, z.acl()); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return fmt.Errorf("create %s: %w", p, err)
		}
	}
	return nil
}

// acl lets everyone read and, where the URL names a user, only that user
// write, as Mesos does.
func (z *ZooKeeper) acl() []zk.ACL {
	if z.url.Auth == "" {
		return zk.WorldACL(zk.PermAll)
	}
	return append(zk.AuthACL(zk.PermAll), zk.WorldACL(zk.PermRead)...)
}

// Detect implements Group.
func (z *ZooKeeper) Detect(ctx context.Context, previous Master) (Master, error) {
	for {
		leader, changed, err := z.look(ctx, previous)
		if err != nil {
			return Master{}, fmt.Errorf("detect leader: %w", err)
		}
		if leader != previous {
			return leader, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Master{}, fmt.Errorf("detect leader: %w", context.Cause(ctx))
		}
	}
}

// look returns the present leader and a channel that tells when to look
// again. Without a session nobody leads; before the first answer of a new
// session the previous leader stays.
func (z *ZooKeeper) look(ctx context.Context, previous Master) (Master, <-chan struct{}, error) {
	z.mu.Lock()
	s, changed := z.live, z.changed
	z.mu.Unlock()
	if s == nil {
		return Master{}, changed, ctx.Err()
	}
	leader, events, err := z.leader(s)
	again := make(chan struct{})
	started := z.start(func() {
		defer close(again)
		var retry <-chan time.Time
		if err != nil {
			retry = time.After(z.timeout / 10)
		}
		select {
		case <-retry:
		case <-events:
		case <-s.lost:
		case <-ctx.Done():
		}
	})
	if !started {
		return Master{}, nil, errEnded
	}
	if err != nil {
		z.logf("zookeeper: detect leader: %v", err)
		return previous, again, ctx.Err()
	}
	return leader, again, ctx.Err()
}

func (z *ZooKeeper) leader(s *session) (Master, <-chan zk.Event, error) {
	if err := z.mkdirAll(s); err != nil {
		return Master{}, nil, err
	}
	children, _, events, err := s.conn.ChildrenW(z.url.Path)
	if err != nil {
		return Master{}, nil, fmt.Errorf("list %s: %w", z.url.Path, err)
	}
	first := lowest(children)
	if first == "" {
		return Master{}, events, nil
	}
	data, _, err := s.conn.Get(path.Join(z.url.Path, first))
	if err != nil { // gone in between, or no connection: look again
		return Master{}, nil, fmt.Errorf("read %s: %w", first, err)
	}
	m, err := parseMaster(data)
	if err != nil {
		z.logf("zookeeper: %s: %v", first, err)
		return Master{}, events, nil
	}
	return m, events, nil
}

// lowest returns the candidate with the smallest sequence number, or "".
func lowest(children []string) string {
	best, bestSeq := "", uint64(0)
	for _, c := range children {
		digits, ok := strings.CutPrefix(c, nodePrefix)
		if !ok {
			continue
		}
		seq, err := strconv.ParseUint(digits, 10, 64)
		if err == nil && (best == "" || seq < bestSeq) {
			best, bestSeq = c, seq
		}
	}
	return best
}
