package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

// ZooKeeper detects the leading master in ZooKeeper: the json.info_ node
// with the lowest sequence number under Path.
type ZooKeeper struct {
	Conn *zk.Conn
	Path string // "/mesos"
	// Retry is the pause after a failed look; 0 means 500 ms.
	Retry time.Duration

	node string // of the leader that was returned last
}

// Next watches the masters' nodes. A master that was started again and elected
// anew is another one, although its address is the same.
func (z *ZooKeeper) Next(ctx context.Context, known string) (string, error) {
	retry := z.Retry
	if retry == 0 {
		retry = 500 * time.Millisecond
	}
	for {
		leader, node, watch, err := z.look()
		if err == nil && (leader != known || node != z.node) {
			z.node = node
			return leader, nil
		}
		var again <-chan time.Time
		if err != nil || watch == nil {
			again = time.After(retry)
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-watch:
		case <-again:
		}
	}
}

// look reads the leader and watches for change. A missing path means that
// no master ever was there.
func (z *ZooKeeper) look() (leader, node string, watch <-chan zk.Event, err error) {
	names, _, watch, err := z.Conn.ChildrenW(z.Path)
	if errors.Is(err, zk.ErrNoNode) {
		return "", "", nil, nil
	}
	if err != nil {
		return "", "", nil, fmt.Errorf("list masters: %w", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, "json.info_") })
	if len(names) == 0 {
		return "", "", watch, nil
	}
	node = slices.Min(names)
	data, _, err := z.Conn.Get(z.Path + "/" + node)
	if err != nil {
		return "", "", nil, fmt.Errorf("read leading master: %w", err)
	}
	leader, err = parseMaster(data)
	return leader, node, watch, err
}

// parseMaster reads a MasterInfo as masters write it (mesos-measured.md).
func parseMaster(data []byte) (string, error) {
	var m struct {
		Address struct {
			IP       string `json:"ip"`
			Hostname string `json:"hostname"`
			Port     int    `json:"port"`
		} `json:"address"`
		Hostname string `json:"hostname"`
		Port     int    `json:"port"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return "", fmt.Errorf("parse master info: %w", err)
	}
	host, port := m.Address.IP, m.Address.Port
	if host == "" {
		host = m.Address.Hostname
	}
	if host == "" {
		host = m.Hostname
	}
	if port == 0 {
		port = m.Port
	}
	if host == "" || port <= 0 || port > 65535 {
		return "", errors.New("parse master info: no address in it")
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}
