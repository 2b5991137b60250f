//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/e2e/rig"
)

// BenchmarkLaunch takes the time from a scheduler's ACCEPT to the TASK_RUNNING
// that it receives, in an embedded lab with all its other programs, for a
// container of the engine and for a command. The limit is 50 ms; the
// real one took 130 to 550 (contracts, mesos-measured).
func BenchmarkLaunch(b *testing.B) {
	b.Log(machineSize())
	l := rig.New(b)
	l.Write("lab.yaml", "local: {allow_root_cmd: true}\napp: none\n")
	l.Create("--fast")
	l.AwaitWhole()
	s := subscribe(b, l.URL(1, 5050, "/api/v1/scheduler"))
	container, command := in("ms"), in("ms")
	docker := `"command":{"shell":false},"container":{"type":"DOCKER","docker":{"image":"nginx","network":"HOST"}}`
	for b.Loop() {
		for i := range rounds {
			container.addTime(s.launch(fmt.Sprintf("docker-%d-%d", b.N, i), docker))
			command.addTime(s.launch(fmt.Sprintf("cmd-%d-%d", b.N, i), `"command":{"value":"sleep 1000"}`))
		}
	}
	container.report(b, "container")
	command.report(b, "command")
	s.call(`"type":"TEARDOWN"`)
	l.Must("destroy")
}

// bareScheduler is a framework of the bare protocol.
type bareScheduler struct {
	b         *testing.B
	url       string
	framework string
	stream    string
	events    chan schedulerEvent
	client    http.Client
	offers    []schedulerOffer
}

type schedulerOffer struct {
	ID        struct{ Value string }
	AgentID   struct{ Value string } `json:"agent_id"`
	Resources []struct {
		Name   string
		Scalar struct{ Value float64 }
	}
}

type schedulerEvent struct {
	at         time.Time
	Type       string
	Subscribed struct {
		FrameworkID struct{ Value string } `json:"framework_id"`
	}
	Offers struct{ Offers []schedulerOffer }
	Update struct {
		Status struct {
			TaskID  struct{ Value string } `json:"task_id"`
			AgentID struct{ Value string } `json:"agent_id"`
			State   string
			Message string
			UUID    string
		}
	}
	Error struct{ Message string }
}

func subscribe(b *testing.B, url string) *bareScheduler {
	b.Helper()
	s := &bareScheduler{b: b, url: url, events: make(chan schedulerEvent, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url,
		strings.NewReader(`{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"bench"}}}`))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("subscribe: %s", resp.Status)
	}
	s.stream = resp.Header.Get("Mesos-Stream-Id")
	go s.read(resp.Body)
	s.framework = s.await(func(e schedulerEvent) bool { return e.Type == "SUBSCRIBED" }).Subscribed.FrameworkID.Value
	return s
}

// read takes records apart: their length in decimal, a newline, JSON.
func (s *bareScheduler) read(body io.ReadCloser) {
	defer body.Close()
	defer close(s.events)
	for r := bufio.NewReader(body); ; {
		line, err := r.ReadString('\n')
		n, convErr := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || convErr != nil {
			return
		}
		record := make([]byte, n)
		if _, err := io.ReadFull(r, record); err != nil {
			return
		}
		e := schedulerEvent{at: time.Now()}
		if json.Unmarshal(record, &e) != nil {
			return
		}
		s.events <- e
	}
}

// await returns the next event that is wanted. Offers are kept.
func (s *bareScheduler) await(wanted func(schedulerEvent) bool) schedulerEvent {
	s.b.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case e, ok := <-s.events:
			if !ok || e.Type == "ERROR" {
				s.b.Fatalf("the stream ended: %s", e.Error.Message)
			}
			s.offers = append(s.offers, e.Offers.Offers...)
			if wanted(e) {
				return e
			}
		case <-limit:
			s.b.Fatal("no event came within a minute")
		}
	}
}

func (s *bareScheduler) call(members string) {
	s.b.Helper()
	body := `{"framework_id":{"value":"` + s.framework + `"},` + members + `}`
	req, err := http.NewRequest(http.MethodPost, s.url, bytes.NewReader([]byte(body)))
	if err != nil {
		s.b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Mesos-Stream-Id", s.stream)
	resp, err := s.client.Do(req)
	if err != nil {
		s.b.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		s.b.Fatalf("%s: %s %s", members, resp.Status, text)
	}
}

// launch starts a task, kills it again and returns how long the start took.
func (s *bareScheduler) launch(id, how string) time.Duration {
	s.b.Helper()
	offer := s.offer()
	began := time.Now()
	s.call(`"type":"ACCEPT","accept":{"offer_ids":[{"value":"` + offer.ID.Value + `"}],"filters":{"refuse_seconds":0},
		"operations":[{"type":"LAUNCH","launch":{"task_infos":[{"name":"bench","task_id":{"value":"` + id + `"},
		"agent_id":{"value":"` + offer.AgentID.Value + `"},"resources":[
		{"name":"cpus","type":"SCALAR","scalar":{"value":0.1}},{"name":"mem","type":"SCALAR","scalar":{"value":32}}],` + how + `}]}}]}`)
	took := s.update(id, "TASK_RUNNING").Sub(began)
	s.call(`"type":"KILL","kill":{"task_id":{"value":"` + id + `"}}`)
	s.update(id, "TASK_KILLED")
	return took
}

// update waits for a state and acknowledges it.
func (s *bareScheduler) update(id, state string) time.Time {
	s.b.Helper()
	e := s.await(func(e schedulerEvent) bool { return e.Type == "UPDATE" && e.Update.Status.TaskID.Value == id })
	u := e.Update.Status
	s.call(`"type":"ACKNOWLEDGE","acknowledge":{"agent_id":{"value":"` + u.AgentID.Value + `"},"task_id":{"value":"` + id + `"},"uuid":"` + u.UUID + `"}`)
	if u.State != state {
		s.b.Fatalf("task %s is %s (%s), want %s", id, u.State, u.Message, state)
	}
	return e.at
}

// offer takes the newest offer with room; those before it may be rescinded.
func (s *bareScheduler) offer() schedulerOffer {
	s.b.Helper()
	room := func(o schedulerOffer) bool {
		for _, r := range o.Resources {
			if r.Name == "cpus" && r.Scalar.Value >= 0.2 {
				return true
			}
		}
		return false
	}
	for {
		for i := len(s.offers) - 1; i >= 0; i-- {
			if o := s.offers[i]; room(o) {
				s.offers = append(s.offers[:i], s.offers[i+1:]...)
				return o
			}
		}
		s.await(func(e schedulerEvent) bool { return e.Type == "OFFERS" })
	}
}
