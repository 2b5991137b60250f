// Package handoff gives the processes of an embedded machine their place on
// the network: listeners that the machine opens for them and hands over by
// descriptor, and connections that come from the machine's own address. It also
// carries their wish to run programs that are not lab's own: the machine starts
// those, each under a supervisor, so that it can freeze, count and end them.
//
// A machine must be able to hush every listener of its processes (a power cut
// is silent), so it opens them itself and keeps a handle. A Host answers one
// child over a socketpair; a Client is the child's side. World is what a
// program needs, made from the variables the machine sets:
//
//	LAB_HANDOFF_FD  descriptor of the child's end of the socketpair
//	LAB_IP          the machine's address
//	LAB_HOSTS       node1=127.168.59.1,node2=127.168.59.2,…
//
// The protocol is one JSON object a line; descriptors travel with the answer
// (SCM_RIGHTS). Requests may overlap. The machine's handles live until the
// child closes the listener or its end of the socketpair, which death does;
// supervisors go on after that, and whoever comes next may wait for them and
// stop them by their identity.
//
// Safe for concurrent use. Without LAB_IP, World is the plain network of the
// process (a real container).
package handoff
