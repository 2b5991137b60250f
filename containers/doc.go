// Package containers makes machines of system containers: a lab.Provider
// named "docker" whose machines run systemd, sshd and a Docker engine of their
// own inside one container each, on the engine of this computer.
//
// # Nouns
//
// A machine is two containers. The card (<lab>-<id>-<node>-net) is its network
// card: a sleeping process that holds the address and nothing else. The
// machine proper (<lab>-<id>-<node>) lives in the card's network namespace and
// can die, freeze and come back while the card keeps the address. A volume
// holds the machine's /var/lib/docker; one bridge network per lab has the
// spec's /24, with this computer at .254. The image of both is built by lab
// from Debian packages: see Recipe.
//
// # Power
//
// Crash kills the machine and leaves the card plugged in, so the kernel
// answers for the dead: open connections end, new ones are refused. Cut
// unplugs the card from the network, and only then kills, so nobody hears of
// it: packets vanish, as before a computer without power.
// (Like on any LAN, a peer's address cache expires after some 30 s; from then
// on the peer's own kernel says "no route to host" after 3 s.) PowerOn kills
// what a half-done cut left alive before it plugs the card in again. Pause
// freezes and unplugs; going on is the reverse, and connections live on.
//
// # Promises
//
// Every method first looks at the engine, then acts, so that it may be
// interrupted and repeated. Nothing is touched that lacks the label
// lab.name=<name>/<id>. The state of a machine is what the engine says, never
// a file. Safe for concurrent use on different labs; the caller locks a lab
// that it changes.
//
// # Checks
//
// Check looks for what would break a lab before anything is made. Only a full
// check starts something: one container of /bin/true, to see whether the engine
// gives it the rights of a machine.
//
// # What it touches
//
// On the engine: the containers, volumes and network of the lab, and the image
// lab/machine:<hash of the recipe>, which Destroy leaves for the next lab. In
// the lab's folder: keys/id_ed25519, id_ed25519.pub, and machines/<node>.json
// with the host key that the machine got before its first boot. It listens to
// nothing.
//
// # Tests
//
// go test uses a twin of the engine. TestRealEngine takes some three minutes
// on a real one: see internal/labtest/dockerd for how it is asked for.
//
// # Left out on purpose
//
// Engines whose containers this computer cannot reach by address (Docker
// Desktop, rootless engines, engines elsewhere): they are refused with
// engine-unsuitable. Disk limits. Machines see the memory of the whole
// computer in /proc/meminfo, although they are limited.
package containers
