// Package proxy is a load balancer that behaves as HAProxy does under the
// configuration that marathon-lb writes. The parent package's tests put it
// beside a real HAProxy 2.6 with the same haproxy.cfg.
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
//   - A frontend has at most MaxConnection clients; more wait in the kernel's
//     queue until one leaves. One that sends nothing, or half a head, costs at
//     most 40 KiB until its time-out, one whose request stops in the middle of
//     its body 128 KiB, its client and its server counted (a test measures it).
//   - Where no descriptor is left, a port accepts again as soon as one of the
//     proxy's own connections has closed, else after a pause of 10 ms that
//     doubles up to 1 s.
//
// Retries ("retries 3", "option redispatch", "timeout connect 3s"): four
// attempts. After a failed one the next goes to another server, at once, if
// several are usable, the algorithm does not hash (roundrobin, leastconn,
// first) and no cookie names the server. So while one of two servers refuses,
// its requests are answered by the other one without delay; while one is
// silent, after one connection time-out, 3 s (both measured).
// Otherwise the same server is tried again, 1 s after a refusal (min(1 s,
// connect time-out)) or at once after a time-out, until it is found down or
// the last retry comes: those are balanced anew, without the pause if several
// servers are usable. So a lone refusing server means 503 after 3 s, a lone
// silent one after 12 s, a cookie of a refusing server 2 s and of a silent one
// 9 s of waiting. All four failed, or no server usable: 503. An exchange whose
// server leaves the configuration during a pause moves on to another server
// after it (HAProxy's old process would stay with it).
//
// Checks: a new server is up, but one failure takes it down until its first
// success has been seen; from then on it takes Fall failures in a row; Rise
// successes bring it back. The checks of a backend's n servers
// are spread: the first of server i comes i/n of an interval after the start,
// the next one interval after the end of the one before. An HTTP check asks
// with GET in HTTP/1.0 and wants 2xx or 3xx. A connection may take
// min(connect time-out, interval). So with interval and time-out 1 s and fall
// 4 a silent server is down after 7 to 8 s (measured, too).
//
// Time-outs are in Limits. Errors are HAProxy's: 502 for an answer that
// breaks off before its headers end, 503 without a server, 504 for headers
// that do not come in time; a frontend without a backend answers 503; in TCP
// mode the client's connection is closed. Headers that do not come within the
// request time-out, on a new connection or once begun, are answered with 408;
// a connection idle after an answer is closed without a word after the
// keep-alive time-out. A client that ends its side, or leaves, does not end
// its request.
//
// Safe for concurrent use. Ports: the frontends' and nothing else; files and
// processes: none. Everything ends with Close.
//
// Left out on purpose: TLS, server weights, servers' maxconn and so every queue (the
// time-out "queue" has nothing to guard without a server's maxconn), hashed
// balancing by header or parameter (served round robin), compression, and
// counters of denied requests.
//
// Known differences to HAProxy 2.6, each held by a test unless marked *:
//   - a client that resets its connection during retries ends its request at
//     once; HAProxy goes on and counts a 503;
//   - a request's body that stops is answered with 408 after the client
//     time-out; HAProxy 2.6 waits for the server's and answers 504;
//   - the server always sees HTTP/1.1, Host (our address, if the client named
//     none) and Connection: close; headers named in Connection end here;
//   - reason phrases are the standard ones ("Gateway Timeout"), a server's own
//     are lost *;
//   - Cache-Control: private stands beside every new cookie, as in 1.6; 2.6
//     adds it only to answers that could be cached *;
//   - 1.5 to early 2.x redispatch at once for round robin alone: under
//     leastconn and first the client waits for two pauses there *;
//   - which server is next in turn after one has come back, and bytes in and
//     out (HAProxy counts them before its own changes of the headers) *;
//   - newer columns of the CSV are absent; "* " before the status of a check
//     under way is not printed; req_tot of servers and backends is empty, as
//     in 1.6.
package proxy
