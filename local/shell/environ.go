package shell

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"mvdan.cc/sh/v3/expand"

	"github.com/mesoslab/lab/local/terminal"
)

// noFIFOs is a folder that cannot exist: the interpreter makes its named pipes
// in $TMPDIR as it was at the start.
const noFIFOs = "/dev/null/none"

// homes are the login directories of the users there are.
var homes = map[string]string{"root": "/root", "vagrant": "/home/vagrant"}

// environ is the environment at the start. It also answers what the
// interpreter would else look up on the computer: "HOME name" is the home of
// a user, HOME, UID, EUID and GID always have a value.
type environ struct {
	vars     map[string]string
	home     string
	starting *atomic.Bool // TMPDIR is noFIFOs until the interpreter is set up
	terminal *terminal.Terminal
}

// newEnviron is the environment of a login shell, or exactly that of the
// command which starts the shell.
func newEnviron(c Config, login bool) environ {
	home := homeOf(c.User)
	uid := "0"
	if c.User != "root" {
		uid = "1000"
	}
	e := environ{vars: map[string]string{}, starting: &atomic.Bool{}, home: home, terminal: c.Terminal}
	if login {
		e.vars = map[string]string{
			"HOME": home, "USER": c.User, "LOGNAME": c.User, "SHELL": "/bin/bash", "HOSTNAME": c.Hostname,
			"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		}
	}
	for _, pair := range c.Env {
		if k, v, ok := strings.Cut(pair, "="); ok {
			e.vars[k] = v
		}
	}
	e.vars["UID"], e.vars["EUID"], e.vars["GID"] = uid, uid, uid
	e.starting.Store(true)
	return e
}

func homeOf(user string) string {
	if h, ok := homes[user]; ok {
		return h
	}
	return "/"
}

// Get implements expand.Environ.
func (e environ) Get(name string) expand.Variable {
	if user, ok := strings.CutPrefix(name, "HOME "); ok {
		home, known := homes[user]
		if !known {
			home = "~" + user
		}
		return expand.Variable{Set: true, Kind: expand.String, Str: home}
	}
	if name == "TMPDIR" && e.starting.Load() {
		return expand.Variable{Set: true, Kind: expand.String, Str: noFIFOs}
	}
	if n := e.size(name); n != "" {
		return variable(name, n)
	}
	v, ok := e.vars[name]
	if name == "HOME" && !ok {
		return expand.Variable{Set: true, Kind: expand.String, Str: e.home}
	}
	if !ok {
		return expand.Variable{}
	}
	return variable(name, v)
}

// size is $COLUMNS or $LINES of a terminal, as of now.
func (e environ) size(name string) string {
	if e.terminal == nil {
		return ""
	}
	n := 0
	switch name {
	case "COLUMNS":
		n = e.terminal.Size().Columns
	case "LINES":
		n = e.terminal.Size().Rows
	}
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// Each implements expand.Environ.
func (e environ) Each(yield func(string, expand.Variable) bool) {
	for _, name := range []string{"COLUMNS", "LINES"} {
		if n := e.size(name); n != "" && !yield(name, variable(name, n)) {
			return
		}
	}
	for k, v := range e.vars {
		if !yield(k, variable(k, v)) {
			return
		}
	}
}

func variable(name, value string) expand.Variable {
	exported := !slices.Contains([]string{"UID", "EUID", "GID", "COLUMNS", "LINES"}, name)
	return expand.Variable{Set: true, Exported: exported, Kind: expand.String, Str: value}
}

// exported lists the variables that a command gets, by name: the interpreter
// keeps no order of its own.
func exported(env expand.Environ) []string {
	last := map[string]string{}
	for k, v := range env.Each {
		delete(last, k)
		if v.Exported && v.Kind == expand.String && v.IsSet() {
			last[k] = k + "=" + v.Str
		}
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(last)) {
		out = append(out, last[k])
	}
	return out
}
