// Package stack is the article's platform as data and what it takes to bring
// it up, ask it and put an application on it: ZooKeeper, Mesos, Marathon and
// Marathon-LB on the master, a Mesos slave on each other machine.
//
// # Nouns
//
// A Platform is a lab's spec resolved for its machines: addresses, images,
// ping times. Its Containers are definitions, the same for the seed's images
// and for lab's own (the mini stack); only names of images and what the mini
// stack needs beyond them differ. Converge makes the engines hold exactly
// these containers, each started when those it needs are ready. Clients are
// thin typed clients of the four programs' HTTP (and ZooKeeper's four-letter)
// interfaces. A Definition is an application as Marathon gets it; Deploy puts
// it there. Observe looks at everything at once.
//
// # Promises
//
// Converge and Deploy look before they act and may be repeated after any
// interruption. Only containers that carry this lab's label, or the id of one
// of its slaves, are ever touched; a stranger with one of our names is an error
// (container-foreign). Nothing
// sleeps: every wait is for a condition and says what it waits for. Observe
// never fails as a whole: what does not answer is reported so. All clients are
// safe for concurrent use, follow their context, and give up a call after
// some seconds even without one.
//
// # What it touches
//
// Containers on the machines' engines and applications in Marathon. When a
// slave's definition has changed, through the machine's shell the link
// meta/slaves/latest of its work directory (Mesos refuses to recover with other
// resources) and the containers of that slave's tasks. No files here.
//
// # Not here
//
// Machines and their engines (package provision), bringing images to them
// (provision/images; WantedImages says which), what a fault does (package
// scenarios), rendering (internal/ui).
package stack
