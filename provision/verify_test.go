package provision

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

func TestVerifyTCP(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int // 0: nobody listens
		cut    bool
		says   string
		advice string
	}{
		{"refused", 0, false, "refused", "DOCKER_OPTS"},
		{"another server", 404, false, "404", "DOCKER_OPTS"},
		{"silence", 200, true, "deadline", "firewall"},
		{"comes up", 200, false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := labtest.NewNetwork()
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) })}
				defer server.Close()
				defer time.Sleep(pingTimeout) // the last dial ends by itself
				if tt.status != 0 {
					go func() {
						time.Sleep(2 * time.Second)
						if l, err := network.Host("10.0.0.1").Listen(t.Context(), "tcp", ":2375"); err == nil {
							server.Serve(l)
						}
					}()
				}
				if tt.cut {
					network.Cut("10.0.0.1")
				}
				err := VerifyTCPFrom(t.Context(), network.Host("10.0.0.254").Dial, "10.0.0.1", 2375, 30*time.Second)
				if tt.says == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				e, ok := errors.AsType[*lab.Error](err)
				if !ok || e.ID != "docker-port-closed" || !strings.Contains(e.Error(), tt.says) || !strings.Contains(e.Advice, tt.advice) {
					t.Errorf("error %v (%+v), want docker-port-closed that says %q and advises %q", err, e, tt.says, tt.advice)
				}
			})
		})
	}
}
