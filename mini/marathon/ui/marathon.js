// Marathon's page: apps, deployments and events over the REST interface.
// Everything is named by strangers: see page.js.

import { actions, bar, button, byId, call, clock, every, h, live, long, plural, show, state, table, theme, tile } from "./page.js";
import { acts, closeSaid } from "./acts.js";
import { showApp } from "./app.js";
import { contents, crumbs, decode, filtered, folderRow, groupIDs, viewOf, wants } from "./folders.js";
import { openFilter } from "./filter.js";
import { appButtons, health, instances, retry, status, takes } from "./view.js";

const kinds = ["status_update_event", "health_status_changed_event", "failed_health_check_event", "unhealthy_task_kill_event",
  "api_post_event", "group_change_success", "group_change_failed", "deployment_info", "deployment_step_success", "deployment_step_failure",
  "deployment_success", "deployment_failed", "app_terminated_event", "add_health_check_event", "remove_health_check_event",
  "scheduler_registered_event", "scheduler_reregistered_event", "scheduler_disconnected_event", "framework_message_event"];

const appAddress = (id) => "#/apps" + id.split("/").map(encodeURIComponent).join("/");

// The overview.

function drawTotals(apps, deployments, queue) {
  const sum = (k) => apps.reduce((n, a) => n + a[k], 0);
  const unhealthy = sum("tasksUnhealthy"), waiting = queue.reduce((n, q) => n + q.count, 0);
  const delayed = queue.reduce((n, q) => n + (q.delay.overdue ? 0 : q.count), 0);
  show(byId("totals"),
    tile("Applications", apps.length, (apps.filter((a) => a.instances === 0).length || "none") + " suspended"),
    tile("Instances", [String(sum("tasksRunning")), h("small", {}, " of " + sum("instances"))], sum("tasksStaged") ? state("wait", sum("tasksStaged") + " staged") : "none staged"),
    tile("Healthy", sum("tasksHealthy"), unhealthy ? state("bad", unhealthy + " unhealthy") : "none unhealthy"),
    tile("Deployments", deployments.length, deployments.length ? state("wait", "under way") : "nothing under way"),
    tile("Waiting to start", waiting, delayed ? state("bad", delayed + " in back-off") : waiting ? state("wait", "for an offer") : "no task waits"));
}

function appRow(a, queue, cut) {
  const { kind, word, why } = status(a, queue.get(a.id));
  return { key: a.id, cells: [
    h("div", {}, h("a", { href: appAddress(a.id), class: long(a.id) }, a.id.slice(cut)), h("div", { class: "dim nowrap" }, takes(a))), instances(a), health(a),
    h("div", {}, state(kind, word), " ", retry(a, queue.get(a.id)), why ? h("div", { class: "why" }, why) : null), appButtons(a)] };
}

// drawApps draws what the filter lets through; what came last from the server
// is kept for it.
function drawApps() {
  if (!last) return;
  const { apps, groups, queue } = last, view = filter.view;
  const found = contents(apps, groups, queue, view);
  filter.offer(apps);
  show(byId("crumbs"), view.group || filtered(view) ? crumbs(view) : []);
  byId("found").textContent = filtered(view) ? `${found.apps.length} of ${plural(found.all.length, "app")}` :
    view.group ? `${plural(found.all.length, "app")}, ${wants(found.all)} in all` : "";
  const cut = view.group && !filtered(view) ? view.group.length + 1 : 0;
  table(byId("app-list"), [...found.folders.map((f) => folderRow(f, queue, view)), ...found.apps.map((a) => appRow(a, queue, cut))], nothing(view));
}

function nothing(view) {
  if (filtered(view)) return h("span", {}, "No app matches. ", button("clear", "Clear the search"));
  if (view.group) return `No app in ${view.group}.`;
  return h("span", {}, "No app yet. ", button("create", "Create the first one"));
}

const kindOf = (action) => (action.action ?? action.type ?? "").replace(/Application$/, "").toLowerCase();

