// The sandbox of a task: its files, and what it prints, as it prints it. The
// agent is asked through the master (see package webui).

import { byId, call, h, memory, number, show, state } from "./page.js";

const page = 50000;     // bytes asked for at once
const firstLook = 20000; // bytes before the end that are shown first
const maxShown = 400000; // characters kept in a pane

export const sandboxAddress = (t) => "#/sandbox/" + [t.slave_id, t.framework_id, t.id].map(encodeURIComponent).join("/");

let open = null; // the sandbox that is shown

// openSandbox shows the sandbox of an address, or none for null. task and
// agent look up what the page knows of a task and of an agent.
export function openSandbox(address, task, agent, taskState) {
  if (open) {
    open.stop();
    open = null;
  }
  if (address === null) {
    show(byId("sandbox"));
    return;
  }
  const [slave, framework, id, dir] = address.slice("#/sandbox/".length).split("/").map(decodeURIComponent);
  open = new Sandbox({ slave, framework, id, dir: dir ?? "" }, () => task(id), () => agent(slave), taskState);
  open.start();
  byId("main").focus();
}

// directoryOf finds where an agent keeps a task's sandbox, in its /state.
function directoryOf(st, framework, id) {
  for (const f of [...st.frameworks, ...(st.completed_frameworks ?? [])]) {
    if (f.id !== framework) continue;
    for (const e of [...f.executors, ...(f.completed_executors ?? [])]) {
      const tasks = [...(e.tasks ?? []), ...(e.queued_tasks ?? []), ...(e.completed_tasks ?? [])];
      if (e.id === id || tasks.some((t) => t.id === id)) return e.directory;
    }
  }
  return null;
}

class Sandbox {
  constructor(where, task, agent, taskState) {
    Object.assign(this, where, { task, agent, taskState });
    this.root = "/webui/agent/" + encodeURIComponent(this.slave) + "/";
    this.panes = [];
    this.stopped = false;
  }

