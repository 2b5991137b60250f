// Package netns gives embedded machines network namespaces: each its own
// kernel's network with one card (eth0), all on one bridge of this computer,
// which has the last address but one of the subnet (.254), as machines in
// containers have it. Only root on Linux can make them.
//
// # Nouns
//
// A Net is one lab's: its bridge is called lab-<id>, the namespace of a
// machine lab-<id>-<node>. Namespaces have their names where ip netns keeps
// them (/run/netns), so that "ip netns exec lab-<id>-node2 tcpdump -i eth0"
// works, and outlive the processes in them: the kernel of a machine whose
// processes have died refuses whoever knocks.
//
// # Promises
//
// Every method looks before it acts, and may be interrupted and repeated.
// Nothing is touched that has no name of this lab. A reboot of the computer
// forgets everything; Ensure makes it anew.
//
// # Left out on purpose
//
// Ways to other networks: machines reach each other and this computer, no
// more. What runs in the namespaces, and what is wrong between them (package
// internal/disturb; Run runs its scripts).
package netns