function drawDeployments(list) {
  const rows = list.map((d) => {
    const steps = d.steps.map((st, i) => h("li", { class: i + 1 === d.currentStep ? "now" : i + 1 < d.currentStep ? "done" : null },
      i + 1 < d.currentStep ? "✓ " : i + 1 === d.currentStep ? "▶ " : "", (st.actions ?? []).map((x) => kindOf(x) + " " + x.app).join(", ")));
    return h("div", { class: "deployment", "data-key": d.id },
      h("div", {}, h("strong", {}, d.affectedApps.join(" ")), " ", state("wait", `step ${d.currentStep} of ${d.totalSteps}`), " ", h("span", { class: "id" }, d.id)),
      h("div", { class: "buttons" }, button("cancel", "Cancel and roll back", { id: d.id }), button("stop", "Stop", { id: d.id }, { class: "danger" })),
      h("ol", { class: "steps" }, steps));
  });
  show(byId("deployment-list"), rows.length ? rows : h("p", { class: "dim" }, "Nothing is being deployed."));
}

// The whole.

let shown = null, info = null, last = null;

async function refresh() {
  try {
    const [apps, deployments, queue, groups] = await Promise.all(["/v2/apps", "/v2/deployments", "/v2/queue", "/v2/groups?embed=group.groups"].map((p) => call("GET", p)));
    const waits = new Map(queue.queue.map((q) => [q.app.id, q]));
    info ??= await call("GET", "/v2/info");
    if (!info.frameworkId) info = null; // not registered yet: ask again
    drawTotals(apps.apps, deployments, queue.queue);
    drawDeployments(deployments);
    last = { apps: apps.apps, groups: groupIDs(groups), queue: waits };
    drawApps();
    if (shown) await showApp(shown, waits.get(shown), info, filter.address());
    if (info) byId("who").textContent = "Leader " + info.leader + " · framework " + info.frameworkId + " · API of Marathon " + info.version + ", spoken by mini Marathon";
    live(streaming ? "good" : "wait", streaming ? "live" : "asking every 2 s, no event stream");
  } catch (e) {
    info = null;
    live("bad", e.status ? e.message : "no answer from Marathon: " + e.message);
  }
}

let streaming = false;
const again = every(2000, refresh);

function listen() {
  let soon = 0;
  const later = () => { soon ||= setTimeout(() => { soon = 0; again(); }, 100); };
  const stream = new EventSource("/v2/events");
  stream.onopen = () => { streaming = true; later(); };
  stream.onerror = () => {
    streaming = false;
    later();
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
  for (const kind of kinds) stream.addEventListener(kind, (ev) => { note(kind, JSON.parse(ev.data)); later(); });
}

function note(kind, d) {
  const steps = d.currentStep ? [d.currentStep] : d.plan?.steps ?? [];
  const words = [d.appId ?? d.groupId ?? d.appDefinition?.id ?? steps.flatMap((x) => x.actions ?? []).map((x) => kindOf(x) + " " + x.app).join(", "),
    d.taskStatus, d.alive === undefined ? null : d.alive ? "alive" : "not alive", d.host, d.reason, d.message, d.taskId];
  const list = byId("event-list");
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 30;
  list.append(h("li", {}, h("span", { class: "dim n" }, clock(d.timestamp ?? Date.now())), h("span", { class: "what" }, kind.replace(/_event$/, "").replaceAll("_", " ")),
    h("span", {}, words.filter(Boolean).join(" · "))));
  while (list.children.length > 300) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

// route shows the overview or, for #/apps/…, one app.
function route() {
  shown = location.hash.startsWith("#/apps/") ? location.hash.slice("#/apps".length).split("/").map(decode).join("/") : null;
  const was = filter.view.group, view = viewOf(location.hash);
  if (view || location.hash === "#apps" || location.hash === "") filter.set(view);
  byId("overview").hidden = byId("totals").hidden = shown !== null;
  byId("app").hidden = shown === null;
  show(byId("app"), shown ? h("p", { class: "dim" }, "Asking for " + shown + " …") : []);
  if (shown) byId("main").focus();
  else if (filter.view.group !== was) byId("apps-h").focus(); // the link that led here has gone
  drawApps();
  again();
}

show(byId("legend"), [["good", "healthy"], ["plain", "not checked"], ["bad", "unhealthy"], ["staged", "staged"], ["", "missing"]].map(([k, word]) =>
  h("span", {}, bar(word, 1, k ? [[k, 1]] : []), word)));
const filter = openFilter(drawApps);
actions({ ...acts(again, () => filter.view.group, () => filter.address()), clear: () => filter.clear() });
closeSaid();
theme();
addEventListener("hashchange", route);
listen();
route();
