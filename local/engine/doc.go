// Package engine is the Docker-compatible engine of an embedded machine: an
// http.Handler that speaks the part of the Docker Engine API which lab, the
// Mesos agent and the docker command need, and runs containers as processes.
//
// # Nouns
//
// An Engine owns one folder (Config.Dir) and everything in it. An Image is an
// entry of the fixed Catalogue: a name, aliases and a default command; there
// are no layers and no registry. A container is a folder
//
//	containers/<first 12 of its id>/config.json   its settings and last state
//	containers/<first 12 of its id>/log, log.1 …  its output, one JSON object a line
//	containers/<first 12 of its id>/rootfs/       the folder that is its "/"
//
// and, while it runs, one Process. A volume is a folder volumes/<name>/_data.
// References made by pull and tag are kept in images.json.
//
// # What is handed in
//
// The engine starts no process, opens no socket and interprets no command line
// by itself: Config.Start, Config.Listen and Config.Exec do. It serves no port
// either: the machine serves Handler on its unix socket and, guarded, on tcp.
//
//   - Start gets a Command. Its Dir is the rootfs; the program's absolute paths
//     are meant inside it. Argv is entrypoint and command joined; whether
//     Argv[0] is a program or a line for the sandbox shell is Start's decision.
//     Errors that wrap exec.ErrNotFound or fs.ErrPermission give the exit
//     codes 127 and 126 as dockerd does. The context given to Start bounds the
//     start only, not the life of the process.
//   - Command.Listen answers what the program asks to listen on. With host
//     networking a wildcard or loopback host becomes Config.IP. Otherwise a
//     container port that is published becomes its host port or ports, any
//     other port a random one of Config.IP. The listener for a published port
//     has the method Unwrap() []net.Listener, which gives the listeners as
//     Config.Bind or Listen made them (one for each host port), for a machine that
//     hands descriptors to a child; its Close then says that the child has
//     closed its copies. While nothing inside listens, the engine itself
//     refuses connections to a published port, as the kernel inside of a real container does.
//   - Process.Wait returns when the process has ended and all its output is
//     written; its exit status is the shell's (128+n after signal n).
//
// # Promises
//
// Safe for concurrent use. A request never waits for another container than
// the one it names, and lists wait for none. State is written by rename before
// an answer that depends on it; an engine that is killed finds its containers
// again, stopped with exit code 137, and Boot starts those whose restart policy
// says so. When the context of New ends, restarts, followers and watchers end,
// without touching the processes (a power cut); Close is the clean shutdown.
//
// # Differences from dockerd, on purpose
//
//   - No namespaces. A container in bridge mode has the machine's address as
//     its own; published ports are sockets of the machine itself. HostIp
//     0.0.0.0 and 127.0.0.1 both mean the machine's address.
//   - Binds are relative symbolic links to the source inside Config.MachineRoot
//     ("ro" is recorded, not enforced); /sys and /proc as a source give an
//     empty folder; one bind inside another is refused.
//   - Memory, CPU and privilege settings are recorded, not enforced; no OOM;
//     HEALTHCHECK is recorded, not run; udp ports are recorded, not opened.
//   - A terminal (Tty) is line editing on the attached stream, not a pty.
//   - Images outside the catalogue, build, import, save, commit, export,
//     user-defined networks, swarm and plugins do not exist: the answer says so.
//   - load takes archives of lab's own images only (their label lab.images and
//     names of the catalogue tell them) and runs its own programs under them.
package engine
