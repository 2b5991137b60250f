package config

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parser reads typed flags and keeps the first error.
type parser struct {
	flags map[string]string
	err   error
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *parser) check(ok bool, format string, args ...any) {
	if !ok {
		p.fail(fmt.Errorf(format, args...))
	}
}

func (p *parser) boolean(name string) bool {
	switch p.flags[name] {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	p.fail(fmt.Errorf("failed to load flag %q: expecting a boolean (true or false), not %q", name, p.flags[name]))
	return false
}

func (p *parser) duration(name string) time.Duration {
	d, err := ParseDuration(p.flags[name])
	if err == nil && d < 0 {
		err = errors.New("it is negative")
	}
	if err != nil {
		p.fail(fmt.Errorf("failed to load flag %q: %w", name, err))
	}
	return d
}

func (p *parser) integer(name string, most int) int {
	n, err := strconv.Atoi(p.flags[name])
	if err != nil || n < 0 || n > most {
		p.fail(fmt.Errorf("failed to load flag %q: want a number from 0 to %d, not %q", name, most, p.flags[name]))
	}
	return n
}

// share reads a number from 0 to 1.
func (p *parser) share(name string) float64 {
	f, err := strconv.ParseFloat(p.flags[name], 64)
	if err != nil || !(f >= 0 && f <= 1) {
		p.fail(fmt.Errorf("failed to load flag %q: want a number from 0 to 1, not %q", name, p.flags[name]))
	}
	return f
}

// bytes reads a size as Mesos writes it: 512B, 64KB, 10MB, 2GB, 1TB, each unit
// 1024 of the one before.
func (p *parser) bytes(name string) int64 {
	text := p.flags[name]
	unit := int64(1)
	for _, u := range []string{"B", "KB", "MB", "GB", "TB"} {
		digits, ok := strings.CutSuffix(text, u)
		n, err := strconv.ParseInt(digits, 10, 64)
		if ok && err == nil && n >= 0 && n <= math.MaxInt64/unit {
			return n * unit
		}
		unit *= 1024
	}
	p.fail(fmt.Errorf("failed to load flag %q: want a whole number of B, KB, MB, GB or TB, as in 2GB, not %q", name, text))
	return 0
}

// checkAll refuses what single flags cannot mean.
func (p *parser) checkAll(c *Config) {
	p.check(p.flags["master"] != "", "missing required flag \"master\" (zk://host:port/path or host:port)")
	p.check(path.IsAbs(c.WorkDir), "work_dir %q must be an absolute path", c.WorkDir)
	p.check(p.flags["default_role"] != "", "default_role must not be empty")
	p.check(path.IsAbs(c.FetcherCacheDir), "fetcher_cache_dir %q must be an absolute path", c.FetcherCacheDir)
	p.check(c.LogDir == "" || path.IsAbs(c.LogDir), "log_dir %q must be an absolute path", c.LogDir)
	p.check(c.DiskWatchInterval > 0, "disk_watch_interval must be longer than 0")
	p.check(slices.Contains([]string{"reconnect", "cleanup"}, p.flags["recover"]), "unknown recover mode %q: want reconnect or cleanup", p.flags["recover"])
	for _, name := range c.Containerizers {
		p.check(name == "docker" || name == "mesos", "could not create containerizer %q: want docker or mesos", name)
	}
}
