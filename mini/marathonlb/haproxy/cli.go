package haproxy

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

const (
	cliTimeout = 5 * time.Second
	cliLongest = 64 << 20
)

// cli is one of HAProxy's command lines: the master's, or the worker's.
type cli struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	path string
}

// ask sends one command and returns the answer.
func (c cli) ask(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, cliTimeout)
	defer cancel()
	conn, err := c.dial(ctx, "unix", c.path)
	if err != nil {
		return "", fmt.Errorf("haproxy, %s: %w", command, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", fmt.Errorf("haproxy, %s: %w", command, err)
	}
	// The master's command line closes only when we have.
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return "", fmt.Errorf("haproxy, %s: %w", command, err)
		}
	}
	answer, err := io.ReadAll(io.LimitReader(conn, cliLongest))
	if err != nil {
		return "", fmt.Errorf("haproxy, %s: %w", command, errors.Join(err, context.Cause(ctx)))
	}
	return string(answer), nil
}

// field is a value of "show info", or "".
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// parseWorkers reads the pids of workers, also the old ones that still have
// connections, out of "show proc". The master is none of them.
func parseWorkers(proc string) []int {
	var pids []int
	for line := range strings.Lines(proc) {
		words := strings.Fields(line)
		if len(words) < 2 || words[1] != "worker" {
			continue
		}
		if pid, err := strconv.Atoi(words[0]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parseStat reads "show stat". Columns go by their names in the first line.
func parseStat(text string) ([]proxy.Stat, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# ")))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	lines, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read HAProxy's statistics: %w", err)
	}
	if len(lines) == 0 || len(lines[0]) < 2 || lines[0][0] != "pxname" || lines[0][1] != "svname" {
		return nil, errors.New("read HAProxy's statistics: the first line does not name pxname and svname")
	}
	var rows []proxy.Stat
	for _, line := range lines[1:] {
		row := proxy.Stat{}
		for i, column := range lines[0] {
			if column != "" && i < len(line) && line[i] != "" {
				row[column] = line[i]
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}
