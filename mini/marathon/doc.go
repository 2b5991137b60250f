// Package marathon is a small Marathon 1.1.1: a Mesos framework that keeps
// apps running, with the REST interface, events and behaviour of the real
// one (contracts sections 1–5).
//
// Nouns: options (the flags), marathon (one process: candidate, standby or
// leader). The work is done below: app and group (definitions, trees,
// plans), store (state and election in ZooKeeper), scheduler (Mesos v1 API),
// match (offers), health (checks), event (the bus), callback (events posted to
// who asked), core (one term of leadership), api (REST) and ui (the page).
//
// Run listens on --http_port, keeps state and leadership under --zk, and
// subscribes to the Mesos that --master names (1.0 or later). It survives the
// loss of any of them: without ZooKeeper it answers 503 and comes back; a
// master that goes makes it give up its leadership and stand again, as 1.1.1
// does (SchedulerCallbacksServiceAdapter: "Abdicate leadership when we become
// disconnected from the Mesos master"), and then it waits; tasks are never
// touched by its own stop or start. It ends with its context (exit code 143, as
// a JVM on SIGTERM), with 1 for wrong flags or a port that is taken, and with 9
// when Mesos refuses the framework.
//
// Left out: HTTPS, authentication and authorization by plugins, plugins, the
// artifact store, resident apps (persistent and external volumes), ip-per-task,
// custom executors, --http_max_concurrent_requests. Flags for them are accepted
// and do nothing, apps that need them are refused with a sentence that says
// so, and their URIs answer as unknown ones do. A feature by feature list, each
// with its test: docs/mini.md.
package marathon
