// Package fetcher brings the URIs of a task's command into its sandbox before
// the command starts, as Mesos' fetcher does (1.3.2, src/launcher/fetcher.cpp).
//
// Nouns. A Job is what one container wants. A source is where a URI leads: a
// file of the machine (file://, or a path), or http and https. The Cache keeps
// what URIs with "cache" brought, for all tasks of one user, up to a size.
//
// What a URI's flags mean: executable makes the file executable; else extract
// (the default) unpacks .tar .tgz .tar.gz .tbz2 .tar.bz2 .txz .tar.xz .gz and
// .zip, by name, and leaves the archive beside its content, unless it came from
// the cache; output_file names the copy. Redirects are followed, any status but
// 200 is an error.
//
// Nothing is ever written outside of the sandbox: all writing goes through an
// os.Root, names in archives that lead out are errors, and so are links that do.
// A cut-off job leaves what it had brought, as the real one does. An archive that
// is small takes little memory: an .xz may announce a dictionary of 64 MiB, not
// of 4 GiB.
//
// It writes to the sandbox and the cache folder only. Owners, groups, devices
// and extended attributes of archives are not taken over.
//
// Left out: hdfs, s3 and whatever else the Hadoop client of a real agent
// fetches, and ftp.
package fetcher
