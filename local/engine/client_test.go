package engine

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	mobycontainer "github.com/moby/moby/api/types/container"
	mobynetwork "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// each runs a test over both endpoints with a foreign client.
func each(t *testing.T, f func(t *testing.T, b *bench, c *client.Client)) {
	t.Run("unix", func(t *testing.T) { b := newBench(t, ""); f(t, b, dockerClient(t, b.unix(t))) })
	t.Run("tcp", func(t *testing.T) { b := newBench(t, ""); f(t, b, dockerClient(t, b.tcp(t))) })
}

func mustCreate(t *testing.T, c *client.Client, name, image string, host *mobycontainer.HostConfig, cmd ...string) string {
	t.Helper()
	r, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name, Config: &mobycontainer.Config{Image: image, Cmd: cmd, Labels: map[string]string{"test": name}}, HostConfig: host,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

func mustStart(t *testing.T, c *client.Client, id string) {
	t.Helper()
	if _, err := c.ContainerStart(t.Context(), id, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
}

// exitOf waits for a container's end and returns its exit status.
func exitOf(t *testing.T, c *client.Client, id string) int64 {
	t.Helper()
	r := c.ContainerWait(t.Context(), id, client.ContainerWaitOptions{Condition: mobycontainer.WaitConditionNotRunning})
	select {
	case res := <-r.Result:
		return res.StatusCode
	case err := <-r.Error:
		t.Fatal(err)
	}
	return -1
}

func inspect(t *testing.T, c *client.Client, id string) mobycontainer.InspectResponse {
	t.Helper()
	r, err := c.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Container
}

func logsOf(t *testing.T, c *client.Client, id string, o client.ContainerLogsOptions) (out, errs string) {
	t.Helper()
	r, err := c.ContainerLogs(t.Context(), id, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var a, b bytes.Buffer
	if _, err := stdcopy.StdCopy(&a, &b, r); err != nil {
		t.Fatal(err)
	}
	return a.String(), b.String()
}

func TestClientLife(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		id := mustCreate(t, c, "one", "lab/tool", nil, "stderr")
		if s := inspect(t, c, "one").State; s.Status != "created" || s.Running {
			t.Errorf("state after create: %+v", s)
		}
		mustStart(t, c, id[:12])
		if code := exitOf(t, c, "one"); code != 0 {
			t.Errorf("exit %d", code)
		}
		i := inspect(t, c, id)
		if i.State.Status != "exited" || i.Name != "/one" || i.Path != "stderr" || i.Config.Labels["kind"] != "tool" {
			t.Errorf("inspect: %+v %+v", i, i.State)
		}
		out, errs := logsOf(t, c, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
		if out != "out\n" || errs != "err\n" {
			t.Errorf("logs: %q %q", out, errs)
		}
		if out, errs = logsOf(t, c, id, client.ContainerLogsOptions{ShowStderr: true}); out != "" || errs != "err\n" {
			t.Errorf("logs of stderr: %q %q", out, errs)
		}
		if _, err := c.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := c.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
		if !cerrdefs.IsNotFound(err) || !strings.Contains(err.Error(), "No such container: "+id) {
			t.Errorf("inspect after remove: %v", err)
		}
	})
}

func TestClientConflicts(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		id := mustCreate(t, c, "one", "lab/tool", nil, "wait")
		_, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "one", Config: &mobycontainer.Config{Image: "lab/tool"}})
		if !cerrdefs.IsConflict(err) || !strings.Contains(err.Error(), `The container name "/one" is already in use by container "`+id) {
			t.Errorf("second create: %v", err)
		}
		if _, err := c.ContainerKill(t.Context(), id, client.ContainerKillOptions{}); !cerrdefs.IsConflict(err) {
			t.Errorf("kill of a created one: %v", err)
		}
		mustStart(t, c, id)
		mustStart(t, c, id) // 304 is no error to the client
		if _, err := c.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{}); !cerrdefs.IsConflict(err) {
			t.Errorf("remove of a running one: %v", err)
		}
		if _, err := c.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
		_, err = c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Config: &mobycontainer.Config{Image: "redis:7"}})
		if !cerrdefs.IsNotFound(err) || !strings.Contains(err.Error(), "not in this engine's catalogue") {
			t.Errorf("create from a foreign image: %v", err)
		}
	})
}

func TestClientFollowAndStop(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		id := mustCreate(t, c, "cw", "lab/tool", nil, "wait")
		mustStart(t, c, id)
		logs, err := c.ContainerLogs(t.Context(), id, client.ContainerLogsOptions{ShowStdout: true, Follow: true, Timestamps: true})
		if err != nil {
			t.Fatal(err)
		}
		defer logs.Close()
		r := bufio.NewReader(logs)
		line(t, r, "ready")
		if _, err := c.ContainerStop(t.Context(), id, client.ContainerStopOptions{}); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("the follower read %q, %v after the stop", rest, err)
		}
		if s := inspect(t, c, id).State; s.ExitCode != 143 || s.Status != "exited" {
			t.Errorf("state after stop: %+v", s)
		}
		if _, err := c.ContainerStop(t.Context(), id, client.ContainerStopOptions{}); err != nil {
			t.Errorf("second stop: %v", err)
		}
	})
}

