// Package agent is the agent (slave) half of mini Mesos: it registers with
// the leading master, runs the tasks it is given as Docker containers or as
// commands, and tells what became of them.
//
// Nouns. An agent has an id from its master and keeps it in
// <work_dir>/meta. A task is one container, named mesos-<agent id>.<uuid>: one
// of the engine's, or, for a task that has a command and no Docker container, a
// process with all its descendants under a supervisor (package supervise). A
// status update is resent until its scheduler has acknowledged it. A session
// is one connection to one master (package wire).
//
// Promises, taken from Mesos (contracts, sections 8 and 9):
//   - A task id runs at most once at a time, and never a second time without
//     being launched a second time: what a launch needs to be found again is
//     on disk before the engine is asked.
//   - An update leaves when it is on disk. A disk that takes its time holds up
//     everything, as the real agent's checkpoints do; one that fails ends the
//     agent with 1, and containers go on.
//   - A lost connection or another leader changes nothing for tasks: the agent
//     registers again with its id and its tasks. No ping for the master's
//     total ping time-out counts as a lost connection.
//   - The end of the context (SIGTERM) leaves containers running and returns
//     0. The next run finds them through the engine, commands by their
//     supervisor's pid and start time, goes on watching them under the same
//     ids, and reports those that ended meanwhile. After a reboot of the machine
//     (another boot_id) it starts under a new id.
//   - Told to shut down (it was removed and came back), it ends its
//     containers, forgets its id and returns 0; the next run registers anew.
//   - What the master says is dynamically reserved, or a persistent volume, is
//     kept on disk, whatever id it has; with fewer resources than that it does
//     not start. A volume is a folder, <work_dir>/volumes/roles/<role>/<id>:
//     mounted into Docker containers at its container path (an engine that
//     mounts nothing inside another mount, as that of embedded machines, takes
//     absolute ones only), for commands a link in the sandbox. It is removed
//     when the master says that it is no more.
//
// It listens on --port (5051) behind Env.Server, speaks HTTP to the Docker
// engine's socket, writes below --work_dir, --log_dir and --fetcher_cache_dir, and
// starts processes through Env.Launcher only. A task's sandbox is a folder under
// --work_dir, mounted into its container, or a command's working directory; the
// output is kept there in the files stdout and stderr. URIs of the command are
// fetched into it before the start (package fetcher). Sandboxes of ended tasks are
// removed when they are older than --gc_delay, sooner the fuller the disk is.
//
// HTTP: the endpoints of 1.3.2 with its status lines and texts, /files with
// sandboxes and, with --log_dir, the log, /containers and /monitor/statistics with
// what the engine or the process tree measures, and the operator API's calls that
// ask, as JSON and protobuf. Bodies over 16 MiB are refused with 413. What
// TestReplay's list holds is all in which answers differ from the captures.
//
// Commands are what the mesos containerizer with posix isolation runs: no image,
// no namespaces, and no limits but memory's, where --isolation lists cgroups/mem:
// then the supervisor ends a command that has more than its task and executor
// may, at a look every 200 ms, and the task fails with
// REASON_CONTAINER_LIMITATION_MEMORY. A command sees the whole file system of
// whoever runs the agent, has its environment from agent and task (contracts,
// section 2.1; Mesos 1.3, executorEnvironment), and binds host ports itself: on an
// embedded machine, which has no network of its own, one that binds 0.0.0.0 takes the port
// on all machines, so it should bind $HOST (the machine's address, as
// $LIBPROCESS_IP is), and what it dials comes from the computer's address, not
// from the machine's. As root commands are refused unless LAB_ALLOW_ROOT_CMD=1
// says that the lab's owner wants that (local.allow_root_cmd); an embedded machine
// asks its own settings besides. KILL means SIGTERM to the whole tree, SIGKILL
// after the grace (the kill's word, the task's policy, else 3 s), and the end is
// reported when none of the tree is left. COMMAND health checks run in the sandbox
// with the task's environment.
//
// On embedded machines supervisors belong to the machine, so commands survive
// the end of the agent's container, also by SIGKILL, as Docker tasks do; one that
// never comes back leaves them to the machine's end, where real executors would
// give up after --recovery_timeout. In a real container they are the agent's
// children and end with it; the next run reports them failed. They find there
// what the agent's image holds: lab's own image is its binary alone, so a cmd,
// which needs /bin/sh, fails and says so.
//
// Different from the real one, on purpose:
//   - There are no executor processes: the agent watches containers through
//     the engine, commands through their supervisors. So tasks survive an
//     agent's restart as they do with the real one's --docker_mesos_image; the
//     seed's orphaned containers (seed.md, fault 7) are not imitated. What the
//     command executor prints about itself is not in the sandbox's stdout.
//   - If resources, attributes or the host name changed under an old id, it
//     says so, ends what ran under the old id and starts under a new one; the
//     real one exits with 1 and names the folder to delete.
//   - A container that was made but never started when the agent ended is
//     removed and its task reported TASK_LOST, not tried again.
//   - A task that was shut down with its framework is listed as what became of
//     it; the real one goes on listing it as running.
//   - A command whose volume has a container path with a slash fails; the real
//     one's posix isolator starts it without the volume.
//   - Left out: images and host volumes of the mesos containerizer, custom
//     executors, HTTP and TCP checks (tasks that ask for one of these fail at
//     once and are told so), authentication, oversubscription, nested containers
//     and whatever else of the operator API changes something (501), SIGUSR1.
package agent
