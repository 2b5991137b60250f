package marathon

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathon/api"
)

func TestFlags(t *testing.T) {
	env := mini.Env{Hostname: "node1", Args: strings.Fields("--master zk://192.168.59.1:2181/mesos --zk=zk://192.168.59.1:2181/marathon --event_subscriber http_callback " +
		"--max_tasks_per_offer 3 --decline_offer_duration=1000 --disable_ha --checkpoint --disable_zk_compression --failover_timeout 60 --logging_level debug"),
		Environ: []string{"MARATHON_HTTP_PORT=9000", "MARATHON_MAX_TASKS_PER_OFFER=9", "MARATHON_APP_ID=/x", "MARATHON_DISABLE_METRICS=", "PATH=/bin", "MARATHON_TASK_LAUNCH_TIMEOUT=600000"}}
	o, err := parseOptions(env)
	if err != nil {
		t.Fatal(err)
	}
	if o.httpPort != 9000 || o.core.MaxTasksPerOffer != 3 || o.core.DeclineFor != time.Second || !o.checkpoint || o.failover != time.Minute ||
		o.core.LaunchTimeout != 10*time.Minute || o.address() != "node1:9000" || o.user != "root" || o.core.MinRevive != 5*time.Second {
		t.Errorf("%+v", o)
	}
	if i := o.info(); i.Events == nil || i.Marathon["master"] != "zk://192.168.59.1:2181/mesos" {
		t.Errorf("info %+v", i)
	}
	if off, err := parseOptions(mini.Env{Args: []string{"--master", "m:5050", "--disable_checkpoint"}}); err != nil || off.checkpoint {
		t.Errorf("checkpoint %v, %v", off.checkpoint, err)
	}
}

func TestRolesPrefixAndCredentials(t *testing.T) {
	for args, want := range map[string]string{"": "[*]", "--mesos_role web": "[* web]", "--mesos_role web --default_accepted_resource_roles web": "[web]",
		"--mesos_role * --default_accepted_resource_roles *": "[*]"} {
		o, err := parseOptions(mini.Env{Args: strings.Fields("--master m:5050 " + args)})
		if err != nil || fmt.Sprint(o.core.Rules.Roles) != want {
			t.Errorf("%s: %v, %v", args, o.core.Rules.Roles, err)
		}
	}
	o, err := parseOptions(mini.Env{Args: strings.Fields("--master m:5050 --env_vars_prefix LAB_ --http_credentials lab:a:b --event_subscriber http_callback --http_endpoints http://a/x,http://b/y")})
	if err != nil || o.core.Rules.EnvPrefix != "LAB_" || *o.credentials != (api.Credentials{User: "lab", Password: "a:b", Realm: "Mesosphere"}) || len(o.endpoints) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestWrongFlagsEndWithOne(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"--master m:5050 --no_such_flag x", "unknown option --no_such_flag"}, {"--master", "--master needs a value"}, {"", "--master is missing"},
		{"--master m:5050 stray", `excess argument "stray"`}, {"--master m:5050 --http_port x", "--http_port x is no number"},
		{"--master m:5050 --zk nonsense", "--zk: "}, {"--master zk:// --internal_store_backend mem", "--master: "},
		{"--master m:5050 --event_subscriber mail", "can only be http_callback"}, {"--master m:5050 --internal_store_backend disk", "can only be zk or mem"},
		{"--master m:5050 --http_credentials lab", "'user:password'"}, {"--master m:5050 --default_accepted_resource_roles web", "will not receive offers: web"},
	} {
		var out, errs bytes.Buffer
		env := mini.Env{Args: strings.Fields(c.args), Stdout: &out, Stderr: &errs}
		if code := Run(t.Context(), env); code != 1 || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%s: code %d, says %q", c.args, code, errs.String())
		}
	}
	var errs bytes.Buffer
	env := mini.Env{Args: []string{"--master", "m:5050"}, Environ: []string{"MARATHON_STRAY=1"}, Stdout: &errs, Stderr: &errs}
	if code := Run(t.Context(), env); code != 1 || !strings.Contains(errs.String(), "--stray") {
		t.Errorf("a stray variable: %d %s", code, errs.String())
	}
}
