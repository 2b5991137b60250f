// Package scenarios breaks a lab on purpose, watches it heal and judges what
// it saw.
//
// A Scenario is a script that a trainer can read aloud: chapters are "#" lines,
// the rest are verbs of this package, run line by line by rsc.io/script's
// engine with one state. The same table of verbs drives Check, which finds
// every mistake without a lab, and Run. A run has four observers that know
// nothing of the one who breaks things: the probe (steady requests through the
// load balancer), samplers of Mesos, Marathon and the load balancer, and
// Marathon's event stream. What they see goes into a History by identity: task
// ids, agent ids, addresses. The Verdict is PASS only for what was seen; a
// phase not seen, a gap in sampling or a fault without effect is INCONCLUSIVE.
//
// Frameworks of lab's own (package framework) share a cluster with Marathon
// where a script asks for them; Releases and Sharing are what upgrades and
// frameworks need of a Cluster.
//
// A Fault breaks one Part of a machine in one of the Kinds; the table of both
// serves scripts and lab break (Aim). The package acts only through the
// interfaces Lab (faults, with the journal behind them; looks from a machine and
// into it) and Cluster (Mesos, Marathon, load balancer), so that the whole
// engine runs against in-memory twins in tests. Faults are undone and apps put
// back when a run ends, however it ends. A run's Recording holds all that was
// observed. How machines are made, where faults are remembered, and how a
// recording is drawn (package report) is not known here.
package scenarios