func TestClientStopTimeout(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		id := mustCreate(t, c, "cs", "lab/tool", nil, "stubborn")
		mustStart(t, c, id)
		zero := 0
		if _, err := c.ContainerStop(t.Context(), id, client.ContainerStopOptions{Timeout: &zero}); err != nil {
			t.Fatal(err)
		}
		if s := inspect(t, c, id).State; s.ExitCode != 137 {
			t.Errorf("state after stop: %+v", s)
		}
	})
}

func TestClientPublishedPorts(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		port := mobynetwork.MustParsePort("80/tcp")
		host := &mobycontainer.HostConfig{PortBindings: mobynetwork.PortMap{port: {{HostPort: "31005"}, {}}}}
		id := mustCreate(t, c, "web", "nginx:1.10", host)
		mustStart(t, c, id)
		logs, err := c.ContainerLogs(t.Context(), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		defer logs.Close()
		line(t, bufio.NewReader(logs), "serving")
		bound := inspect(t, c, id).NetworkSettings.Ports[port]
		if len(bound) != 2 || bound[0].HostPort != "31005" || bound[0].HostIP.String() != b.ip {
			t.Fatalf("ports: %v", bound)
		}
		for _, p := range bound {
			resp, err := http.Get("http://" + net.JoinHostPort(b.ip, p.HostPort))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "web" {
				t.Errorf("port %s answers %q", p.HostPort, body)
			}
		}
		other := mustCreate(t, c, "other", "nginx", &mobycontainer.HostConfig{PortBindings: mobynetwork.PortMap{port: {{HostPort: "31005"}}}})
		_, err = c.ContainerStart(t.Context(), other, client.ContainerStartOptions{})
		for _, words := range []string{"driver failed programming external connectivity on endpoint other", "Bind for 0.0.0.0:31005 failed: port is already allocated"} {
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("start on a taken port: %v, want %q", err, words)
			}
		}
		if s := inspect(t, c, other).State; s.Status != "created" || s.ExitCode != 128 {
			t.Errorf("state after a failed start: %+v", s)
		}
	})
}

func TestClientExec(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		id := mustCreate(t, c, "cx", "lab/tool", nil, "wait")
		if _, err := c.ExecCreate(t.Context(), id, client.ExecCreateOptions{Cmd: []string{"say"}}); !cerrdefs.IsConflict(err) {
			t.Errorf("exec in a created container: %v", err)
		}
		mustStart(t, c, id)
		run := func(stdin string, cmd ...string) (string, int) {
			t.Helper()
			x, err := c.ExecCreate(t.Context(), id, client.ExecCreateOptions{Cmd: cmd, AttachStdin: stdin != "", AttachStdout: true, AttachStderr: true})
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.ExecAttach(t.Context(), x.ID, client.ExecAttachOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if stdin != "" {
				io.WriteString(a.Conn, stdin)
				a.CloseWrite()
			}
			var out bytes.Buffer
			if _, err := stdcopy.StdCopy(&out, &out, a.Reader); err != nil {
				t.Fatal(err)
			}
			i, err := c.ExecInspect(t.Context(), x.ID, client.ExecInspectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return out.String(), i.ExitCode
		}
		for _, x := range []struct {
			stdin, cmd, out string
			code            int
		}{
			{"", "say hi there", "hi there\n", 0},
			{"", "fail", "failing\n", 3},
			{"over the wire\n", "cat", "over the wire\n", 0},
			{"", "nonsense", "exec failed: \"nonsense\": executable file not found in $PATH\r\n", 127},
			{"", "pwd", "/\n", 0},
		} {
			out, code := run(x.stdin, strings.Fields(x.cmd)...)
			if out != x.out || code != x.code {
				t.Errorf("%s: %q %d, want %q %d", x.cmd, out, code, x.out, x.code)
			}
		}
	})
}

// TestClientExecEndsWithContainer: a command that waits for input ends when
// its container does.
func TestClientExecEndsWithContainer(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		id := mustCreate(t, c, "box", "lab/tool", nil, "wait")
		mustStart(t, c, id)
		x, err := c.ExecCreate(t.Context(), id, client.ExecCreateOptions{Cmd: []string{"cat"}, AttachStdin: true, AttachStdout: true})
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.ExecAttach(t.Context(), x.ID, client.ExecAttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		io.WriteString(a.Conn, "x\n")
		if _, err := io.ReadFull(a.Reader, make([]byte, 10)); err != nil { // header and text: it runs
			t.Fatal(err)
		}
		if _, err := c.ContainerKill(t.Context(), id, client.ContainerKillOptions{}); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(a.Reader); err != nil || len(rest) > 0 {
			t.Errorf("after the kill: %q %v", rest, err)
		}
		i, err := c.ExecInspect(t.Context(), x.ID, client.ExecInspectOptions{})
		if err != nil || i.Running || i.ExitCode != 137 {
			t.Errorf("exec: %+v %v", i, err)
		}
	})
}
