package health

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// Readiness is the last answer of a task to a readiness check, as the REST
// API prints it.
type Readiness struct {
	Name         string             `json:"name"`
	TaskID       string             `json:"taskId"`
	Ready        bool               `json:"ready"`
	LastResponse *ReadinessResponse `json:"lastResponse,omitempty"`
}

// ReadinessResponse is what the task said, kept if the check says so.
type ReadinessResponse struct {
	Status      int    `json:"status"`
	ContentType string `json:"contentType"`
	Body        string `json:"body"`
}

// Ready asks a task once whether it is ready.
func (p Prober) Ready(ctx context.Context, r app.ReadinessCheck, taskID, address string) Readiness {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(r.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	res := Readiness{Name: r.Name, TaskID: taskID}
	var said ReadinessResponse
	status, err := p.Get(ctx, strings.ToLower(r.Protocol), address, r.Path, func(h http.Header, body io.Reader) {
		b, _ := io.ReadAll(body) // what arrived is what is shown
		said.ContentType, said.Body = h.Get("Content-Type"), string(b)
	})
	if err != nil {
		said.Body = fmt.Sprint(err)
	}
	said.Status = status
	res.Ready = err == nil && slices.Contains(r.HTTPStatusCodesForReady, status)
	if r.PreserveLastResponse {
		res.LastResponse = &said
	}
	return res
}
