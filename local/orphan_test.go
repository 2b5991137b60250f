//go:build unix

package local

import (
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/mesoslab/lab/local/folder"
)

// startOrphan starts a process that nobody waits for, in a session of its own.
func startOrphan() error {
	cmd := exec.Command("/bin/sleep", "1000000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}

// foreign are programs that are not lab's own: "hang FILE" ignores SIGTERM and
// never ends, "daemon FILE" starts one in a session of its own, without any
// environment, and ends.
func foreign(word, file string) int {
	if word == "daemon" {
		cmd := exec.Command(os.Args[0], "hang", file)
		cmd.Env, cmd.SysProcAttr = []string{}, &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		return 0
	}
	signal.Ignore(syscall.SIGTERM)
	if err := folder.Replace(file, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		panic(err)
	}
	select {}
}
