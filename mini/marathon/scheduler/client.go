package scheduler

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

const (
	apiPath     = "/api/v1/scheduler"
	mediaType   = "application/x-protobuf"
	streamID    = "Mesos-Stream-Id"
	callTimeout = 10 * time.Second
	// missedHeartbeats end a stream.
	missedHeartbeats = 5
	defaultHeartbeat = 15 * time.Second
)

// Client keeps one framework subscribed. Set the fields, then Run it.
type Client struct {
	HTTP     *http.Client // must not follow redirects by itself
	Detector Detector
	Handler  Handler
	// Framework is sent with every SUBSCRIBE; ID is set once it is known.
	Framework mesos.FrameworkInfo
	// Log gets one line for each change; may be nil.
	Log func(format string, args ...any)

	mu     sync.Mutex
	queue  []*Call
	wake   chan struct{}
	stream *stream
}

var _ Mesos = (*Client)(nil)

// stream is one subscription. Its context ends with it.
type stream struct {
	ctx       context.Context
	url       string // where the master was found
	id        string // Mesos-Stream-Id
	framework *mesos.FrameworkID
}

// Send queues a call.
func (c *Client) Send(call *Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, call)
	if c.wake != nil {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// Run subscribes, follows masters and reconnects until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	c.mu.Lock()
	c.wake = make(chan struct{}, 1)
	c.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	masters := make(chan string)
	wg.Go(func() { c.detect(ctx, masters) })
	wg.Go(func() { c.deliver(ctx) })

	var end context.CancelFunc = func() {}
	done := make(chan struct{})
	close(done)
	for {
		select {
		case <-ctx.Done():
			end()
			<-done
			return ctx.Err()
		case m := <-masters:
			end()
			<-done
			var sub context.Context
			sub, end = context.WithCancel(ctx)
			done = make(chan struct{})
			go func() {
				defer close(done)
				c.follow(sub, m)
			}()
		}
	}
}

// detect passes leading masters on.
func (c *Client) detect(ctx context.Context, masters chan<- string) {
	known := ""
	for ctx.Err() == nil {
		next, err := c.Detector.Next(ctx, known)
		if err != nil {
			continue
		}
		known = next
		select {
		case masters <- next:
		case <-ctx.Done():
		}
	}
}

