// Package master is the mini Mesos master: the program mesos-master.
//
// Run parses flags, listens, takes part in the election and, once elected,
// leads a cluster (package cluster) until its context ends.
//
// On its port (5050) it serves:
//
//	/                        the web page (package webui)
//	/state, /slaves, …       the classic endpoints (package endpoints), also
//	                         under /master/…
//	/api/v1/scheduler        the v1 scheduler API (package schedulerapi)
//	/api/v1                  the v1 operator API (package operatorapi)
//	/slave/v1                the connections of agents (package wire)
//
// A master that does not lead redirects (307) all that needs the leader, or
// answers 503 while nobody is known to lead. A leading master that loses its
// ZooKeeper session ends with exit code 1, as the real one does: somebody has
// to start it again. Without --zk it leads at once and for good.
//
// Files: <work_dir>/registry.json holds the agents that were let in, so that
// a restarted master knows whom to wait for, the weights and quotas that were
// set and the maintenance that is planned. It is this master's own; unlike the real
// replicated log it is not shared with the other masters. Nobody hears of what
// is not on its disk yet, and a leading master that cannot write it within
// --registry_store_timeout ends with exit code 1. With --registry=in_memory there
// is none. Nothing else is written; --log_dir is accepted and shown, the log goes
// to Env.Stderr.
//
// Peers that are slow, or send nonsense or too much, are cut off in bounded
// time (see the constants in serve.go).
//
// Not here: authentication, authorization.
package master
