// Package proxy is a load balancer that behaves as HAProxy 1.6 does under
// the configuration that marathon-lb writes.
//
// Nouns. A Frontend is an open port; it hands each connection (TCP) or each
// request (HTTP) to a Backend, which is a list of Servers with a way to
// balance between them and, perhaps, a Check. A Config is all of them. A
// Proxy serves the Config that was given to Apply last: the configuration in
// force.
//
// Promises.
//   - Apply is all or nothing: if a port cannot be bound or the Config
//     contradicts itself, the old one stays in force.
//   - Apply breaks nothing that runs: established connections and requests
//     under way end with the server that they have. Servers that are still
//     listed keep their health, their check timer and their counters (HAProxy
//     keeps the health, through its server-state file, and starts the rest
//     anew).
//   - A connection attempt starts only towards a server that the
//     configuration in force lists and does not disable.
//   - A request is sent once: only the establishment of a connection is ever
//     repeated, never a request that has been sent.
//
// Retries (HAProxy 1.6, "retries 3", "option redispatch" with its default
// interval -1, "timeout connect 3s"): four attempts. The first three go to
// the same server, the last to another one if there is one. Before an attempt
// that follows a refusal there is a pause of min(1 s, connect time-out), but
// not before one that moves to another server in round robin. A time-out
// needs no pause. So a client of a refusing server waits 2 s and one of a
// silent server 9 s before another server gets its request. All four failed,
// or no server usable: 503. An exchange whose server leaves the configuration
// during a pause moves on to another server at once after it (HAProxy's old
// process would stay with it).
//
// Checks (HAProxy 1.6): a new server is up, but one failure takes it down
// until its first success has been seen; from then on it takes Fall failures
// in a row; Rise successes bring it back. The checks of a backend's n servers
// are spread: the first of server i comes i/n of an interval after the start,
// the next one interval after the end of the one before. An HTTP check asks
// with GET in HTTP/1.0 and wants 2xx or 3xx.
//
// Time-outs are in Limits. Errors are HAProxy's: 502 for an answer that
// breaks off before its headers end, 503 without a server, 504 for headers
// that do not come in time; a frontend without a backend answers 503; in TCP
// mode the client's connection is closed.
//
// Safe for concurrent use. Ports: the frontends' and nothing else; files and
// processes: none. Everything ends with Close.
//
// Left out on purpose: TLS, server weights, maxconn and so every queue (the
// time-out "queue" has nothing to guard without a server's maxconn), hashed
// balancing by header or parameter (served round robin), compression, and
// counters of denied requests. A client that closes or half-closes its side
// during an HTTP request ends the request at once (HAProxy waits for the
// server's answer unless "option abortonclose" is set).
package proxy
