package api

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/marathon/store"
)

// via marks requests that a standby has passed on, and their answers; the
// value is "1.1 host:port" of the standby.
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
		case slices.Contains(r.Header.Values(via), s.via()):
			htmlError(w, http.StatusBadGateway, "Detected proxying loop.")
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

func (s *Server) log() *log.Logger {
	if s.ErrorLog == nil {
		return log.New(io.Discard, "", 0)
	}
	return s.ErrorLog
}

func (s *Server) via() string { return "1.1 " + s.Address }

// proxy passes requests on to the leader, streams included.
func (s *Server) proxy(leader string) http.Handler {
	return &httputil.ReverseProxy{
		Transport:     s.Transport,
		FlushInterval: -1,
		ErrorLog:      s.log(),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: leader})
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
			p.Out.Header.Add(via, s.via())
		},
		ModifyResponse: func(res *http.Response) error {
			res.Header.Add(via, s.via())
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			s.log().Printf("pass a request on to the leader %s: %v", leader, err)
			var late net.Error
			switch {
			case errors.Is(err, context.Canceled): // the client has gone
			case errors.As(err, &late) && late.Timeout():
				htmlError(w, http.StatusGatewayTimeout, "Connection to leader timed out.")
			default:
				htmlError(w, http.StatusBadGateway, "Connection to leader refused.")
			}
		},
	}
}
