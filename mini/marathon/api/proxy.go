package api

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/marathon/store"
)

// via marks requests that a standby has passed on.
const via = "X-Marathon-Via"

type termKey struct{}

// led serves with the core of our term, passes on to the leader, or says
// that there is none.
func (s *Server) led(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		term, leader := s.await(r.Context())
		switch {
		case term != nil:
			w.Header().Set("X-Marathon-Leader", "http://"+s.Address)
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), termKey{}, term)))
		case leader == "":
			fail(w, store.ErrUnavailable)
		case slices.Contains(r.Header.Values(via), s.Address):
			writeJSON(w, http.StatusBadGateway, message{"Detected proxying loop."})
		default:
			s.proxy(leader).ServeHTTP(w, r)
		}
	})
}

// await waits a little for a leader that can serve.
func (s *Server) await(ctx context.Context) (*Term, string) {
	deadline := time.Now().Add(s.NoLeaderPatience)
	for {
		if term := s.Lead.Term(); term != nil {
			return term, s.Address
		}
		if leader := s.Lead.Leader(); leader != "" && leader != s.Address {
			return nil, leader
		}
		if !time.Now().Before(deadline) {
			return nil, ""
		}
		select {
		case <-ctx.Done():
			return nil, ""
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// proxy passes requests on to the leader, streams included.
func (s *Server) proxy(leader string) http.Handler {
	errorLog := s.ErrorLog
	if errorLog == nil {
		errorLog = log.New(io.Discard, "", 0)
	}
	return &httputil.ReverseProxy{
		Transport:     s.Transport,
		FlushInterval: -1,
		ErrorLog:      errorLog,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: leader})
			p.SetXForwarded()
			p.Out.Header.Add(via, s.Address)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			writeJSON(w, http.StatusBadGateway, message{"The leader " + leader + " does not answer: " + err.Error()})
		},
	}
}