  start() {
    this.head = h("section", { class: "card" });
    this.body = h("div", { class: "panes" });
    this.list = h("section", { class: "card" });
    show(byId("sandbox"));
    byId("sandbox").append(this.head, this.body, this.list);
    this.trouble = "";
    this.drawHead(); // at once: what comes later must not move the rest
    this.loop();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  async loop() {
    try {
      await this.look();
      this.trouble = "";
    } catch (e) {
      this.trouble = e.message;
    }
    if (this.stopped) return;
    this.drawHead();
    this.timer = setTimeout(() => this.loop(), document.hidden ? 5000 : 1000);
  }

  async look() {
    if (!this.directory) {
      this.directory = directoryOf(await call("GET", this.root + "state"), this.framework, this.id);
      if (!this.directory) throw new Error("the agent knows no sandbox of this task: it has not been started yet, or was cleaned away");
      for (const name of ["stdout", "stderr"]) this.addPane(this.directory + "/" + name, name);
    }
    await this.browse();
    for (const p of this.panes) await p.look();
  }

  addPane(path, name) {
    if (this.stopped) return;
    if (this.panes.length > 2) this.panes.pop().element.remove();
    const p = new Pane(this.root, path, name);
    this.panes.push(p);
    this.body.append(p.element);
    return p;
  }

  drawHead() {
    const t = this.task(), a = this.agent();
    show(this.head, h("header", {}, h("h2", {}, "Sandbox"), h("a", { href: "#tasks", class: "right" }, "← All tasks")),
      h("p", {}, h("strong", {}, t?.name ?? this.id), " ", t ? this.taskState(t.state) : null, " on ", a?.hostname ?? "an agent that is not registered"),
      h("p", { class: "id" }, this.directory ?? this.id),
      this.trouble ? h("p", {}, state("bad", this.trouble)) : null);
  }

  here() { return this.directory + (this.dir ? "/" + this.dir : ""); }

  async browse() {
    const files = await call("GET", this.root + "files/browse?path=" + encodeURIComponent(this.here()));
    if (this.stopped) return;
    const base = "#/sandbox/" + [this.slave, this.framework, this.id].map(encodeURIComponent).join("/");
    const parts = this.dir ? this.dir.split("/") : [];
    const crumbs = [h("a", { href: base }, "sandbox")];
    parts.forEach((p, i) => crumbs.push("/", h("a", { href: base + "/" + encodeURIComponent(parts.slice(0, i + 1).join("/")) }, p)));
    const rows = files.map((f) => this.row(f, base));
    show(this.list, h("header", {}, h("h2", {}, "Files"), h("nav", { class: "crumbs mono", "aria-label": "Folder" }, crumbs)),
      rows.length ? h("table", {}, h("thead", {}, h("tr", {}, ["Mode", "Size", "Changed", "Name", ""].map((x) => h("th", {}, x)))), h("tbody", {}, rows)) :
        h("p", { class: "dim" }, "This folder is empty."));
    if (!this.listening) {
      this.listening = true;
      this.list.addEventListener("click", (ev) => {
        const b = ev.target.closest("button[data-path]");
        if (!b) return;
        const name = b.dataset.path.slice(this.directory.length + 1);
        const p = this.panes.find((x) => x.path === b.dataset.path) ?? this.addPane(b.dataset.path, name);
        p.look().catch(() => {}); // the next round tells
        p.element.scrollIntoView({ block: "nearest" });
        p.text.focus();
      });
    }
  }

  row(f, base) {
    const name = f.path.slice(f.path.lastIndexOf("/") + 1);
    const folder = f.mode.startsWith("d");
    const inside = f.path.slice(this.directory.length + 1);
    const size = f.size < 1024 ? f.size + " B" : f.size < 1048576 ? number(f.size / 1024) + " KB" : memory(f.size / 1048576);
    return h("tr", { "data-key": f.path },
      h("td", { class: "mono", "data-label": "Mode" }, f.mode), h("td", { class: "n", "data-label": "Size" }, size),
      h("td", { "data-label": "Changed" }, new Date(f.mtime * 1000).toLocaleString()),
      h("td", { "data-label": "Name" }, folder ? h("a", { href: base + "/" + encodeURIComponent(inside) }, name + "/") :
        h("button", { type: "button", "data-path": f.path }, name)),
      h("td", { "data-label": "File" }, folder ? "" : h("a", { href: this.root + "files/download?path=" + encodeURIComponent(f.path), download: name }, "Download")));
  }
}

// Pane follows one file, as tail -f does.
class Pane {
  constructor(root, path, name) {
    Object.assign(this, { root, path, name, at: -1 });
    this.note = h("span", { class: "dim" });
    this.text = h("pre", { tabindex: "0", role: "log", "aria-label": name, "data-file": name, "aria-live": "off" });
    this.element = h("section", { class: "card pane" }, h("header", {}, h("h2", { class: "mono" }, name), this.note), this.text);
  }

  ask(offset, length) {
    return call("GET", this.root + "files/read?path=" + encodeURIComponent(this.path) + "&offset=" + offset + (length ? "&length=" + length : ""));
  }

  // look reads what is new. Offsets count bytes and the text does not tell
  // how many it was made of, so the size is asked for first.
  async look() {
    if (this.busy) return; // the loop and a press of a button at once
    this.busy = true;
    try {
      await this.read();
    } finally {
      this.busy = false;
    }
  }

  async read() {
    let size;
    try {
      size = (await this.ask(-1)).offset;
    } catch (e) {
      this.note.textContent = e.status === 404 ? "not there yet" : e.message;
      return;
    }
    if (this.at < 0) {
      this.at = Math.max(0, size - firstLook);
      if (this.at > 0) this.text.append("… " + this.at + " bytes before this\n");
    } else if (size < this.at) {
      this.at = 0;
      this.text.append("\n… the file became shorter: from its beginning\n");
    }
    const follows = this.text.scrollTop + this.text.clientHeight >= this.text.scrollHeight - 30;
    while (this.at < size) {
      const length = Math.min(page, size - this.at);
      this.text.append((await this.ask(this.at, length)).data);
      this.at += length;
    }
    if (this.text.textContent.length > maxShown) this.text.textContent = "…\n" + this.text.textContent.slice(-maxShown / 2);
    if (follows) this.text.scrollTop = this.text.scrollHeight;
    this.note.textContent = size === 0 ? "empty so far, following" : (size < 1024 ? size + " bytes" : number(size / 1024) + " KB") + (follows ? ", following" : ", scrolled back");
  }
}
