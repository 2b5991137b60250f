//go:build unix

package local

import (
	"context"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/mesoslab/lab/internal/atomicfile"
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
	var c net.ListenConfig
	c.SetMultipathTCP(false) // as programs that are not Go's
	l, err := c.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err == nil {
		err = atomicfile.Write(file+".address", []byte(l.Addr().String()), 0o600)
	}
	if err != nil {
		panic(err)
	}
	if err := atomicfile.Write(file, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		panic(err)
	}
	select {}
}
