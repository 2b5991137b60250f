// Package marathonlb is marathon-lb 1.3.0 in Go: it follows Marathon's events
// and balances each service port over the tasks behind it.
//
// Nouns. An app's service port with its HAPROXY_* labels and its usable tasks
// is a service. All services, sorted, make a configuration: the text of
// haproxy.cfg and, from the same model, what the proxy (package proxy) serves.
// A balancer is what a configuration is given to: the proxy in Go or a real
// HAProxy (package haproxy).
//
// Who balances. --haproxy auto (the default) is the real HAProxy where one of
// 2.2 or later is installed and starts, else the proxy in Go, in this process;
// the log says which, and why. --haproxy never is the proxy in Go, --haproxy PATH
// that program or an error. What marathon-lb writes, answers and refuses is the
// same with either.
//
// Words. "start-marathonlb.sh" (the seed's image; environment LOCAL_IP,
// MARATHON_URL, LAB_DONT_BIND_HTTP_HTTPS, LAB_LB_STATS_PORT), "run sse" and
// "run poll" (upstream's image; POLL_INTERVAL), or the flags of
// marathon_lb.py. Without --sse the state is read once and served until the
// end.
//
// Flags of later versions are refused, as argparse refuses them: --strict-mode
// and HAPROXY_{n}_ENABLED, for example, came after 1.3.0. --strict and --haproxy
// are our own.
//
// Following. On status_update_event, health_status_changed_event and
// api_post_event, when a stream opens, and every 300 s, GET
// /v2/apps?embed=apps.tasks is read and a configuration built. Equal to the
// one in force and to the file: nothing happens. Triggers that come during a
// refresh cause one more. A stream that breaks is opened again as 1.3.0 does
// it: after random × back-off, 3 s × 1.5 with each failure, at most 300 s,
// reset by a stream that lasted more than 10 minutes; several --marathon URLs
// are used in turn.
//
// Deviations from 1.3.0, most of them towards a lab that starts sooner:
//   - until the first stream has opened, tries come every 500 ms for the
//     first minute, because the Marathon beside it is merely not up yet;
//   - 1.3.0 reads the state first and then opens the stream, so that an event
//     between the two is lost; here it is the other way round;
//   - a stream silent for 60 s is opened again, a read of the state may take
//     20 s and is repeated after 3 s if it failed (1.3.0 waits without limit
//     and until the next trigger);
//   - a reload keeps counters and does not break idle connections;
//   - one app's mistake is no other's, but with --strict (Mistakes).
//
// Labels (n is the index of the service port): HAPROXY_GROUP,
// HAPROXY_{n}_GROUP, _VHOST, _PATH, _STICKY, _MODE, _BALANCE, _PORT,
// _BIND_ADDR, _BACKEND_WEIGHT.
//
// Mistakes. A value that int(…) or HAProxy would refuse, a service port that
// cannot be bound, and one that another app has spoil the app that brings them,
// and no other: it goes on being served by the labels and health checks by which
// it was served before (towards its tasks of now); one that never was is left
// out. What a real HAProxy refuses beyond that is its lines' app, and where it
// names none the first with which it does refuse (haproxy -c, by halves). Log and
// statistics' page name it and why until it is mended. Nothing is remembered
// past the end of the process. With --strict it is as in 1.3.0, where a mistake
// makes the whole configuration invalid: the old one stays in force and every
// later change of any app waits until it is mended; only the log says so.
//
// Zero-downtime deployments (HAPROXY_DEPLOYMENT_GROUP, _ALT_PORT,
// _STARTED_AT, _TARGET_INSTANCES): the two apps of a group share one backend
// in which drained tasks of the old one are disabled.
//
// Ports: the service ports; 9090 with the statistics, /_haproxy_* and, our own,
// /_lab_spoilt, the mistakes as JSON (guarded; the others are open, they are
// meant to be visited); 80 (virtual hosts) and 9091 (X-Marathon-App-Id) where
// they can be bound at the start.
// Files: /etc/haproxy/haproxy.cfg, replaced by rename; with a real HAProxy its
// folder /var/run/marathon-lb/9090 (the statistics' port). HAProxy's processes
// end with this one; else there are none: --command is accepted and not run.
// /_haproxy_getpids names who serves: this process, or HAProxy's workers, of
// which the old ones live as long as their connections.
//
// Left out on purpose: port 443 and everything TLS (SSL_CERT, BIND_OPTIONS,
// REDIRECT_TO_HTTPS, USE_HSTS), AUTH, BACKEND_NETWORK_ALLOWED_ACL,
// HTTP_BACKEND_PROXYPASS, _REVPROXY, _REDIR, template overrides by label or
// file, HTTP callbacks (--listening), addresses per task (ipAddress). Their
// labels are ignored, with a line in the log. Host names of tasks are not
// resolved for server names; they stand in haproxy.cfg as Marathon gives them.
package marathonlb
