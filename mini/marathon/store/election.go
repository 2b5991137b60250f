package store

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// retryCandidacy is the pause after a failed step of a candidacy.
const retryCandidacy = 200 * time.Millisecond

// Leader is host:port of the current leader as last seen.
func (z *ZooKeeper) Leader() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.leader
}

// Abdicate ends our leadership, if we lead; the candidacy starts again at
// the end of the line.
func (z *ZooKeeper) Abdicate() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.depose != nil {
		z.depose()
	}
}

// Run is a candidate until ctx ends; see Election.
func (z *ZooKeeper) Run(ctx context.Context, lead func(context.Context)) error {
	for ctx.Err() == nil {
		if err := z.candidacy(ctx, lead); err != nil && ctx.Err() == nil {
			z.cfg.Log("leader election: %v", err)
			z.setLeader("")
			select {
			case <-ctx.Done():
			case <-time.After(retryCandidacy):
			}
		}
	}
	return ctx.Err()
}

// candidacy holds one ephemeral node from its creation to its end.
func (z *ZooKeeper) candidacy(ctx context.Context, lead func(context.Context)) error {
	if err := z.awaitSession(ctx); err != nil {
		return err
	}
	dir := path.Join(z.cfg.URL.Path, "leader")
	if err := z.withdrawRemains(ctx, dir); err != nil {
		return err
	}
	z.mu.Lock()
	session := z.expired
	z.mu.Unlock()
	mine, err := z.offer(ctx, dir)
	if err != nil {
		return err
	}
	defer func() {
		// Ends the candidacy for the others, too. What fails is left to the next.
		_ = z.withdraw(context.WithoutCancel(ctx), mine)
	}()
	for {
		first, watch, err := z.first(ctx, dir)
		if err != nil {
			return err
		}
		if first == path.Base(mine) {
			z.setLeader(z.cfg.Address)
			z.term(ctx, session, lead)
			z.setLeader("")
			return nil
		}
		if err := z.follow(ctx, dir, first, mine, session, watch); err != nil {
			return err
		}
	}
}

func (z *ZooKeeper) withdraw(ctx context.Context, node string) error {
	err := z.do(ctx, "withdraw candidacy", func() error { return z.conn.Delete(node, -1) })
	if errors.Is(err, ErrNotFound) { // a lost session took it along
		return nil
	}
	return err
}

// withdrawRemains removes nodes of candidacies that ended, or began, while
// ZooKeeper was away: a session goes on over its server's restart, and of a node
// that was made when the connection broke nobody has told us the name. Nobody
// watches them, and they would stand in front of all others as long as our
// session lives.
func (z *ZooKeeper) withdrawRemains(ctx context.Context, dir string) error {
	names, err := z.candidates(ctx, dir)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		node := path.Join(dir, name)
		owner := make(chan int64, 1)
		err := z.do(ctx, "look at a candidacy", func() error {
			_, stat, err := z.conn.Exists(node)
			if err == nil {
				owner <- stat.EphemeralOwner
			}
			return err
		})
		if err == nil && <-owner == z.conn.SessionID() {
			err = z.withdraw(ctx, node)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (z *ZooKeeper) candidates(ctx context.Context, dir string) ([]string, error) {
	names := make(chan []string, 1)
	err := z.do(ctx, "look for candidacies", func() error {
		all, _, err := z.conn.Children(dir)
		if err == nil {
			names <- slices.DeleteFunc(all, notCandidate)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-names, nil
}

func notCandidate(name string) bool { return !strings.HasPrefix(name, "member_") }

// offer makes our candidate node. One whose making took longer than anybody
// waited is removed as soon as it is there: nobody would watch it, and it would
// keep all others from leading as long as our session lives.
func (z *ZooKeeper) offer(ctx context.Context, dir string) (string, error) {
	var mu sync.Mutex
	var made string
	var late bool
	withdraw := func(node string) { _ = z.conn.Delete(node, -1) } // a session that is lost took it along
	err := z.do(ctx, "offer candidacy", func() error {
		if err := z.ensure(dir); err != nil {
			return err
		}
		mu.Lock()
		given := late
		mu.Unlock()
		if given {
			return context.DeadlineExceeded // nobody waits for it, or looks for it, any more
		}
		node, err := z.conn.Create(dir+"/member_", []byte(z.cfg.Address), zk.FlagEphemeral|zk.FlagSequence, zk.WorldACL(zk.PermAll))
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if made = node; late {
			withdraw(node)
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if err != nil {
		if late = true; made != "" {
			go withdraw(made)
		}
		return "", err
	}
	return made, nil
}

// follow notes who leads and waits until the line of candidates changes.
func (z *ZooKeeper) follow(ctx context.Context, dir, first, mine string, session int, watch <-chan zk.Event) error {
	var data []byte
	err := z.do(ctx, "read leader", func() (err error) {
		data, _, err = z.conn.Get(dir + "/" + first)
		return err
	})
	if err == nil {
		z.setLeader(string(data))
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	for {
		z.mu.Lock()
		changed, lost := z.changed, z.expired != session
		z.mu.Unlock()
		if lost {
			return errors.New("session expired")
		}
		if z.conn.State() != zk.StateHasSession {
			if err := z.patience(ctx, session); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-watch:
			return e.Err
		case <-changed:
		}
	}
}

// first finds the candidate with the lowest number and watches the line.
func (z *ZooKeeper) first(ctx context.Context, dir string) (string, <-chan zk.Event, error) {
	var names []string
	var watch <-chan zk.Event
	err := z.do(ctx, "look at candidates", func() (err error) {
		names, _, watch, err = z.conn.ChildrenW(dir)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	names = slices.DeleteFunc(names, notCandidate)
	if len(names) == 0 {
		return "", nil, errors.New("no candidate is left")
	}
	return slices.Min(names), watch, nil
}

// term runs lead until it returns, is deposed or the session is lost.
func (z *ZooKeeper) term(ctx context.Context, session int, lead func(context.Context)) {
	term, cancel := context.WithCancel(ctx)
	defer cancel()
	z.mu.Lock()
	z.depose = cancel
	z.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lead(term)
	}()
	for term.Err() == nil {
		z.mu.Lock()
		changed, lost := z.changed, z.expired != session
		z.mu.Unlock()
		if lost || (z.conn.State() != zk.StateHasSession && z.patience(term, session) != nil) {
			break
		}
		select {
		case <-changed:
			continue
		case <-term.Done():
		case <-done:
			cancel()
		}
	}
	cancel()
	<-done
	z.mu.Lock()
	z.depose = nil
	z.mu.Unlock()
}

// patience waits for the connection to come back, at most for the session
// time-out.
func (z *ZooKeeper) patience(ctx context.Context, session int) error {
	limit := time.NewTimer(z.cfg.Session)
	defer limit.Stop()
	for {
		z.mu.Lock()
		changed, lost := z.changed, z.expired != session
		z.mu.Unlock()
		if lost {
			return errors.New("session expired")
		}
		if z.conn.State() == zk.StateHasSession {
			return nil
		}
		select {
		case <-changed:
		case <-limit.C:
			return fmt.Errorf("no connection for %v: %w", z.cfg.Session, ErrUnavailable)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitSession waits for a session without a limit.
func (z *ZooKeeper) awaitSession(ctx context.Context) error {
	for {
		z.mu.Lock()
		changed := z.changed
		z.mu.Unlock()
		if z.conn.State() == zk.StateHasSession {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (z *ZooKeeper) setLeader(addr string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.leader = addr
}
