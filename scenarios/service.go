package scenarios

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// servicePatience is how long a load balancer may take to send requests to an
// app that is healthy for Marathon: HAProxy's own check may have seen its
// servers before they listened, and it wants two successes in a row.
const servicePatience = 15 * time.Second

// awaitService waits until the app answers through the load balancer, or for as
// long as that may take: a service that does not answer then is the baseline's
// to tell.
func (r *run) awaitService(ctx context.Context, url string) error {
	client := &http.Client{Timeout: requestTimeout, Transport: &http.Transport{DialContext: r.opt.Dial, DisableKeepAlives: true}}
	waiting, cancel := context.WithTimeout(ctx, servicePatience)
	defer cancel()
	_ = r.await(waiting, "the load balancer to serve "+url, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("%s", noAnswer(err))
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, resp.Status)
		}
		return nil
	})
	return ctx.Err()
}
