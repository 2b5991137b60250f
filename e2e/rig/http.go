//go:build linux

package rig

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// Answer is what an HTTP server said.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Ask sends one request on a connection of its own.
func Ask(ctx context.Context, method, url, body string, header map[string]string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewBufferString(body))
	if err != nil {
		return Answer{}, err
	}
	req.Close = true
	for k, v := range header {
		if k == "Host" {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, string(text)}, err
}

// Get asks until there is an answer, and returns the first one.
func (l *Lab) Get(url string) Answer {
	l.tb.Helper()
	a, err := Ask(l.tb.Context(), http.MethodGet, url, "", nil)
	if err != nil {
		l.tb.Fatal(err)
	}
	return a
}
