// Package agent is the agent (slave) half of mini Mesos: it registers with
// the leading master, runs the tasks it is given as Docker containers, and
// tells what became of them.
//
// Nouns. An agent has an id from its master and keeps it in
// <work_dir>/meta. A task is one container, named mesos-<agent id>.<uuid>. A
// status update is resent until its scheduler has acknowledged it. A session
// is one connection to one master (package wire).
//
// Promises, taken from Mesos (contracts, sections 8 and 9):
//   - A task id runs at most once at a time, and never a second time without
//     being launched a second time: what a launch needs to be found again is
//     on disk before the engine is asked.
//   - A lost connection or another leader changes nothing for tasks: the agent
//     registers again with its id and its tasks. No ping for the master's
//     total ping time-out counts as a lost connection.
//   - The end of the context (SIGTERM) leaves containers running and returns
//     0. The next run finds them through the engine, goes on watching them
//     under the same ids, and reports those that ended meanwhile. After a
//     reboot of the machine (another boot_id) it starts under a new id.
//   - Told to shut down (it was removed and came back), it ends its
//     containers, forgets its id and returns 0; the next run registers anew.
//
// It listens on --port (5051) behind Env.Server, speaks HTTP to the Docker
// engine's socket, writes below --work_dir, and starts no processes itself. A
// task's sandbox is a folder under --work_dir, mounted into its container; the
// container's output is kept there in the files stdout and stderr.
//
// Different from the real one, on purpose:
//   - There are no executor processes: the agent watches containers through
//     the engine. So tasks survive an agent's restart as they do with the real
//     one's --docker_mesos_image; the seed's orphaned containers
//     (seed.md, fault 7) are not imitated.
//   - If resources, attributes or the host name changed under an old id, it
//     says so, ends what ran under the old id and starts under a new one; the
//     real one exits with 1 and names the folder to delete.
//   - A container that was made but never started when the agent ended is
//     removed and its task reported TASK_LOST, not tried again.
//   - Left out: tasks without a Docker container (they fail at once and are
//     told so), custom executors, the fetcher, HTTP and TCP checks,
//     authentication, oversubscription, the agent's operator API (POST
//     /api/v1), use statistics of containers, gc of sandboxes, log files.
package agent
