package marathon

import (
	"github.com/mesoslab/lab/mini/marathon/api"
)

// Version is the Marathon this one stands for.
const Version = "1.1.1"

// info is what GET /v2/info prints of the flags.
func (o *options) info() api.Info {
	orNull := func(name string) any {
		if v := o.values[name]; v != "" {
			return v
		}
		return nil
	}
	i := api.Info{Version: Version,
		Marathon: map[string]any{
			"master": o.master, "failover_timeout": int(o.failover.Seconds()), "framework_name": o.frameworkName,
			"ha": true, "checkpoint": o.checkpoint, "local_port_min": o.core.Ports.Min, "local_port_max": o.core.Ports.Max,
			"executor": o.values["executor"], "hostname": o.hostname, "webui_url": orNull("webui_url"),
			"mesos_role": orNull("mesos_role"), "task_launch_timeout": o.core.LaunchTimeout.Milliseconds(),
			"task_reservation_timeout": 20000, "reconciliation_initial_delay": o.core.ReconcileDelay.Milliseconds(),
			"reconciliation_interval": o.core.ReconcileInterval.Milliseconds(), "mesos_user": o.user,
			"marathon_store_timeout": 2000, "leader_proxy_connection_timeout_ms": o.proxyConnect.Milliseconds(),
			"leader_proxy_read_timeout_ms": o.proxyIO.Milliseconds(), "features": []string{},
		},
		ZooKeeper: map[string]any{"zk": o.zk, "zk_timeout": o.zkTimeout.Milliseconds(),
			"zk_session_timeout": o.zkSession.Milliseconds(), "zk_max_versions": o.core.MaxVersions},
		HTTP: map[string]any{"assets_path": nil, "http_port": o.httpPort, "https_port": 8443},
	}
	if s := o.values["event_subscriber"]; s != "" {
		i.Events = map[string]any{"type": s, "http_endpoints": append([]string{}, o.endpoints...)}
	}
	return i
}
