// Package config reads what a mini Mesos agent is started with: the words of
// its command line, MESOS_* environment variables, and the machine itself
// where neither says how big it is.
//
// Nouns. Config is the outcome. A flag is one of the real mesos-slave's, by
// its name; what this agent cannot act on is accepted and shown, what the
// real one does not know is refused. Resources and attributes are the strings
// of --resources and --attributes.
//
// The command line wins over the environment. Durations are written as Mesos
// wants them ("2secs", "10mins"); "2s" is refused. A value "file:///path" is
// replaced by what the file holds.
//
// It reads /proc/meminfo, the size of the disk under --work_dir and files
// named by values, all through Env.Path; it opens no ports.
//
// Left out: resources as JSON, and name resolution of --hostname_lookup (the
// machine's own name is used).
package config
