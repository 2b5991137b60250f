// Package bench measures what the README promises: how long create, create
// again, destroy and reset take, what a lab and a scenario's traffic cost, how
// much of a failover is lab's own doing, and what the programs of the mini stack
// achieve, up to a master with a thousand agents. What has its like elsewhere is
// measured beside it in the same run: a shell script with curl, scp, an Ansible
// playbook, HAProxy, a real ZooKeeper.
//
//	go test -run - -bench . ./bench
//
// It holds benchmarks only: go test alone runs none of them, and none fails
// because something was slow. Each prints the size of the machine and medians
// of ten; a run takes some minutes. Real lab commands are measured from
// outside (package rig), built plainly.
//
// How the phases of a failover are cut, all from Marathon's event stream as a
// client beside it receives it:
//
//	detect   TASK_LOST. A master pings each slave every T from its registration
//	         on and gives up at the N-th unanswered one, so what (lost −
//	         registered) mod T leaves over is lab's own; the drift of the
//	         master's timers since the registration is part of it.
//	replace  from TASK_LOST to TASK_RUNNING of the new task, minus the back-off
//	         (backoffSeconds of the app, 1 s): accepting an offer, launching,
//	         starting the container.
//	healthy  from the first check tick after TASK_RUNNING to the health event.
//	         The tick is when the surviving instance was checked, a whole
//	         number of intervals before its last success, so that a
//	         millisecond more or less, even below zero, means nothing.
//
// Scale calls (BenchmarkScale) are measured without lab: ZooKeeper, Mesos with
// 100 agents, and Marathon in the benchmark's own process, on a network in
// memory, all of them whole but for the commands that agents would run.
//
// Registration of 100 agents is taken three times: simulated ones
// (BenchmarkMaster), real ones in one process, and real ones in a process each
// (BenchmarkAgentProcesses), so that what agents and master do is told from what
// it costs to start 100 processes.
package bench
