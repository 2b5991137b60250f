// Package jute encodes and decodes the records of ZooKeeper's client protocol.
//
// Nouns: an Encoder appends values to a byte slice, a Decoder takes them out
// again and remembers the first error; a Request is the body of one client
// request, identified by its Op; a Code is an error number as the server sends
// it. Integers are big endian, a buffer or string is preceded by its length
// (-1 is "none"), a vector by its count.
//
// The package promises that decoding never panics and never allocates more
// than a small multiple of its input, whatever the bytes are, and that what it
// decoded encodes to the same bytes, apart from trailing bytes, which are
// ignored as ZooKeeper ignores them, and vectors of length -1, which become
// empty ones. It holds no state and touches no files or connections.
//
// Left out on purpose: the server-to-server records, SASL, quotas and
// everything that came after ZooKeeper 3.4, except create2.
//
// Source of the record layouts: src/zookeeper.jute of ZooKeeper 3.4.
package jute
