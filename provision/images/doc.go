// Package images brings the stack's images onto machines with real Docker
// engines, without a registry where it can.
//
// # Nouns
//
// An Image says how one of lab's own programs is started; a list of them is a
// catalogue. A Maker makes the catalogue's images from a static lab binary: one
// layer, one config for each image, one archive that docker load takes. An
// Archive is such a file, or any that docker save has written, read and
// checked. Deliver looks what each machine's engine lacks and brings it there:
// from an archive, from the Maker, from another machine that has it, or from a
// registry, by one machine for all.
//
// # Promises
//
// Archives are made byte for byte the same from the same binary, catalogue and
// version of Go. Their images carry the label lab.images with a digest of their
// content: an engine that shows it gets nothing a second time. An engine whose
// images carry the value BuiltIn there runs lab's programs by itself and is
// left alone.
//
// An upload that was interrupted goes on where it stopped, and the whole is
// checked by SHA-256 on the machine before Docker gets it. Disk space is looked
// at before anything is sent or pulled. Each image is pulled from a registry
// at most once, whatever the number of machines: a class behind one address
// shares the registry's limit.
//
// # What it touches
//
// On a machine: images of its engine, and a folder /var/tmp/lab-images-<uid>
// that is gone after success. /var/tmp, because /tmp may lie in memory and does
// not survive a reboot. Here: the cache folder that it is given.
//
// # Not here
//
// Which images a stack needs (package stack), the engine of embedded machines,
// building images from Dockerfiles, speaking to registries.
package images
