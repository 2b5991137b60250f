package endpoints

import (
	"bytes"
	"html/template"
	"net/http"
)

// help names what a master answers. Paths also work below /master/.
const help = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Help</title></head>
<body>
<h1>HELP</h1>
<table>
{{range .}}<tr><td><code>{{.Path}}</code></td><td>{{.Text}}</td></tr>
{{end}}</table>
</body>
</html>
`

type helped struct{ Path, Text string }

func helps() []helped {
	return []helped{
		{"/api/v1", "Operator API: POST a call, in JSON or protobuf."},
		{"/api/v1/scheduler", "Scheduler API: POST a call, in JSON or protobuf."},
		{"/files/browse, /files/read, /files/download, /files/debug", "Files of a master: there are none."},
		{"/flags", "The flags of this master."},
		{"/frameworks", "Frameworks; ?framework_id= for one."},
		{"/health", "200 while this master is healthy."},
		{"/logging/toggle", "The verbosity of the log; ?level=1&duration=10mins sets it."},
		{"/machine/down, /machine/up", "POST a list of machines to begin or to end their maintenance."},
		{"/maintenance/schedule, /maintenance/status", "Maintenance: what is planned (POST changes it), and which machines drain or are down."},
		{"/metrics/snapshot", "The metrics of this master."},
		{"/quota", "Quotas of roles; POST sets one, DELETE /quota/ROLE removes it."},
		{"/redirect", "Redirects to the leading master."},
		{"/registrar(1)/registry", "What the registry of the leading master holds."},
		{"/reserve, /unreserve", "POST slaveId=…&resources=[…] reserves resources of an agent, or takes that back."},
		{"/roles", "Roles with their frameworks, resources and weights."},
		{"/slaves", "Agents; ?slave_id= for one."},
		{"/state, /state-summary", "The state of the cluster."},
		{"/system/stats.json", "Load and memory of this computer."},
		{"/tasks", "Tasks; ?limit=, ?offset=, ?order=asc or desc."},
		{"/teardown", "POST frameworkId=… ends a framework and its tasks."},
		{"/version", "The version of this master."},
		{"/weights", "The weights of roles; PUT changes them."},
	}
}

// Help answers with the page of /help.
func Help(w http.ResponseWriter) {
	t, err := template.New("help").Parse(help)
	var b bytes.Buffer
	if err == nil {
		err = t.Execute(&b, helps())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}
