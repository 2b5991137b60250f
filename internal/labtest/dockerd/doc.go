// Package dockerd gives tests a Docker engine of their own, for machines in
// containers: never the engine of this computer, and nothing of it stays.
//
// # How it lives
//
// The engine runs in namespaces of its own: network (so that 192.168.59.x and
// the firewall rules are nobody else's), processes and mounts. The first
// process in there is the test binary itself, in another role (see Main); it
// starts dockerd, and it holds a pipe whose other end is the test process.
// When that ends, however it ends, everything in the namespaces is killed and
// removed: containers, mounts, networks, control groups, data. If the first
// process itself is killed, the kernel ends all the others with it; the empty
// folders that are left then are swept away by the next start.
//
// A test that speaks to machines has to be in there, too: Inside runs the same
// test again, inside, and passes on its verdict. What needs this computer's
// own network (building the machine image from Debian's mirrors) is done
// outside, before.
//
// One engine serves all tests of one process.
//
// # Asking for it
//
// LAB_TEST_DOCKER=1 asks for these tests, which take minutes; without it they
// skip. They need Linux, root, and the programs of Debian's packages docker.io,
// iptables, iproute2, util-linux and mmdebstrap; where something is missing
// they skip and say what, or fail under LAB_TEST_NO_SKIP=1.
//
// LAB_TEST_DOCKER_DATA names a folder in which the engine's data stay from run
// to run, so that the machine image is built only once (70 s, 500 MB).
// Containers, volumes and networks in it are removed at each start. Two
// processes that name the same folder use it one after the other.
package dockerd
