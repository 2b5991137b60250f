// Package wire is how a mini Mesos agent and its master speak: one TCP
// connection that the agent opens to the leading master, and typed messages
// both ways over it.
//
// Nouns. A Conn is such a connection. A Message is one of the struct types in
// messages.go; Register to Unregister travel from agent to master, the others
// from master to agent. An Object carries a mesos-go v1 message (TaskInfo,
// AgentInfo, …) as its protobuf bytes.
//
// The connection opens as an HTTP/1.1 request on the master's port:
//
//	GET /slave/v1 HTTP/1.1
//	Connection: Upgrade
//	Upgrade: mini-mesos-slave
//
// A leading master answers 101 and the bytes after the blank line are frames.
// Others answer 307 with Location //ip:port/slave/v1 of the leader, or 503
// while they know none. A frame is
//
//	4 bytes  length of the payload, big-endian, 1 … MaxPayload
//	1 byte   Version of this protocol
//	8 bytes  sequence number, big-endian, 1, 2, 3 … in each direction
//	payload  {"kind":"…","body":{…}} in JSON
//
// Promises. A frame of another version, out of sequence, too long or
// unreadable is an error of the connection, and every error of a connection
// is final: close it. A closed or broken connection is what "the agent
// disconnected" means to a master. Send may be called from several
// goroutines, Receive from one.
//
// The real Mesos speaks libprocess here (two one-way HTTP connections with
// protobuf bodies); this package does not try to. It opens no files and
// starts no processes; it does not reconnect, ping or time out by itself.
package wire
