// Package box makes a libvirt box of Debian 12 from Debian's packages: no box
// hosting, no virtual machine, no loop device.
//
// # The way
//
//	mmdebstrap ─▶ system.tar ─▶ mke2fs -d, sfdisk, GRUB's first sectors ─▶ disk.raw
//	    ─▶ qemu-img ─▶ box.img (qcow2) ─▶ FILE.box (tar, gzip) with metadata.json
//
// A Recipe is all of that as data: the files in image/ and a few figures, with
// a hash. Build runs it in a folder of its own beside the box, which comes to
// its name by rename; an interrupted build leaves nothing.
//
// # The box
//
// Its user is vagrant, with Vagrant's well-known key (which Vagrant replaces at
// first boot) and passwordless sudo. sshd and docker.io are inside, so that
// machines download nothing; Docker first starts when lab has configured it.
// systemd-networkd configures the network, by DHCP on eth0; Vagrant adds the
// others. The kernel command line is that of /etc/default/grub.d: update-grub
// works, and provisioning may choose another cgroup version by it. Host keys
// and machine id are made at first boot.
//
// # Left out on purpose
//
// Other VM providers, other systems and other processors than amd64: their
// boxes come from elsewhere, by vagrant.box_url.
package box
