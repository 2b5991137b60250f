// Package tree is ZooKeeper's data tree: nodes with data, versions, access
// lists and owners, and the rules by which requests change them.
//
// Nouns: a Tree holds nodes by path; a Change is one planned modification, as
// it is written to a log; an Event tells that a node was made, changed or
// removed, for watches to match; an Identity is what a connection has proven
// to be, matched against the entries of an ACL; a Node is a node laid open,
// for snapshots.
//
// Do checks requests against the tree and applies them, all or none; Apply
// repeats a logged Change without asking for permissions, but refuses what
// could not have happened. Both are deterministic: the same changes give the
// same tree. A Tree is not safe for concurrent use, does no I/O and asks no
// clock: transaction number and time come with each call.
//
// As in ZooKeeper a node counts the children ever created under it; that
// count numbers sequential nodes, and the cversion clients see is twice the
// count minus the children there are (so a fresh root has cversion -1).
//
// Left out on purpose: quotas (the nodes are there, nothing watches them),
// container and TTL nodes, which came after 3.4.
package tree
