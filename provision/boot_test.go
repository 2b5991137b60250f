package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestComingUp(t *testing.T) {
	for _, tt := range []struct {
		init  Init
		state string
		want  bool
	}{
		{Systemd, "inactive enabled starting", true},
		{Systemd, "activating enabled starting", true},
		{Systemd, "activating enabled running", true},
		{Systemd, "active enabled running", true}, // it does not answer yet
		{Systemd, "inactive disabled starting", false},
		{Systemd, "inactive enabled running", false},
		{Systemd, "failed enabled starting", false},
		{Systemd, "inactive masked initializing", false},
		{Systemd, "inactive enabled degraded", false},
		{Upstart, "docker stop/waiting unknown", true},
		{Upstart, "docker stop/waiting N 2", false},
		{Upstart, "docker stop/waiting N 2 rc", true},
		{Upstart, "docker start/running, process 987 N 2", true},
		{Upstart, "docker start/pre-start, process 9 N 2", true},
		{Upstart, "initctl: Unknown job: docker N 2", false},
		{SysVinit, "unknown", true},
		{SysVinit, "N 2 rc", true},
		{SysVinit, "N 2", false},
		{SysVinit, "started N 2", true},
	} {
		if got := comingUp(tt.init, tt.state); got != tt.want {
			t.Errorf("%s says %q: coming up %v", tt.init, tt.state, got)
		}
	}
}

// TestAwaitBoot: sshd answers 20 s before the engine does.
func TestAwaitBoot(t *testing.T) {
	booting := map[Init][2]string{ // while it boots, and then
		Systemd:  {"inactive\nenabled\nstarting\n", "inactive\nenabled\nrunning\n"},
		Upstart:  {"docker stop/waiting\nunknown\n", "docker stop/waiting\nN 2\n"},
		SysVinit: {"N 2\nrc\n", "N 2\n"},
	}
	for init, says := range booting {
		for _, comes := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, comes: %v", init, comes), func(t *testing.T) {
				bubble.Test(t, func(t *testing.T) {
					h, start := newInitHost(init), time.Now()
					h.boot = func() string {
						if time.Since(start) < 20*time.Second {
							return says[0]
						}
						if comes {
							h.running = "dockerd"
						}
						return says[1]
					}
					said := 0
					got, err := AwaitBoot(t.Context(), h, Facts{Init: init, Engine: Engine{State: EngineStopped}}, func(string) { said++ })
					want := map[bool]EngineState{true: EngineRunning, false: EngineStopped}[comes]
					if err != nil || got.State != want || said == 0 {
						t.Errorf("%+v, %v, said %d", got, err, said)
					}
					if took := time.Since(start); took < 20*time.Second || took > 21*time.Second {
						t.Errorf("waited %s", took)
					}
				})
			})
		}
	}
}

func TestAwaitBootHasAnEnd(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newInitHost(Systemd)
		h.boot = func() string { return "activating\nenabled\nstarting\n" }
		got, err := AwaitBoot(t.Context(), h, Facts{Init: Systemd, Engine: Engine{State: EngineStopped}}, func(string) {})
		if err != nil || got.State != EngineStopped {
			t.Errorf("%+v, %v: want that the restart is tried", got, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := AwaitBoot(ctx, h, Facts{Init: Systemd, Engine: Engine{State: EngineStopped}}, func(string) {}); !errors.Is(err, context.Canceled) {
			t.Errorf("after Ctrl-C: %v", err)
		}
	})
}

// bootable is an SSH double that can be restarted.
type bootable struct {
	*sshd
	mu       sync.Mutex
	boot     int
	cgroup   int
	cmdline  string
	grub     bool
	ignores  bool // its boot loader takes no arguments
	stays    bool // it does not go down
	reboots  int
	listener net.Listener
	network  *labtest.Network
}

func newBootable(t *testing.T) *bootable {
	b := &bootable{sshd: newSSHD(t, "root"), boot: 1, cgroup: 2, cmdline: "root=/dev/vda1 ro", grub: true}
	b.sshd.run = b.run
	return b
}

