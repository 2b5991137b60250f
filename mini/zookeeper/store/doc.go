// Package store keeps the server's state on disk: an append-only log of
// transactions and snapshots of everything.
//
// Nouns: a State is the tree, the sessions and the number of the last
// transaction; a Txn is one transaction, whether it changed nodes, opened or
// closed a session, or failed; a Store is an open folder.
//
// Append returns after write(2) of all it was given, so a killed process loses
// nothing, and with Options.Sync after fsync(2), so a power cut loses nothing
// either; of records that were written together the first ones may be there
// after it, and the others not. Open repeats what was logged. A record that is torn or does
// not match its checksum at the end of the last log is cut off, with a word; a
// damaged file that cannot be explained so is an error that names the file,
// never a silent loss. A snapshot is written to a temporary name, synced and
// renamed, then what it makes superfluous is removed. A Store is not safe for
// concurrent use, and one folder belongs to one Store at a time.
//
// Files, in the folder given: snapshot.<zxid of the last transaction in it>, and
// log.<zxid after that of the snapshot before it, or 1>, numbers in 16 hex
// digits. A log may begin with transactions that the snapshot has.
// A log is 8 bytes of magic, then records: length and CRC-32C of the payload
// (4 bytes each, big endian), the payload. A snapshot is 8 bytes of magic, the
// payload and its CRC-32C. Payloads are jute.
//
// Left out on purpose: the file formats of the real ZooKeeper, which this one
// neither reads nor writes.
package store
