// Package zookeeper is one ZooKeeper 3.4 server: Run speaks its wire protocol
// and its four-letter words, on one port, over one folder of data.
//
// Nouns: a session is what a client keeps over broken connections; a conn is
// one of those connections; a watch is a conn's wish to be told once of the
// next change; a transaction (zxid) is a step of the whole state, refused
// requests included; a word is a four-letter command like `ruok`.
//
// What it promises. Requests of all clients are done one after the other, and
// each reply and event leaves in the order in which things happened, so an
// event arrives before the reply to any later read. What leaves, leaves after
// the log records of all that happened before it are on the disk: neither a
// killed process nor a power cut loses anything that anybody has heard of. Many
// writers share one flush. With forceSync=no write(2) is enough, which a power
// cut of the computer below need not survive. Sessions and their ephemeral
// nodes survive a restart and then have their whole timeout to come back. A
// session lives for exactly its timeout after the last packet (the real server
// rounds up to the next tick). When ctx ends, Run closes everything, waits for
// all its goroutines and returns 0; 1 is a failure (port taken, disk full,
// damaged data), 2 a wrong command line or configuration.
//
// It touches: the port (clientPort, default 2181, on clientPortAddress or all
// addresses), the folder <dataDir>/lab-v1 (package store), and its two output
// streams. It starts no process.
//
// Arguments are zkServer.sh's: start-foreground, and the path of a zoo.cfg.
// ZOO_PORT and LOCAL_IP in the environment stand for clientPort and
// clientPortAddress where the file does not set them, and JVMFLAGS may have
// -Dzookeeper.forceSync=no, as with the real zkServer.sh.
//
// Left out on purpose: ensembles, observers, read-only mode, SASL, quotas, the
// super user, dynamic configuration, JMX, container and TTL nodes, and the
// real server's file formats. Known to differ: replies to malformed requests
// take no transaction number; children are listed in sorted order; mntr has
// no file descriptor counts; snapshots are taken while requests wait (every
// 10,000 transactions, some milliseconds a megabyte).
//
// Sources: the code of ZooKeeper 3.4 (PrepRequestProcessor,
// FinalRequestProcessor, DataTree, NIOServerCnxn) for the rules; tested with
// github.com/go-zookeeper/zk.
package zookeeper
