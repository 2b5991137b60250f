package flags

// known is one flag of the real mesos-master 1.3.2.
type known struct {
	name string
	// def is the value if none is given; "" means the flag is then absent
	// from /flags.
	def     string
	boolean bool
	// acts says that this master does something with it.
	acts bool
}

// aliases maps names of 0.26 to those of 1.3.
func aliases() map[string]string {
	return map[string]string{
		"slave_ping_timeout":           "agent_ping_timeout",
		"max_slave_ping_timeouts":      "max_agent_ping_timeouts",
		"slave_reregister_timeout":     "agent_reregister_timeout",
		"slave_removal_rate_limit":     "agent_removal_rate_limit",
		"recovery_slave_removal_limit": "recovery_agent_removal_limit",
		"authenticate":                 "authenticate_frameworks",
		"authenticate_slaves":          "authenticate_agents",
	}
}

// table lists the flags of mesos-master 1.3.2 with their defaults, and ours.
func table() []known {
	t := []known{
		{"agent_ping_timeout", "15secs", false, true},
		{"agent_reregister_timeout", "10mins", false, true},
		{"allocation_interval", "1secs", false, true},
		{"allocator", "HierarchicalDRF", false, false},
		{"authenticate_agents", "false", true, false},
		{"authenticate_frameworks", "false", true, false},
		{"authenticate_http_frameworks", "false", true, false},
		{"authenticate_http_readonly", "false", true, false},
		{"authenticate_http_readwrite", "false", true, false},
		{"authenticators", "crammd5", false, false},
		{"authorizers", "local", false, false},
		{"compat", "0.26", false, true},
		{"framework_sorter", "drf", false, false},
		{"help", "false", true, true},
		{"hostname_lookup", "true", true, true},
		{"http_authenticators", "basic", false, false},
		{"initialize_driver_logging", "true", true, false},
		{"log_auto_initialize", "true", true, false},
		{"logbufsecs", "0", false, false},
		{"logging_level", "INFO", false, false},
		{"max_agent_ping_timeouts", "5", false, true},
		{"max_completed_frameworks", "50", false, true},
		{"max_completed_tasks_per_framework", "1000", false, true},
		{"max_unreachable_tasks_per_framework", "1000", false, true},
		{"port", "5050", false, true},
		{"quiet", "false", true, true},
		{"recovery_agent_removal_limit", "100%", false, false},
		{"registry", "replicated_log", false, true},
		{"registry_fetch_timeout", "1mins", false, false},
		{"registry_gc_interval", "15mins", false, false},
		{"registry_max_agent_age", "2weeks", false, false},
		{"registry_max_agent_count", "102400", false, false},
		{"registry_store_timeout", "20secs", false, true},
		{"registry_strict", "false", true, false},
		{"root_submissions", "true", true, false},
		{"user_sorter", "drf", false, false},
		{"version", "false", true, true},
		{"webui_dir", "/usr/share/mesos/webui", false, false},
		{"zk_session_timeout", "10secs", false, true},
	}
	for _, name := range []string{"advertise_ip", "advertise_port", "cluster", "hostname", "ip", "log_dir",
		"offer_timeout", "quorum", "roles", "weights", "work_dir", "zk"} {
		t = append(t, known{name, "", false, true})
	}
	for _, name := range []string{"acls", "agent_removal_rate_limit", "authentication_v0_timeout", "credentials",
		"external_log_file", "firewall_rules", "hooks", "http_framework_authenticators", "ip_discovery_command",
		"modules", "modules_dir", "rate_limits", "whitelist"} {
		t = append(t, known{name, "", false, false})
	}
	return t
}
