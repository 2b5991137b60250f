// One app: its tasks, versions, definition and last failure.

import { button, byId, call, h, link, live, show, span, state, table } from "./page.js";
import { crumbs, none } from "./folders.js";
import { appButtons, health, instances, retry, status, takes } from "./view.js";

const since = (t) => t ? span((Date.now() - new Date(t)) / 1000) : "";

function taskState(t, checked) {
  if (!t.startedAt) return state("wait", "staged");
  const results = t.healthCheckResults ?? [];
  if (results.length === 0) return state("plain", checked ? "running, not checked yet" : "running");
  const bad = results.find((r) => !r.alive);
  if (!bad) return state("good", "healthy");
  return h("div", {}, state("bad", "unhealthy"), h("div", { class: "dim" }, plain(bad)));
}

const plain = (r) => [r.consecutiveFailures + " failures in a row", r.lastFailureCause].filter(Boolean).join(": ");

// sandbox is where Mesos' page shows what a task prints.
function sandbox(t, info) {
  const mesos = info?.marathon_config?.mesos_leader_ui_url;
  if (!mesos || !info.frameworkId) return null;
  return link(mesos + "#/sandbox/" + [t.slaveId, info.frameworkId, t.id].map(encodeURIComponent).join("/"), "Sandbox", { "aria-label": "Sandbox of " + t.id });
}

function drawTasks(a, info) {
  const body = h("tbody");
  const all = h("table", {}, h("thead", {}, h("tr", {}, ["Task", "Where", "State", "Since", "Version", ""].map((x) => h("th", {}, x)))), body);
  const rows = [...a.tasks].sort((x, y) => x.id.localeCompare(y.id)).map((t) => ({ key: t.id, cells: [
    h("span", { class: "id" }, t.id),
    h("div", {}, t.ports.length ? t.ports.map((p) => h("div", {}, link("http://" + t.host + ":" + p + "/", t.host + ":" + p))) : t.host),
    taskState(t, a.healthChecks.length > 0), since(t.startedAt ?? t.stagedAt),
    h("span", { class: t.version === a.version ? "" : "dim" }, new Date(t.version).toLocaleTimeString(), t.version === a.version ? "" : " (old)"),
    h("div", { class: "buttons" }, sandbox(t, info), button("kill", "Kill", { id: a.id, task: t.id }, { class: "danger", "aria-label": "Kill " + t.id })),
  ] }));
  table(body, rows, "no task");
  return all;
}

function drawVersions(a, versions) {
  return h("table", {}, h("thead", {}, h("tr", {}, ["Version", "", ""].map((x) => h("th", {}, x)))), h("tbody", {}, versions.slice(0, 12).map((v) =>
    h("tr", { "data-key": v }, h("td", { "data-label": "Version" }, h("span", { class: "nowrap" }, new Date(v).toLocaleString()), h("div", { class: "id" }, v)),
      h("td", {}, v === a.version ? state("good", "now") : ""),
      h("td", {}, h("div", { class: "buttons" }, button("version", "Show", { id: a.id, version: v }),
        v === a.version ? null : button("rollback", "Roll back to it", { id: a.id, version: v })))))));
}

function drawFailure(f) {
  if (!f) return null;
  return h("section", { class: "card", "data-key": "failure" }, h("header", {}, h("h2", {}, "Last failure"), state("bad", f.state.replace("TASK_", "").toLowerCase())),
    h("p", {}, f.message || "no message"), h("p", { class: "dim" }, new Date(f.timestamp).toLocaleString() + " on " + f.host), h("p", { class: "id" }, f.taskId));
}

// definition is what can be written again: without counts, ids of tasks, and
// what is unset.
export function definition(a) {
  const skip = ["tasks", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy", "deployments", "lastTaskFailure", "version", "versionInfo", "taskStats", "readinessCheckResults", "uris", "ports"];
  const empty = (v) => v === null || (Array.isArray(v) && v.length === 0) || (typeof v === "object" && !Array.isArray(v) && Object.keys(v).length === 0);
  return Object.fromEntries(Object.entries(a).filter(([k, v]) => !skip.includes(k) && !empty(v)));
}

// showApp draws an app into #app; queued is its place in the queue, back the
// address of the list that it was chosen from.
export async function showApp(id, queued, info, back) {
  const place = byId("app");
  let a, versions;
  try {
    [{ app: a }, { versions }] = await Promise.all([call("GET", "/v2/apps" + id), call("GET", "/v2/apps" + id + "/versions")]);
  } catch (e) {
    if (e.status !== 404) throw e;
    show(place, h("section", { class: "card" }, h("p", {}, "There is no app " + id + " (any more)."), h("p", {}, h("a", { href: back }, "← All applications"))));
    live("good", "live");
    return;
  }
  if (place.hidden) return; // somebody went elsewhere meanwhile
  const { kind, word, why } = status(a, queued), cut = a.id.lastIndexOf("/");
  show(place,
    h("section", { class: "card stack", "data-key": "head" },
      h("header", {}, crumbs({ ...none, group: a.id.slice(0, cut) }, a.id.slice(cut + 1)), h("a", { href: back, class: "right" }, "← Back to the list")),
      h("header", {}, h("h1", { class: "title" }, a.id), state(kind, word), why ? h("span", { class: "dim" }, why) : null, retry(a, queued)),
      instances(a), health(a),
      h("p", { class: "facts" }, h("span", {}, "each takes " + takes(a)), a.ports.length ? h("span", {}, "service ports " + a.ports.join(", ")) : null,
        a.constraints.length ? h("span", {}, "constraints " + a.constraints.map((c) => c.join(" ")).join("; ")) : null),
      appButtons(a, button("change", "Change", { id: a.id }))),
    h("section", { class: "card", "data-key": "tasks" }, h("header", {}, h("h2", {}, "Tasks")), drawTasks(a, info)),
    drawFailure(a.lastTaskFailure),
    h("div", { class: "pair", "data-key": "pair" },
      h("section", { class: "card" }, h("header", {}, h("h2", {}, "Versions")), drawVersions(a, versions)),
      h("section", { class: "card" }, h("header", {}, h("h2", {}, "Definition")), h("pre", { tabindex: "0", "aria-label": "Definition" }, JSON.stringify(definition(a), null, 2)))));
}
