// Which apps the list shows: a folder (a group) or, with a filter, all below it
// that match. All of that stands in the page's address, to be sent to others:
//
//   #/group/shop/eu?text=web&label=tier%3Afront&status=Running&health=unhealthy

import { h, long, memory, number, plural, state } from "./page.js";
import { health, instances, status } from "./view.js";

const fields = ["text", "label", "status", "health"];
export const none = { group: "", text: "", label: "", status: "", health: "" };

// group is "" for the root, else "/shop/eu".
const path = (id) => id.split("/").map(encodeURIComponent).join("/");

// viewOf reads a view from an address, null if it shows something else.
export function viewOf(hash) {
  const [place, query] = hash.split(/\?(.*)/s);
  if (place !== "#/group" && !place.startsWith("#/group/")) return null;
  const asked = new URLSearchParams(query ?? "");
  const view = { ...none, group: place.slice("#/group".length).split("/").map(decode).join("/").replace(/\/+$/, "") };
  for (const f of fields) view[f] = asked.get(f) ?? "";
  return view;
}

// decode leaves what somebody has mistyped as it is.
export function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// addressOf is the address of a view.
export function addressOf(view) {
  const asked = new URLSearchParams(fields.filter((f) => view[f]).map((f) => [f, view[f]]));
  if (!view.group && asked.size === 0) return "#apps";
  return "#/group" + path(view.group) + (asked.size ? "?" + asked : "");
}

export const filtered = (view) => fields.some((f) => view[f].trim() !== "");

export const labelsOf = (apps) => [...new Set(apps.flatMap((a) => Object.entries(a.labels ?? {}).flatMap(([k, v]) => [k, k + ":" + v])))].sort();

// What a folder holds.

const below = (id, group) => id.startsWith(group + "/");

// matches says whether an app passes: every word of the text in its id or in
// one of its labels, the label (a key, or key:value), status and health.
function matches(a, view, queue) {
  const labels = Object.entries(a.labels ?? {});
  const texts = [a.id, ...labels.map(([k, v]) => k + ":" + v)].map((x) => x.toLowerCase());
  const kinds = { healthy: a.tasksHealthy, unhealthy: a.tasksUnhealthy, "not checked": a.tasksRunning - a.tasksHealthy - a.tasksUnhealthy, staged: a.tasksStaged };
  return view.text.toLowerCase().split(/\s+/).every((word) => texts.some((x) => x.includes(word))) &&
    (!view.label || labels.some(([k, v]) => view.label === k || view.label === k + ":" + v)) &&
    (!view.status || status(a, queue.get(a.id)).word === view.status) &&
    (!view.health || kinds[view.health] > 0);
}

// contents are the folders and apps that a view shows. groups are the ids of
// all groups: one may be empty.
export function contents(apps, groups, queue, view) {
  const all = apps.filter((a) => below(a.id, view.group));
  if (filtered(view)) return { all, folders: [], apps: all.filter((a) => matches(a, view, queue)) };
  const child = (id) => view.group + "/" + id.slice(view.group.length + 1).split("/")[0];
  const ids = new Set(groups.filter((g) => below(g, view.group)).map(child));
  for (const a of all) if (child(a.id) !== a.id) ids.add(child(a.id));
  return { all, apps: all.filter((a) => child(a.id) === a.id),
    folders: [...ids].sort().map((id) => ({ id, apps: all.filter((a) => below(a.id, id)) })) };
}

// groupIDs are the ids of all groups below one, as /v2/groups tells them.
export const groupIDs = (g) => (g.groups ?? []).flatMap((x) => [x.id, ...groupIDs(x)]);

// How it looks.

const sum = (apps, of) => apps.reduce((n, a) => n + of(a), 0);

// wants is what apps take with all of their instances.
export const wants = (apps) => apps.length === 0 ? "nothing" :
  plural(sum(apps, (a) => a.cpus * a.instances), "CPU").replace(/^\S+/, number(sum(apps, (a) => a.cpus * a.instances))) + ", " + memory(sum(apps, (a) => a.mem * a.instances));

// gravity is the order in which a folder tells its apps' states.
const gravity = ["bad", "wait", "good", "off"];

// folderRow is a folder in the list: what is in it, added up.
export function folderRow({ id, apps }, queue, view) {
  const total = { instances: sum(apps, (a) => a.instances) };
  for (const k of ["tasksRunning", "tasksHealthy", "tasksUnhealthy", "tasksStaged"]) total[k] = sum(apps, (a) => a[k]);
  const words = new Map();
  for (const a of apps) {
    const { kind, word } = status(a, queue.get(a.id));
    words.set(word, { kind, word, n: (words.get(word)?.n ?? 0) + 1 });
  }
  const states = [...words.values()].sort((x, y) => gravity.indexOf(x.kind) - gravity.indexOf(y.kind));
  return { key: "folder " + id, cells: [
    h("div", {}, h("a", { href: addressOf({ ...none, group: id }), class: long(id), "aria-label": `Folder ${id}, ${plural(apps.length, "app")}` },
      h("span", { class: "folder", "aria-hidden": "true" }), id.slice(view.group.length + 1) + "/"),
    h("div", { class: "dim nowrap" }, plural(apps.length, "app") + ", " + wants(apps))),
    instances(total), health(total),
    h("div", { class: "states" }, states.length ? states.map((s) => state(s.kind, s.n + " " + s.word)) : h("span", { class: "dim" }, "empty")), null] };
}

// crumbs are the way from the root to a group; the filter comes along.
export function crumbs(view, last) {
  const parts = view.group.split("/").slice(1);
  const out = [["All applications", ""], ...parts.map((p, i) => [p, "/" + parts.slice(0, i + 1).join("/")])];
  return h("nav", { class: "crumbs", "aria-label": "Folder", "data-key": "crumbs" }, out.map(([word, group], i) => [i ? h("span", { class: "dim", "aria-hidden": "true" }, "/") : null,
    i === out.length - 1 && !last ? h("strong", { "aria-current": "page", class: long(word) }, word) : h("a", { href: addressOf({ ...view, group }), class: long(word) }, word)]),
  last ? [h("span", { class: "dim", "aria-hidden": "true" }, "/"), h("strong", { "aria-current": "page", class: long(last) }, last)] : null);
}
