// Building blocks of the mini stack's pages.
//
// What is shown comes from strangers. It enters the page by h() and s() only,
// which make text nodes and attributes of it, never markup; the page's policy
// (Trusted Types) makes the browser refuse everything else.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

// h builds an HTML element, s one of SVG. Attributes that are false, null or
// undefined are left out; so are such children.
export const h = (tag, attrs, ...children) => build(document.createElement(tag), attrs, children);
export const s = (tag, attrs, ...children) => build(document.createElementNS(SVG, tag), attrs, children);

function build(e, attrs, children) {
  for (const [k, v] of Object.entries(attrs ?? {})) {
    if (v !== false && v !== null && v !== undefined) e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false).map((c) => c instanceof Node ? c : String(c)));
  return e;
}

// link makes a link of a stranger's address if it leads to a web page, else
// plain text.
export function link(address, text, attrs) {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) return h("span", attrs, text);
  return h("a", { href: url.href, rel: "noreferrer noopener", ...attrs }, text);
}

const key = (n) => n.nodeType === Node.ELEMENT_NODE ? n.dataset.key : undefined;

// show makes parent's children equal to the given nodes, and keeps the
// elements that are there already: by data-key, else by their place. So focus,
// selection and scrolling survive.
export function show(parent, ...nodes) {
  nodes = nodes.flat(Infinity).filter(Boolean).map((n) => n instanceof Node ? n : document.createTextNode(n));
  const wanted = new Set(nodes.map(key).filter(Boolean));
  const there = new Map();
  for (const n of [...parent.childNodes]) {
    if (!key(n)) continue;
    if (wanted.has(key(n))) there.set(key(n), n);
    else n.remove();
  }
  let at = parent.firstChild;
  for (const next of nodes) {
    const k = key(next);
    let old = k ? there.get(k) : at && !key(at) ? at : null;
    if (old && old.nodeName !== next.nodeName) old = null;
    if (!old) {
      parent.insertBefore(next, at);
      continue;
    }
    if (old === at) at = at.nextSibling;
    else (parent.moveBefore ?? parent.insertBefore).call(parent, old, at);
    morph(old, next);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function morph(old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const a of [...old.attributes]) {
    if (!next.hasAttribute(a.name) && !(old.nodeName === "DETAILS" && a.name === "open")) old.removeAttribute(a.name);
  }
  for (const a of next.attributes) {
    if (old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
  }
  show(old, ...next.childNodes);
}

// Words and numbers.

export const number = (x) => !Number.isFinite(x) ? "–" : Number.isInteger(x) ? String(x) : String(Math.round(x * 100) / 100);
export const plural = (n, one, many) => n + " " + (n === 1 ? one : many ?? one + "s");
export const clock = (ms) => new Date(ms).toLocaleTimeString();

// memory prints megabytes.
export const memory = (mb) => mb >= 1024 ? number(mb / 1024) + " GB" : number(mb) + " MB";

// span prints a length of time in seconds.
export function span(seconds) {
  const d = Math.max(0, Math.round(seconds));
  if (d < 120) return d + " s";
  if (d < 7200) return Math.round(d / 60) + " min";
  if (d < 172800) return Math.round(d / 3600) + " h";
  return Math.round(d / 86400) + " days";
}

// Every state has a mark of its own, for those who cannot tell colours.
const marks = { good: "●", wait: "◐", bad: "✕", off: "○", plain: "▪" };

export const state = (kind, text) =>
  h("span", { class: "state " + kind }, h("span", { class: "mark", "aria-hidden": "true" }, marks[kind]), " ", text);

// bar draws parts of a total: [kind, amount] each. Kinds have patterns, not
// colours alone: used is solid, offered is striped, staged is dotted, bad is
// crossed. label says all of it in words.
export function bar(label, total, parts) {
  const whole = Math.max(total, parts.reduce((n, p) => n + p[1], 0)) || 1;
  const rects = [];
  let x = 0;
  for (const [kind, amount] of parts) {
    if (!(amount > 0)) continue;
    const width = 100 * amount / whole;
    const at = { x: x + "%", y: "0", width: width + "%", height: "100%" };
    rects.push(s("rect", { ...at, class: "fill " + kind }));
    if (kind !== "used" && kind !== "good") rects.push(s("rect", { ...at, fill: "url(#pattern-" + kind + ")" }));
    x += width;
  }
  return s("svg", { class: "bar", role: "img", "aria-label": label }, rects);
}

// named marks text that a stranger chose the length of.
// Only what is too long for a column is broken anywhere.
export const long = (text) => String(text).split(/\s/).some((w) => w.length > 22) ? "long" : null;
export const named = (text) => h("span", { class: long(text) }, text);

export const tile = (label, value, sub, extra) =>
  h("div", { class: "tile", "data-key": label }, h("span", { class: "label" }, label), h("b", {}, value), h("span", { class: "sub" }, sub ?? ""), extra ?? null);

// table fills a <tbody>; a row is {key, cells, cls}, a cell a node, text, or
// null. The names of the columns go to each cell, for narrow screens.
export function table(body, rows, none) {
  const heads = [...body.closest("table").querySelectorAll("thead th")].map((th) => th.textContent);
  if (rows.length === 0) {
    show(body, h("tr", { "data-key": "none", class: "none" }, h("td", { colspan: heads.length }, none)));
    return;
  }
  show(body, rows.map((r) => h("tr", { "data-key": r.key, class: r.cls },
    r.cells.map((c, i) => h("td", { "data-label": heads[i] || null, class: c === "" || c === null ? "empty" : null }, c)))));
}

// Servers.

export class Refusal extends Error {
  constructor(status, body, text) {
    super(typeof body?.message === "string" ? body.message : text);
    this.status = status;
    this.body = body;
  }
  // details are the places that the server finds wrong.
  get details() {
    if (typeof this.body?.details === "string") return [this.body.details];
    if (!Array.isArray(this.body?.details)) return [];
    return this.body.details.map((d) => d.path + ": " + (d.errors ?? []).join(", "));
  }
}

// call asks the server; a body goes as JSON, a text as it is.
export async function call(method, path, body) {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const r = await fetch(path, { method, cache: "no-store", body: text, headers: text === undefined ? {} : { "Content-Type": "application/json" } });
  const answer = await r.text();
  let parsed = null;
  try {
    parsed = JSON.parse(answer);
  } catch {
    if (r.ok && answer !== "") throw new Refusal(r.status, null, path + " did not answer in JSON");
  }
  if (!r.ok) throw new Refusal(r.status, parsed, answer.trim().slice(0, 300) || r.status + " " + r.statusText);
  return parsed;
}

// live shows whether the page is in step with the server, in #live.
export function live(kind, text) {
  const sign = byId("live");
  if (sign.textContent.endsWith(text)) return;
  show(sign, state(kind, text));
  document.documentElement.dataset.live = kind;
}

// every runs fn now and again and again, a pause after each end. A page that
// nobody sees asks less often. The function that comes back asks for a run at
// once.
export function every(ms, fn) {
  let timer = 0, running = false, again = false;
  const run = async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    clearTimeout(timer);
    do {
      again = false;
      await fn();
    } while (again);
    running = false;
    timer = setTimeout(run, document.hidden ? 5 * ms : ms);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) run(); });
  run();
  return run;
}

