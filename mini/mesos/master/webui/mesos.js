// Mesos' page: polls /state and /webui/offers of the same master, and draws
// them. Agents, frameworks and tasks are named by strangers: see page.js.

import { bar, byId, call, every, h, link, live, long, memory, named, number, plural, show, span, state, table, theme, tile } from "./page.js";
import { openSandbox, sandboxAddress } from "./sandbox.js";

const maxAgents = 100;
const maxTasks = 200; // rows of a table

const running = ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_UNREACHABLE"];
const isOver = (t) => !running.includes(t.state);

function taskState(name) {
  const word = name.replace("TASK_", "").toLowerCase();
  if (name === "TASK_RUNNING") return state("good", word);
  if (["TASK_LOST", "TASK_FAILED", "TASK_ERROR", "TASK_UNREACHABLE", "TASK_DROPPED", "TASK_GONE"].includes(name)) return state("bad", word);
  return running.includes(name) ? state("wait", word) : state("off", word);
}

const active = (yes) => yes ? state("good", "active") : state("bad", "inactive");
const now = () => Date.now() / 1000;
const last = (t) => t.statuses.length ? t.statuses[t.statuses.length - 1].timestamp : 0;

// takes prints resources in short.
function takes(r) {
  const out = [];
  if (r.cpus > 0) out.push(plural(r.cpus, "CPU").replace(String(r.cpus), number(r.cpus)));
  if (r.mem > 0) out.push(memory(r.mem));
  if (r.gpus > 0) out.push(plural(r.gpus, "GPU"));
  return out.join(", ") || "nothing";
}

// The figures.

const sum = (list, what, key) => list.reduce((n, a) => n + (a[what][key] || 0), 0);

function meter(name, unit, total, used, offered) {
  const label = `${name}: ${unit(used)} of ${unit(total)} used` + (offered > 0 ? `, ${unit(offered)} offered` : "");
  return [h("span", {}, name), bar(label, total, [["used", used], ["offered", offered]]),
    h("span", { class: "n" }, h("strong", {}, unit(used)), " of " + unit(total))];
}

function drawTotals(st, tasks, offers) {
  const all = st.slaves;
  const on = tasks.filter((t) => t.state === "TASK_RUNNING").length;
  const coming = tasks.filter((t) => !isOver(t)).length - on;
  const share = (key, unit) => [
    unit(sum(all, "used_resources", key)),
    unit(sum(all, "resources", key) - sum(all, "used_resources", key)) + " free of " + unit(sum(all, "resources", key)),
    bar(key, sum(all, "resources", key), [["used", sum(all, "used_resources", key)], ["offered", sum(all, "offered_resources", key)]]),
  ];
  show(byId("totals"),
    tile("Agents active", st.activated_slaves, st.deactivated_slaves > 0 ? state("bad", st.deactivated_slaves + " inactive") :
      st.unreachable_slaves > 0 ? state("bad", st.unreachable_slaves + " unreachable") : "none inactive"),
    tile("Tasks running", on, coming > 0 ? state("wait", coming + " on their way") : "none on their way"),
    tile("CPUs used", ...share("cpus", number)),
    tile("Memory used", ...share("mem", memory)),
    tile("Frameworks", st.frameworks.filter((f) => f.active).length, plural(offers?.held.length ?? 0, "offer") + " held"));
}

function drawAgents(st, tasks) {
  const list = byId("agent-list");
  const sorted = [...st.slaves].sort((a, b) => a.hostname.localeCompare(b.hostname, undefined, { numeric: true }) || a.id.localeCompare(b.id));
  const cards = sorted.slice(0, maxAgents).map((a) => {
    const own = tasks.filter((t) => t.slave_id === a.id && !isOver(t)).length;
    const r = a.resources, u = a.used_resources, o = a.offered_resources;
    const attributes = Object.entries(a.attributes).map(([k, v]) => `${k}=${v}`);
    return h("article", { class: "agent" + (a.active ? "" : " bad"), "data-key": a.id, "aria-label": a.hostname },
      h("header", {}, h("h3", { class: long(a.hostname) }, a.hostname), active(a.active), h("span", { class: "right n" }, plural(own, "task"))),
      h("div", { class: "meter" }, meter("CPUs", number, r.cpus, u.cpus, o.cpus), meter("Memory", memory, r.mem, u.mem, o.mem),
        meter("Disk", memory, r.disk, u.disk, o.disk)),
      h("p", { class: "facts" }, h("span", {}, "since " + span(now() - (a.reregistered_time || a.registered_time))), attributes.map((x) => h("span", {}, x)), h("span", { class: "id" }, a.id)));
  });
  if (sorted.length > maxAgents) cards.push(h("p", { "data-key": "more", class: "dim" }, `and ${sorted.length - maxAgents} more: see /slaves`));
  show(list, cards.length ? cards : h("p", { class: "dim" }, "No agent has registered with this master yet."));
}