// follow subscribes at one master again and again until ctx ends.
func (c *Client) follow(ctx context.Context, master string) {
	if master == "" {
		c.Log("no leading master")
		return
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.Multiplier = 100*time.Millisecond, 5*time.Second, 2
	for ctx.Err() == nil {
		subscribed, err := c.subscribe(ctx, "http://"+master+apiPath)
		if subscribed {
			pause.Reset()
		}
		if ctx.Err() != nil {
			return
		}
		c.Log("subscription at %s: %v", master, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// subscribe runs one subscription to its end.
func (c *Client) subscribe(ctx context.Context, to string) (subscribed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fw := c.Framework
	call := &Call{Type: scheduler.Call_SUBSCRIBE, FrameworkID: fw.ID, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: &fw}}
	watchdog := time.AfterFunc(callTimeout, cancel)
	defer watchdog.Stop()
	res, at, err := c.post(ctx, to, call, "")
	if err != nil {
		return false, fmt.Errorf("subscribe: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("subscribe: %s", refusal(res))
	}
	s := &stream{ctx: ctx, url: at, id: res.Header.Get(streamID)}
	defer func() {
		if c.setStream(s, nil) {
			c.Handler.Disconnected()
		}
	}()
	limit := missedHeartbeats * defaultHeartbeat
	r := bufio.NewReader(res.Body)
	for {
		watchdog.Reset(limit)
		e, err := readEvent(r)
		if err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("ended, or no heartbeat for %v: %w", limit, err)
			}
			return subscribed, err
		}
		watchdog.Stop() // a handler may take its time: then it is not the stream that is silent
		if e.Type == scheduler.Event_SUBSCRIBED && e.Subscribed.GetFrameworkID() != nil {
			subscribed = true
			s.framework = e.Subscribed.FrameworkID
			c.Framework.ID = e.Subscribed.FrameworkID
			if h := e.Subscribed.GetHeartbeatIntervalSeconds(); h > 0 {
				limit = time.Duration(missedHeartbeats * h * float64(time.Second))
			}
			c.setStream(nil, s)
			c.Handler.Subscribed(ctx, s.framework.Value, hostOf(at))
			continue
		}
		c.dispatch(ctx, e)
	}
}

func readEvent(r *bufio.Reader) (*scheduler.Event, error) {
	data, err := readRecord(r)
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	var e scheduler.Event
	if err := e.Unmarshal(data); err != nil {
		return nil, fmt.Errorf("parse event: %w", err)
	}
	return &e, nil
}

// dispatch tells the handler about one event.
func (c *Client) dispatch(ctx context.Context, e *scheduler.Event) {
	switch e.Type {
	case scheduler.Event_OFFERS:
		c.Handler.Offers(e.GetOffers().GetOffers())
	case scheduler.Event_RESCIND:
		c.Handler.Rescinded(e.GetRescind().GetOfferID())
	case scheduler.Event_UPDATE:
		c.Handler.Update(ctx, e.GetUpdate().GetStatus())
	case scheduler.Event_MESSAGE:
		m := e.GetMessage()
		c.Handler.Message(m.GetAgentID(), m.GetExecutorID(), m.GetData())
	case scheduler.Event_FAILURE:
		if f := e.GetFailure(); f != nil && f.AgentID != nil && f.ExecutorID == nil {
			c.Handler.AgentLost(*f.AgentID)
		}
	case scheduler.Event_ERROR:
		c.Handler.Fatal(e.GetError().GetMessage())
	}
}

// setStream replaces the stream old by s; false if another one was there.
func (c *Client) setStream(old, s *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old != nil && c.stream != old {
		return false
	}
	c.stream = s
	return true
}

// deliver posts queued calls one after the other.
func (c *Client) deliver(ctx context.Context) {
	for {
		c.mu.Lock()
		var call *Call
		s := c.stream
		if len(c.queue) > 0 {
			call, c.queue = c.queue[0], c.queue[1:]
		}
		c.mu.Unlock()
		if call == nil {
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
			}
			continue
		}
		if err := c.deliverOne(s, call); err != nil {
			c.Log("call %v: %v", call.Type, err)
			c.Handler.Undelivered(call)
		}
	}
}

func (c *Client) deliverOne(s *stream, call *Call) error {
	if s == nil {
		return errors.New("not subscribed")
	}
	ctx, cancel := context.WithTimeout(s.ctx, callTimeout)
	defer cancel()
	call.FrameworkID = s.framework
	res, _, err := c.post(ctx, s.url, call, s.id)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return errors.New(refusal(res))
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// post sends one call and follows redirects to the leader; at is where the
// answer came from.
func (c *Client) post(ctx context.Context, to string, call *Call, stream string) (res *http.Response, at string, err error) {
	body, err := call.Marshal()
	if err != nil {
		return nil, "", fmt.Errorf("encode %v: %w", call.Type, err)
	}
	for range 4 {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return nil, "", err
		}
		req.Header.Set("Content-Type", mediaType)
		req.Header.Set("Accept", mediaType)
		if stream != "" {
			req.Header.Set(streamID, stream)
		}
		if res, err = c.HTTP.Do(req); err != nil {
			return nil, "", err
		}
		if res.StatusCode != http.StatusTemporaryRedirect {
			return res, to, nil
		}
		res.Body.Close()
		base, err := url.Parse(to)
		if err != nil {
			return nil, "", err
		}
		next, err := base.Parse(res.Header.Get("Location"))
		if err != nil {
			return nil, "", fmt.Errorf("redirected to %q: %w", res.Header.Get("Location"), err)
		}
		if !strings.HasSuffix(next.Path, apiPath) {
			next.Path = apiPath
		}
		to = next.String()
	}
	return nil, "", errors.New("redirected in circles")
}

// refusal is the status and the first line of the body.
func refusal(res *http.Response) string {
	b, _ := io.ReadAll(io.LimitReader(res.Body, 500))
	return strings.TrimSpace(res.Status + ": " + string(b))
}

func hostOf(u string) string {
	p, err := url.Parse(u)
	if err != nil {
		return u
	}
	return p.Host
}
