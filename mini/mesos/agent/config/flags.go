package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

type kind int

const (
	text kind = iota
	boolean
	duration
	integer
)

// flag is one flag of the real mesos-slave. unset marks one that /flags does
// not show until it is given.
type flag struct {
	name  string
	kind  kind
	value string
	unset bool
}

// knownFlags are mesos-slave's of 0.26 to 1.3 with the defaults of 1.3.2,
// except work_dir and containerizers, which are 0.26's and ours.
func knownFlags() []flag {
	return slices.Concat(flagsActedOn(), flagsShown(), flagsUnset())
}

func flagsActedOn() []flag {
	return []flag{
		{"attributes", text, "", true},
		{"containerizers", text, "docker", false},
		{"default_role", text, "*", false},
		{"disk_watch_interval", duration, "1mins", false},
		{"docker_kill_orphans", boolean, "true", false},
		{"docker_remove_delay", duration, "6hrs", false},
		{"docker_socket", text, "/var/run/docker.sock", false},
		{"docker_stop_timeout", duration, "0ns", false},
		{"executor_registration_timeout", duration, "1mins", false},
		{"fetcher_cache_dir", text, "/tmp/mesos/fetch", false},
		{"fetcher_cache_size", text, "2GB", false},
		{"frameworks_home", text, "", false},
		{"gc_delay", duration, "1weeks", false},
		{"gc_disk_headroom", text, "0.1", false},
		{"help", boolean, "false", false},
		{"hostname", text, "", true},
		{"hostname_lookup", boolean, "true", false},
		{"ip", text, "", true},
		{"isolation", text, "posix/cpu,posix/mem", false},
		{"log_dir", text, "", true},
		{"master", text, "", true},
		{"max_completed_executors_per_framework", integer, "150", false},
		{"port", integer, "5051", false},
		{"quiet", boolean, "false", false},
		{"recover", text, "reconnect", false},
		{"registration_backoff_factor", duration, "1secs", false},
		{"resources", text, "", true},
		{"sandbox_directory", text, "/mnt/mesos/sandbox", false},
		{"strict", boolean, "true", false},
		{"switch_user", boolean, "true", false},
		{"version", boolean, "false", false},
		{"work_dir", text, "/tmp/mesos", false},
	}
}

func flagsShown() []flag {
	return []flag{
		{"appc_simple_discovery_uri_prefix", text, "http://", false},
		{"appc_store_dir", text, "/tmp/mesos/store/appc", false},
		{"authenticate_http_readonly", boolean, "false", false},
		{"authenticate_http_readwrite", boolean, "false", false},
		{"authenticatee", text, "crammd5", false},
		{"authentication_backoff_factor", duration, "1secs", false},
		{"authorizer", text, "local", false},
		{"cgroups_cpu_enable_pids_and_tids_count", boolean, "false", false},
		{"cgroups_enable_cfs", boolean, "false", false},
		{"cgroups_hierarchy", text, "/sys/fs/cgroup", false},
		{"cgroups_limit_swap", boolean, "false", false},
		{"cgroups_root", text, "mesos", false},
		{"container_disk_watch_interval", duration, "15secs", false},
		{"docker", text, "docker", false},
		{"docker_registry", text, "https://registry-1.docker.io", false},
		{"docker_store_dir", text, "/tmp/mesos/store/docker", false},
		{"docker_volume_checkpoint_dir", text, "/var/run/mesos/isolators/docker/volume", false},
		{"enforce_container_disk_quota", boolean, "false", false},
		{"executor_reregistration_timeout", duration, "2secs", false},
		{"executor_shutdown_grace_period", duration, "5secs", false},
		{"hadoop_home", text, "", false},
		{"http_command_executor", boolean, "false", false},
		{"http_heartbeat_interval", duration, "30secs", false},
		{"initialize_driver_logging", boolean, "true", false},
		{"launcher", text, "posix", false},
		{"launcher_dir", text, "/usr/libexec/mesos", false},
		{"logbufsecs", integer, "0", false},
		{"logging_level", text, "INFO", false},
		{"oversubscribed_resources_interval", duration, "15secs", false},
		{"perf_duration", duration, "10secs", false},
		{"perf_interval", duration, "1mins", false},
		{"qos_correction_interval_min", duration, "0ns", false},
		{"recovery_timeout", duration, "15mins", false},
		{"revocable_cpu_low_priority", boolean, "true", false},
		{"runtime_dir", text, "/var/run/mesos", false},
		{"systemd_enable_support", boolean, "true", false},
		{"systemd_runtime_directory", text, "/run/systemd/system", false},
	}
}

// flagsUnset have no default and no effect here.
func flagsUnset() []flag {
	names := map[string]kind{
		"acls": text, "advertise_ip": text, "advertise_port": text,
		"allowed_capabilities": text, "cgroups_net_cls_primary_handle": text,
		"cgroups_net_cls_secondary_handles": text, "container_logger": text,
		"credential": text, "default_container_info": text, "docker_config": text,
		"docker_mesos_image": text, "docker_sandbox_directory": text,
		"dynamic_ip_config": text, "executor_environment_variables": text,
		"executor_secret_key": text, "external_log_file": text, "firewall_rules": text,
		"hooks": text, "http_authenticators": text, "http_credentials": text,
		"image_providers": text, "image_provisioner_backend": text, "ip_discovery_command": text,
		"max_completed_executors": integer, "modules": text, "modules_dir": text,
		"network_cni_config_dir": text, "network_cni_plugins_dir": text,
		"nvidia_gpu_devices": text, "perf_events": text, "qos_controller": text,
		"resource_estimator": text, "resource_provider_config_dir": text,
		"slave_subsystems": text, "agent_subsystems": text, "cgroups_subsystems": text,
		"xfs_project_range": text, "default_container_image": text, "provisioner_backend": text,
		"docker_registry_timeout": duration, "docker_auth_server": text, "docker_auth_server_port": integer, "docker_registry_port": integer, "docker_puller": text,
		"docker_puller_timeout": text, "docker_local_archives_dir": text, "docker_discovery": text,
	}
	var out []flag
	for _, n := range slices.Sorted(maps.Keys(names)) {
		out = append(out, flag{n, names[n], "", true})
	}
	return out
}

// scanArgs splits the words of a command line into flags and values. It
// accepts --name=value, --name value, --switch and --no-switch.
func scanArgs(args []string, known map[string]flag) (map[string]string, error) {
	out := map[string]string{}
	for i := 0; i < len(args); i++ {
		word, ok := strings.CutPrefix(args[i], "--")
		if !ok || word == "" {
			return nil, fmt.Errorf("unexpected argument %q: flags are written --name=value", args[i])
		}
		name, value, hasValue := strings.Cut(word, "=")
		f, ok := known[name]
		if !ok && !hasValue {
			if positive, isNo := strings.CutPrefix(name, "no-"); isNo && known[positive].kind == boolean && known[positive].name != "" {
				out[positive] = "false"
				continue
			}
		}
		switch {
		case !ok:
			return nil, fmt.Errorf("failed to load unknown flag %q", name)
		case hasValue:
		case f.kind == boolean:
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		default:
			return nil, fmt.Errorf("failed to load flag %q: missing value", name)
		}
		out[name] = value
	}
	return out, nil
}
