package master

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/mesoslab/lab/mini/mesos/master/outbox"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// maxBehind is how many messages may wait for a slow agent.
const maxBehind = 10000

// link hands messages from the cluster to the goroutine that writes them.
type link struct{ *outbox.Queue[wire.Message] }

func (l link) Send(m wire.Message) { l.Push(m) }

// serveAgent takes an agent's connection over and serves it until it breaks.
func (m *master) serveAgent(w http.ResponseWriter, r *http.Request, reign *reign) {
	conn, err := wire.Accept(w, r)
	if err != nil {
		m.log.printf("agent at %s: %v", r.RemoteAddr, err)
		return
	}
	// Taken over, the request's context ends with the master only.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	l := &link{outbox.New[wire.Message](maxBehind)}
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer conn.Close()
		if err := l.Each(ctx, func(msg wire.Message) error { return conn.Send(ctx, msg) }); err != nil {
			m.log.printf("agent at %s: %v", conn.RemoteAddr(), err)
		}
	}()
	first, introduced := context.WithTimeout(ctx, introduction)
	defer introduced()
	for wait := first; ; wait = ctx {
		msg, err := conn.Receive(wait)
		if err == nil {
			err = reign.cluster.Receive(l, msg)
			if err == nil {
				continue
			}
			l.Close() // what was said to it still goes out
			<-written
		}
		if !errors.Is(err, io.EOF) {
			m.log.printf("agent at %s: %v", conn.RemoteAddr(), err)
		}
		break
	}
	reign.cluster.Disconnected(l)
	cancel()
	conn.Close()
	<-written
}
