// Package labtest is what lab's tests stand on: an in-memory network for
// testing/synctest bubbles, a disk that is slow or full, free loopback subnets
// for labs on real sockets, an in-memory Provider, and the one conformance suite
// every Provider runs.
//
// Nothing here is linked into lab itself.
package labtest
