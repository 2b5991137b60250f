package zookeeper

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesoslab/lab/internal/labtest/realzk"
)

// cliCommands are what a person would type.
const cliCommands = `create /cli data
create /cli again
create -s /cli/n- a
create -s /cli/n- b
create -e /cli/gone x
create -s -e /cli/both- y
create /cli/gone/below z
create /no/where z
ls /
ls /cli
ls -s /cli
get /cli
get -s /cli
set /cli newer
set -v 0 /cli older
set -s /cli newest
stat /cli
stat /nothing
getAcl /cli
setAcl /cli world:anyone:crwa
getAcl -s /cli
delete /cli/n-0000000001
setAcl /cli world:anyone:cdrwa
delete /cli
delete -v 7 /cli/n-0000000000
delete /cli/n-0000000000
sync /cli
get -w /cli
set /cli watched
deleteall /cli
ls /
quit
`

var (
	cliPrompt = regexp.MustCompile(`\[zk: .*\] `)
	cliVaries = regexp.MustCompile(`(?m)^((?:[cmp]Zxid|[cm]time|ephemeralOwner) = ).*$`)
	cliOwn    = regexp.MustCompile(`^(\[|SLF4J|EndOfStreamException|\tat )`) // of the client itself; it may see its own close
	cliLogs   = regexp.MustCompile(`(?m)^Connecting to .*\n`)
)

// TestZkCli types the same commands into ZooKeeper's own zkCli.sh, before this
// server and before a real one.
func TestZkCli(t *testing.T) {
	java := realzk.Need(t)
	say := func(addr string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), java, "-Djline.terminal=dumb", "-cp", realzk.Classpath, "org.apache.zookeeper.ZooKeeperMain", "-server", addr)
		cmd.Stdin = strings.NewReader(cliCommands)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil || !strings.Contains(errs.String(), "Created /cli/n-0000000001") {
			t.Fatalf("%s: %v\n%s%s", addr, err, out, errs.String())
		}
		text := cliVaries.ReplaceAllString(cliLogs.ReplaceAllString(cliPrompt.ReplaceAllString(string(out), ""), ""), "${1}*")
		var refusals []string // on stderr, between log lines of the client
		for line := range strings.Lines(errs.String()) {
			if !cliOwn.MatchString(line) {
				refusals = append(refusals, line)
			}
		}
		return text + "stderr:\n" + strings.Join(refusals, "")
	}
	ours := say(start(t, t.TempDir(), loopback).addr)
	if d := cmp.Diff(say(realzk.Start(t, "127.0.0.1:0").Addr), ours); d != "" {
		t.Errorf("zkCli.sh says other things (-real +ours):\n%s", d)
	}
}