// actions runs the function that a button names in data-act, with its data.
export function actions(all) {
  document.addEventListener("click", (ev) => {
    const b = ev.target.closest("[data-act]");
    if (b && all[b.dataset.act]) all[b.dataset.act](b.dataset, b);
  });
}

export const button = (act, text, data, attrs) => {
  const set = {};
  for (const [k, v] of Object.entries(data ?? {})) set["data-" + k] = v;
  return h("button", { type: "button", "data-act": act, "data-key": act, ...set, ...attrs }, text);
};

// ask opens a dialog and runs fn when its button is pressed; what fn throws
// is shown and the dialog stays. fields are nodes between title and buttons.
// It resolves when the dialog is closed.
export function ask({ title, fields, verb, danger, wide, fn }) {
  return new Promise((done) => {
    const said = h("div", { class: "said", role: "alert" });
    const yes = h("button", { type: "submit", class: danger ? "primary danger" : "primary" }, verb);
    const no = h("button", { type: "button" }, fn ? "Cancel" : "Close");
    const form = h("form", {}, h("h2", { id: "ask-title" }, title), fields ?? [], said, h("div", { class: "buttons" }, no, fn ? yes : null));
    const d = h("dialog", { id: "ask", "aria-labelledby": "ask-title", class: wide ? "wide" : null }, form);
    no.addEventListener("click", () => d.close());
    d.addEventListener("close", () => { d.remove(); done(); });
    form.addEventListener("submit", async (ev) => {
      ev.preventDefault();
      if (!fn) return d.close();
      yes.disabled = true;
      try {
        await fn(form);
        d.close();
      } catch (e) {
        show(said, h("p", {}, e.message), h("ul", {}, (e.details ?? []).map((x) => h("li", {}, x))));
      }
      yes.disabled = false;
    });
    document.body.append(d);
    d.showModal();
    (form.querySelector("[autofocus]") ?? (danger ? no : yes)).focus();
  });
}

// The theme: as the system has it, or the other one, remembered.
export function theme() {
  const root = document.documentElement, b = byId("theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => { b.textContent = dark() ? "Light" : "Dark"; };
  try {
    if (localStorage.theme) root.dataset.theme = localStorage.theme;
  } catch { /* a browser that keeps nothing */ }
  b.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.theme = root.dataset.theme; } catch { /* as above */ }
    name();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
}
