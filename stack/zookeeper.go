package stack

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ZooKeeper asks a server with four-letter words.
type ZooKeeper struct {
	Addr string // host:port
	Dial DialFunc
}

// Word sends a four-letter word and returns the answer.
func (z *ZooKeeper) Word(ctx context.Context, word string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := z.Dial(ctx, "tcp", z.Addr)
	if err != nil {
		return nil, fmt.Errorf("zookeeper %s: %w", word, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)); conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, word); err != nil {
		return nil, fmt.Errorf("zookeeper %s: %w", word, err)
	}
	data, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("zookeeper %s: %w", word, err)
	}
	return data, nil
}

// OK returns nil if the server answers ruok with imok. Servers from 3.5 on may
// have the word forbidden; that they say so is an answer, too.
func (z *ZooKeeper) OK(ctx context.Context) error {
	answer, err := z.Word(ctx, "ruok")
	if err != nil {
		return err
	}
	return imOK(answer)
}

func imOK(answer []byte) error {
	if bytes.Equal(answer, []byte("imok")) || bytes.Contains(answer, []byte("not in the whitelist")) {
		return nil
	}
	if len(answer) == 0 {
		return fmt.Errorf("zookeeper ruok: no answer")
	}
	return fmt.Errorf("zookeeper ruok: answer %.40q", answer)
}

// ServerInfo is what srvr says.
type ServerInfo struct {
	Version     string `json:"version"`
	Mode        string `json:"mode"` // standalone, leader, follower
	Zxid        string `json:"zxid"`
	Connections int    `json:"connections"`
	Nodes       int    `json:"nodes"`
}

// Server asks srvr.
func (z *ZooKeeper) Server(ctx context.Context) (ServerInfo, error) {
	answer, err := z.Word(ctx, "srvr")
	if err != nil {
		return ServerInfo{}, err
	}
	return parseSrvr(answer)
}

// parseSrvr reads "key: value" lines; 3.4 and 3.8 agree on those used here.
func parseSrvr(answer []byte) (ServerInfo, error) {
	var s ServerInfo
	lines := bufio.NewScanner(bytes.NewReader(answer))
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ": ")
		if !ok {
			continue
		}
		switch value = strings.TrimSpace(value); key {
		case "Zookeeper version":
			s.Version, _, _ = strings.Cut(value, ",")
			s.Version, _, _ = strings.Cut(s.Version, "--")
			s.Version, _, _ = strings.Cut(s.Version, "-")
		case "Mode":
			s.Mode = value
		case "Zxid":
			s.Zxid = value
		case "Connections":
			s.Connections, _ = strconv.Atoi(value)
		case "Node count":
			s.Nodes, _ = strconv.Atoi(value)
		}
	}
	if s.Mode == "" {
		return ServerInfo{}, fmt.Errorf("zookeeper srvr: no mode in answer %.60q", answer)
	}
	return s, nil
}