function drawFrameworks(st, tasks) {
  const cards = st.frameworks.map((f) => {
    const own = tasks.filter((t) => t.framework_id === f.id && !isOver(t)).length;
    const roles = f.roles ?? [f.role];
    const cpus = sum(st.slaves, "resources", "cpus"), mem = sum(st.slaves, "resources", "mem");
    const percent = Math.round(100 * Math.max(cpus ? f.used_resources.cpus / cpus : 0, mem ? f.used_resources.mem / mem : 0));
    return h("article", { class: "framework", "data-key": f.id },
      h("header", {}, h("h3", { class: long(f.name) }, f.webui_url ? link(f.webui_url, f.name) : f.name), active(f.active), h("span", { class: "right n" }, plural(own, "task"))),
      h("p", {}, "role " + roles.join(", "), " · uses ", takes(f.used_resources), " · " + percent + " % of the cluster"),
      h("p", { class: "dim" }, "registered " + span(now() - (f.reregistered_time || f.registered_time)) + " ago · ", plural(f.offers.length, "offer") + " held"),
      h("p", { class: "id" }, f.id));
  });
  show(byId("framework-list"), cards.length ? cards : h("p", { class: "dim" }, "No framework has subscribed."));
}

// Offers.

const outcomes = { accepted: "good", declined: "off", invalid: "bad", rescinded: "wait" };

function answer(o) {
  const n = o.tasks.length;
  const words = o.outcome === "accepted" && n > 0 ? [h("div", {}, "for " + plural(n, "task"))] : [];
  if (o.refuse > 0) words.push(h("div", { class: "dim" }, (n > 0 ? "the rest" : "all of it") + " refused for " + span(o.refuse)));
  return [state(outcomes[o.outcome] ?? "plain", o.outcome), ...words];
}

const whom = (x) => h("div", {}, h("strong", { class: long(x.framework) }, x.framework), h("div", { class: "dim" }, named(x.hostname || x.slave_id)));

function drawOffers(o) {
  const counts = [["made", o.made], ["accepted", o.accepted], ["declined", o.declined], ["rescinded", o.rescinded]];
  if (o.invalid > 0) counts.push(["invalid", o.invalid]);
  show(byId("offer-counts"), counts.map(([k, n]) => h("div", {}, h("dt", {}, k), h("dd", {}, n))));
  table(byId("held"), o.held.map((x) => ({ key: x.id, cells: [whom(x), takes(x.resources), span(o.now - x.made)] })),
    "none: every offer was answered");
  table(byId("filters"), o.filters.slice(0, 30).map((x) => ({ key: [x.framework_id, x.slave_id, x.role, x.resources.cpus, x.resources.mem].join(" "), cells: [
    whom(x), takes(x.resources), h("strong", { class: "n" }, span(x.left))] })), "nothing");
  table(byId("ended"), o.ended.slice(0, 12).map((x) => ({ key: x.id, cells: [
    h("span", { class: "nowrap" }, span(o.now - x.ended) + " ago"), whom(x), takes(x.resources), answer(x)] })), "no offer has been answered yet");
}

// Tasks.

function taskRow(t, host, when) {
  const cells = [h("div", {}, h("strong", { class: long(t.name) }, t.name), h("div", { class: "id" }, t.id)), taskState(t.state), host.has(t.slave_id) ? named(host.get(t.slave_id)) : h("span", { class: "id" }, t.slave_id + " (gone)"), ...when];
  return { key: t.framework_id + " " + t.id, cells: [...cells, h("a", { href: sandboxAddress(t), class: "nowrap", "aria-label": "Sandbox of " + t.id }, "Sandbox")] };
}

function drawTasks(st, tasks) {
  const host = new Map(st.slaves.map((a) => [a.id, a.hostname]));
  const since = (t) => last(t) ? span(now() - last(t)) : "0 s";
  const nowrap = (text) => h("span", { class: "nowrap" }, text);
  const on = tasks.filter((t) => !isOver(t)), over = tasks.filter(isOver);
  on.sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id));
  over.sort((a, b) => last(b) - last(a));
  const shown = (list) => list.length > maxTasks ? `the first ${maxTasks} of ${list.length}` : String(list.length);
  byId("running-n").textContent = shown(on);
  byId("over-n").textContent = over.length > maxTasks ? `the last ${maxTasks} of ${over.length}` : String(over.length);
  table(byId("running"), on.slice(0, maxTasks).map((t) => taskRow(t, host, [takes(t.resources), nowrap(since(t))])), "no task runs");
  table(byId("over"), over.slice(0, maxTasks).map((t) => taskRow(t, host, [nowrap(since(t) + " ago")])), "no task is over yet");
}

// The whole.

let tasks = [], latest = null;

async function refresh() {
  try {
    const [st, offers] = await Promise.all([call("GET", "/state"), call("GET", "/webui/offers")]);
    tasks = [...st.frameworks, ...st.completed_frameworks].flatMap((f) => [...f.tasks, ...f.unreachable_tasks, ...f.completed_tasks]);
    latest = st;
    drawTotals(st, tasks, offers);
    drawAgents(st, tasks);
    drawFrameworks(st, tasks);
    drawOffers(offers);
    drawTasks(st, tasks);
    byId("master-id").textContent = "elected, id " + st.id;
    live("good", "live");
  } catch (e) {
    live("bad", "no answer from the master: " + e.message);
  }
}

// route shows the overview or, for #/sandbox/…, a sandbox.
function route() {
  const inside = location.hash.startsWith("#/sandbox/");
  byId("overview").hidden = inside;
  byId("totals").hidden = inside;
  byId("sandbox").hidden = !inside;
  openSandbox(inside ? location.hash : null, (id) => tasks.find((t) => t.id === id), (id) => latest?.slaves.find((a) => a.id === id), taskState);
}

show(byId("legend"), [["used", "used"], ["offered", "offered"], ["", "free"]].map(([k, word]) => h("span", {}, bar(word, 1, k ? [[k, 1]] : []), word)));
theme();
every(1000, refresh);
addEventListener("hashchange", route);
route();
