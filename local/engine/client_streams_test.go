package engine

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/pkg/stdcopy"
	mobycontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

func TestClientEventsAndWait(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		id := mustCreate(t, c, "ce", "lab/tool", nil, "wait")
		ev := c.Events(ctx, client.EventsListOptions{Since: "1", Filters: client.Filters{}.Add("container", "ce").Add("type", "container")})
		next := c.ContainerWait(t.Context(), id, client.ContainerWaitOptions{Condition: mobycontainer.WaitConditionNextExit})
		gone := c.ContainerWait(t.Context(), id, client.ContainerWaitOptions{Condition: mobycontainer.WaitConditionRemoved})
		mustStart(t, c, id)
		if _, err := c.ContainerKill(t.Context(), id, client.ContainerKillOptions{Signal: "SIGUSR1"}); err != nil {
			t.Fatal(err)
		}
		if r := <-next.Result; r.StatusCode != 138 {
			t.Errorf("next exit: %+v", r)
		}
		if _, err := c.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{}); err != nil {
			t.Fatal(err)
		}
		if r := <-gone.Result; r.StatusCode != 138 {
			t.Errorf("removed: %+v", r)
		}
		var got []string
		for !slices.Contains(got, "destroy") {
			select {
			case m := <-ev.Messages:
				got = append(got, string(m.Action))
				if m.Action == "die" && m.Actor.Attributes["exitCode"] != "138" || m.Actor.Attributes["test"] != "ce" {
					t.Errorf("event %+v", m)
				}
			case err := <-ev.Err:
				t.Fatal(err)
			}
		}
		if want := []string{"create", "start", "kill", "die", "destroy"}; !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
	})
}

func TestClientAttach(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		r, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "cat", Config: &mobycontainer.Config{
			Image: "lab/tool", Cmd: []string{"cat"}, OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true,
		}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.ContainerAttach(t.Context(), r.ID, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		mustStart(t, c, r.ID)
		text := strings.Repeat("a longer piece of text\n", 10_000)
		go func() {
			io.WriteString(a.Conn, text)
			a.CloseWrite()
		}()
		var out bytes.Buffer
		if _, err := stdcopy.StdCopy(&out, io.Discard, a.Reader); err != nil || out.String() != text {
			t.Errorf("got %d bytes back, want %d: %v", out.Len(), len(text), err)
		}
		if code := exitOf(t, c, r.ID); code != 0 {
			t.Errorf("exit %d", code)
		}
	})
}
