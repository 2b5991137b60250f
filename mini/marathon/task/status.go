package task

import (
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
)

// StartTime is when Mesos says that the status came about; now, if it does
// not say.
func StartTime(s mesos.TaskStatus) app.Time {
	if ts := s.GetTimestamp(); ts > 0 {
		return app.At(time.Unix(0, int64(ts*float64(time.Second))))
	}
	return app.At(time.Now())
}

// Addresses are the task's own, as the executor reports them; nil if it does
// not.
func Addresses(s mesos.TaskStatus) []event.IPAddress {
	var out []event.IPAddress
	for _, n := range s.GetContainerStatus().GetNetworkInfos() {
		for _, ip := range n.IPAddresses {
			proto := "IPv4"
			if strings.Contains(ip.GetIPAddress(), ":") {
				proto = "IPv6"
			}
			out = append(out, event.IPAddress{IPAddress: ip.GetIPAddress(), Protocol: proto})
		}
	}
	return out
}