// on lets it answer, in a bubble.
func (b *bootable) on(t *testing.T) {
	var err error
	if b.listener, err = b.network.Host("10.0.0.1").Listen(t.Context(), "tcp", ":22"); err != nil {
		t.Error(err)
		return
	}
	go b.serve(b.listener)
}

func (b *bootable) run(cmd string, _ io.Reader, stdout, stderr io.Writer) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := fmt.Sprintf("boot-%d", b.boot)
	switch {
	case cmd == "shutdown -r now":
		b.reboots++
		if !b.stays {
			go b.restart()
		}
		return 0
	case cmd == "cat "+bootIDPath:
		fmt.Fprintln(stdout, id)
	case cmd == "update-grub":
	case cmd == grubQuestion:
		fmt.Fprintf(stdout, "@cmdline\n%s\n@systemd\nsystemd 252 (252.39-1~deb12u1)\n@grub\n", b.cmdline)
		if b.grub {
			fmt.Fprintln(stdout, "yes")
		}
	case cmd == factsScript:
		fmt.Fprintf(stdout, "@init\nsystemd\n@id\nuid=0(root) gid=0(root)\n@sudo\nyes\n@cgroup\n%d\n@boot\n%s\n@end\n", b.cgroup, id)
	default:
		fmt.Fprintf(stderr, "%s: not found\n", cmd)
		return 127
	}
	return 0
}

// restart is a boot that takes 40 s.
func (b *bootable) restart() {
	b.listener.Close()
	b.hangUp()
	time.Sleep(40 * time.Second)
	b.mu.Lock()
	b.boot++
	if !b.ignores {
		b.cmdline += " " + argV1
		b.cgroup = 1
	}
	b.mu.Unlock()
	l, err := b.network.Host("10.0.0.1").Listen(context.Background(), "tcp", ":22")
	if err == nil {
		b.mu.Lock()
		b.listener = l
		b.mu.Unlock()
		go b.serve(l)
	}
}

func (b *bootable) off() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listener.Close()
	b.hangUp()
}

// inBubble connects and hands out the connection.
func (b *bootable) inBubble(t *testing.T, fn func(t *testing.T, c Connector, h *Host)) {
	bubble.Test(t, func(t *testing.T) {
		b.network = labtest.NewNetwork()
		b.on(t)
		c := Connector{Dial: b.network.Host("10.0.0.254").Dial}
		h, err := c.Connect(t.Context(), b.machine("10.0.0.1:22"))
		if err != nil {
			t.Fatal(err)
		}
		fn(t, c, h)
		h.Close()
		b.off()
		synctest.Wait()
	})
}

func TestReboot(t *testing.T) {
	b := newBootable(t)
	b.inBubble(t, func(t *testing.T, c Connector, h *Host) {
		start, said := time.Now(), 0
		next, err := c.Reboot(t.Context(), h, "boot-1", func(string) { said++ })
		if err != nil {
			t.Fatal(err)
		}
		defer next.Close()
		if took := time.Since(start); took < 40*time.Second || took > 45*time.Second || said < 2 || b.reboots != 1 {
			t.Errorf("back after %s, said %d words, %d reboots", took, said, b.reboots)
		}
		<-h.Done()
	})
}

func TestRebootFails(t *testing.T) {
	b := newBootable(t)
	b.stays = true
	b.inBubble(t, func(t *testing.T, c Connector, h *Host) {
		_, err := c.Reboot(t.Context(), h, "boot-1", func(string) {})
		if lab.ErrorID(err) != "reboot-timeout" || !strings.Contains(err.Error(), "still runs its old boot") || b.reboots != 1 {
			t.Errorf("a machine that stays up: %v, %d reboots", err, b.reboots)
		}
	})
	b = newBootable(t)
	b.inBubble(t, func(t *testing.T, c Connector, h *Host) {
		if _, err := c.Reboot(t.Context(), h, "", func(string) {}); lab.ErrorID(err) != "reboot-timeout" || b.reboots != 0 {
			t.Errorf("a machine without boot ids: %v, %d reboots", err, b.reboots)
		}
	})
}
