// Package supervise runs programs that are not lab's own (tasks with a command,
// their health checks), each under a process of its own: "lab mini supervise".
//
// Nouns. An Order is a file that says what to run, where, and into which files
// its output goes. The supervisor is the process that carries it out. A Result
// is the file in which it says how the command ended. A claim is the file that
// names the supervisor: whoever links it first owns the order, so that one that
// was given up is never carried out late. Plain starts supervisors as children
// of this process, Memory plays them for tests; an embedded machine starts them
// itself (local/machine).
//
// What a supervisor promises:
//   - Descriptor 3 is a pipe to whoever started it. "stop 3s\n" on it, its end,
//     SIGTERM, and the end of the command itself all mean the same: every
//     descendant gets SIGTERM, after the grace SIGKILL, and only when none is
//     left the result is written and the supervisor exits, with the command's
//     code (128+n after signal n, 127 if it could not be started).
//   - Descendants are all of them, those that forked twice or called setsid
//     included: the supervisor is a child subreaper. A later stop can make the
//     grace shorter, never longer (Mesos' executor: escalation).
//   - Killed with SIGKILL it takes the command along (parent death signal, from
//     a thread that lives as long as the process). What the command started
//     then is found by who started the supervisor: orphans of an embedded
//     machine become the machine's children, Plain looks for the mark
//     LAB_CONTAINER in environments.
//   - With a limit on memory it looks every 200 ms at what the command and its
//     descendants have, and ends them by SIGKILL when that is more (a cgroup
//     would keep them from getting it; most of lab's machines have none).
//   - The pipe's end wakes it even where it was stopped by SIGSTOP.
//
// It writes the claim, the result and the two output files, and nothing else.
//
// On macOS there is no subreaper, no parent death signal and no /proc: only the
// command's process group gets the signals. What left the group, and what a
// supervisor leaves behind that was killed with SIGKILL, lives on.
//
// Left out: limits on CPU or disk, namespaces, terminals, stdin (it is
// empty).
package supervise
