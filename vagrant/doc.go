// Package vagrant makes real VMs: a lab.Provider that renders a Vagrantfile
// and drives the Vagrant command.
//
// # Nouns
//
// A Provider works in the folder of a lab (Plan.Dir) and leaves there:
//
//	Vagrantfile    rendered by Render; kept when it was changed by hand
//	.vagrant/      Vagrant's own state, with the key of each machine
//	vagrant.json   the record: endpoints, pinned host keys, last known states
//	vagrant.log    what Vagrant said, for the curious
//	vagrant.lock   held while a vagrant process works in the folder
//	machines/      a folder for each machine that was begun
//
// # Promises
//
// One vagrant process per lab at a time, also for questions: two of them stop
// each other. A machine counts as made only when Vagrant said that its up
// ended; one that exists and is not made is removed and made anew. Host keys
// are pinned when first seen. Status asks the remembered endpoints first and
// starts Vagrant only where they do not answer. A cancelled call interrupts
// Vagrant's whole process group, gives it Options.Grace, and then kills it.
//
// Questions (status, version) go through github.com/bmatcuk/go-vagrant. What
// changes machines does not: that library has no progress, gives up at lines
// of 64 KiB, drops what is not machine-readable, starts no process group and
// kills only the outermost process. See process.
//
// # Checks
//
// Check looks for what would break a lab before anything is made: versions,
// the VM provider and its driver, networks in the way, the box, room. What the
// quick ones run (VBoxManage, virsh) answers in a fraction of a second; what
// starts Ruby or asks another computer is for lab doctor.
//
// # What is inexact
//
// PowerCut is vagrant halt --force: the machine falls silent on the lab's
// network, but where Vagrant reaches it through a forwarded port of this
// computer (VirtualBox) the port itself refuses, and open connections through
// it end. PowerPause is vagrant suspend: libvirt freezes the machine in
// memory, VirtualBox and Parallels save it to disk, with the same effect on
// forwarded ports. PowerOff leaves an address at which nobody answers: no
// kernel is left to refuse. PowerCrash cannot be had from Vagrant and is no
// power mode of this provider.
//
// # Left out on purpose
//
// Windows hosts beyond what compiles; resizing disks (the box's size holds).
package vagrant
