// Package haproxy has a real HAProxy serve a configuration: version 2.2 or
// later, run as a child in master-worker mode.
//
// Nouns. The sections of a configuration are its frontends and backends as
// text; the head (global, defaults) is written here. A generation is one text
// that HAProxy was given; its number stands in the "description" of the
// configuration, so that "show info" tells which one serves.
//
// Promises.
//   - Apply is all or nothing. New ports are tried first, the text is checked
//     ("haproxy -c", unless only servers are others), then the master is told to
//     reload (its command line's "reload", which is SIGUSR2), and Apply returns
//     when a worker of the new generation answers. If anything fails the old
//     generation stays in force.
//   - A reload is seamless: listening sockets go over from worker to worker
//     (expose-fd listeners), and what is known of servers' health with them
//     (server-state-file). Connections under way end with the old worker.
//   - A HAProxy that ends by itself is started again with the configuration in
//     force, once a second at most.
//   - It takes as many clients as descriptors allow (RLIMIT_NOFILE), and one
//     frontend at most three quarters of them: a crowd at one is no other's.
//   - It ends with this process, however this process ends: it runs under a
//     supervisor that ends everything below it at the end of a pipe
//     (mini.Env.Children). Close ends it at once. One that a process before left
//     dying is waited for at the start.
//
// HAProxy's warnings and alerts go into the log line by line.
//
// Files: one folder with the configuration, the state of servers, two sockets
// that only this user can reach, and the log; it is emptied at the start and
// removed by Close. Ports: the frontends', bound by HAProxy itself; an embedded
// machine whose power is cut hushes them like its own (local/machine).
//
// Left out: everything that marathon-lb's configuration does not use.
package haproxy
