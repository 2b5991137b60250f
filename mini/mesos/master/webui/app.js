// Polls /state and draws it. Only textContent is ever set: names of tasks
// and frameworks come from strangers.
"use strict";

const byId = (id) => document.getElementById(id);
const number = (x) => Number.isInteger(x) ? String(x) : x.toFixed(2);

function cell(text, cls, sub) {
  const td = document.createElement("td");
  td.textContent = text;
  if (cls) td.className = cls;
  if (sub) {
    const d = document.createElement("div");
    d.className = "id";
    d.textContent = sub;
    td.append(d);
  }
  return td;
}

function fill(id, rows, none) {
  const body = byId(id);
  const list = rows.map(({ cells, over }) => {
    const tr = document.createElement("tr");
    if (over) tr.className = "over";
    tr.append(...cells);
    return tr;
  });
  if (list.length === 0) {
    const tr = document.createElement("tr");
    const td = cell(none, "over");
    td.colSpan = 9;
    tr.append(td);
    list.push(tr);
  }
  body.replaceChildren(...list);
}

function since(seconds) {
  if (!seconds) return "";
  const d = Math.max(0, Math.round(Date.now() / 1000 - seconds));
  if (d < 120) return d + " s";
  if (d < 7200) return Math.round(d / 60) + " min";
  return Math.round(d / 3600) + " h";
}

const over = (s) => !["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"].includes(s);
function color(state) {
  if (state === "TASK_RUNNING") return "ok";
  if (["TASK_LOST", "TASK_FAILED", "TASK_ERROR", "TASK_UNREACHABLE"].includes(state)) return "bad";
  return over(state) ? "" : "wait";
}

const used = (o, key) => number(o.used_resources[key]) + " / " + number(o.resources[key]);

function drawTotals(s, tasks) {
  const running = tasks.filter((t) => t.state === "TASK_RUNNING").length;
  const sum = (key, what) => s.slaves.reduce((n, a) => n + a[what][key], 0);
  const facts = [
    ["agents active", s.activated_slaves, ""],
    ["agents disconnected", s.deactivated_slaves, s.deactivated_slaves > 0 ? "bad" : ""],
    ["tasks running", running, ""],
    ["CPUs used", number(sum("cpus", "used_resources")) + " / " + number(sum("cpus", "resources")), ""],
    ["memory used (MB)", number(sum("mem", "used_resources")) + " / " + number(sum("mem", "resources")), ""],
  ];
  byId("totals").replaceChildren(...facts.map(([what, value, cls]) => {
    const div = document.createElement("div");
    const b = document.createElement("b");
    b.textContent = value;
    b.className = cls;
    div.append(b, what);
    return div;
  }));
}

function draw(s) {
  const tasks = s.frameworks.flatMap((f) => [...f.tasks, ...f.unreachable_tasks, ...f.completed_tasks]);
  const host = new Map(s.slaves.map((a) => [a.id, a.hostname]));
  const live = (match) => tasks.filter((t) => !over(t.state) && match(t)).length;
  drawTotals(s, tasks);
  fill("agents", s.slaves.map((a) => ({ cells: [
    cell(a.hostname, "", a.id), cell(a.active ? "active" : "disconnected", a.active ? "ok" : "bad"),
    cell(live((t) => t.slave_id === a.id), "n"), cell(used(a, "cpus"), "n"), cell(used(a, "mem"), "n"),
    cell(a.offered_resources.ports || "", "n"), cell(since(a.reregistered_time || a.registered_time), "n"),
  ] })), "no agent has registered");
  fill("frameworks", s.frameworks.map((f) => ({ cells: [
    cell(f.name, "", f.id), cell(f.active ? "active" : "disconnected", f.active ? "ok" : "bad"),
    cell(f.role || (f.roles || []).join(", ")), cell(live((t) => t.framework_id === f.id), "n"),
    cell(number(f.used_resources.cpus), "n"), cell(number(f.used_resources.mem), "n"),
    cell(f.offers.length, "n"), cell(since(f.reregistered_time || f.registered_time), "n"),
  ] })), "no framework has subscribed");
  const last = (t) => t.statuses.length ? t.statuses[t.statuses.length - 1].timestamp : 0;
  const rank = (t) => over(t.state) ? 1 : 0;
  tasks.sort((a, b) => rank(a) - rank(b) || last(b) - last(a));
  fill("tasks", tasks.slice(0, 100).map((t) => ({ over: over(t.state), cells: [
    cell(t.id, "id"), cell(t.name), cell(t.state.replace("TASK_", "").toLowerCase(), color(t.state)),
    cell(host.get(t.slave_id) || "gone", "", host.has(t.slave_id) ? "" : t.slave_id),
    cell(number(t.resources.cpus), "n"), cell(number(t.resources.mem), "n"), cell(since(last(t)), "n"),
  ] })), "no tasks yet");
}

async function poll() {
  const sign = byId("live");
  try {
    const r = await fetch("/state", { cache: "no-store" });
    if (!r.ok) throw new Error(r.status + " " + r.statusText);
    draw(await r.json());
    sign.textContent = "";
  } catch (e) {
    sign.textContent = "no answer from the master: " + e.message;
    sign.className = "bad";
  }
  setTimeout(poll, 1000);
}

poll();
