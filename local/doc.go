// Package local makes embedded machines: a Provider whose machines are
// processes of this binary, each with its own address, disk, SSH
// server and Docker-compatible engine. No VM, no root, no download.
//
// # Nouns
//
// A Provider works on the folder of a lab (Plan.Dir):
//
//	bin/<sha256, 16 digits>/lab   the copy of the binary that the machines run
//	keys/id_ed25519               the key that opens them, made once
//	machines/<node>/              each machine's folder, see package folder
//
// What a machine is lies in local/machine, its engine in local/engine, its
// shell in local/shell, the line discipline under it in local/terminal, its
// docker command in local/docker; local/silence cuts machines off from each
// other, local/netns gives them networks of their own where the spec says so,
// local/handoff gives its processes their network, internal/proctab
// knows processes by identity.
//
// # Promises
//
// Every method first looks at locks and processes, then acts, so it may be
// interrupted and repeated. A machine is alive exactly while its lock is
// locked. Processes are found by recorded pid and start time, and on Linux by
// a mark in their environment: nothing is ever signalled for its pid alone.
// Machines of a plan are handled at the same time. The Provider listens to
// nothing and keeps no state in memory; cancelling a call leaves machines
// that the next call finds.
//
// Check looks for what would break a lab before anything is made; machines that
// exist hold their addresses and ports themselves, and are left out.
//
// # Left out on purpose
//
// Addresses outside 127.0.0.0/8 without network namespaces; Windows.
package local
