// What people do to apps, tasks and deployments. Everything that cannot be
// undone asks first; what the server refuses is shown where it was asked for.

import { ask, byId, call, h, show } from "./page.js";
import { definition } from "./app.js";

const example = (group) => `{
  "id": ${JSON.stringify(group + "/hello")},
  "cmd": "while true; do date; sleep 1; done",
  "instances": 2,
  "cpus": 0.1,
  "mem": 32
}`;

const at = (id) => "/v2/apps" + id;
const forced = (path) => path + (path.includes("?") ? "&" : "?") + "force=true";

// said shows what was refused outside of a dialog.
function said(text) {
  show(byId("said"), text ? [h("p", {}, text), h("button", { type: "button", id: "said-close" }, "Close")] : []);
}

export function closeSaid() {
  byId("said").addEventListener("click", (ev) => { if (ev.target.id === "said-close") said(""); });
}

const held = (e) => e.status === 409 && Array.isArray(e.body?.deployments);

// insist does a change in a dialog's stead: held by a deployment, it may be
// forced with the box that appears.
async function insist(form, method, path, body) {
  const box = form.querySelector("#force");
  try {
    return await call(method, box?.checked ? forced(path) : path, body);
  } catch (e) {
    if (held(e) && !box) {
      form.querySelector(".buttons").before(h("label", { class: "inline" }, h("input", { type: "checkbox", id: "force" }), "Do it all the same: cancel the deployments that hold the app (force)"));
    }
    throw e;
  }
}

const jsonField = (text) => h("label", {}, "Definition in JSON", h("textarea", { id: "json", rows: "14", spellcheck: "false", autocomplete: "off", autofocus: true }, text));

// definitionOf reads the text area; a mistake in it is told before anybody is
// asked.
function definitionOf(form) {
  const text = form.querySelector("#json").value;
  let v;
  try {
    v = JSON.parse(text);
  } catch (e) {
    throw new Error("This is not JSON: " + e.message);
  }
  if (typeof v !== "object" || v === null || Array.isArray(v)) throw new Error("An app is a JSON object: {\"id\": …}");
  return text;
}

// acts returns the functions by the names that buttons give them. again asks for
// news; folder is where a new app would go, back the address of the list.
export function acts(again, folder, back) {
  const done = (fn) => async (form) => { await fn(form); again(); };
  const confirm = (title, verb, fn, fields, danger) => ask({ title, verb, danger, fields, fn: done(fn) });
  return {
    create: () => ask({ title: "Create an app", verb: "Create", wide: true, fields: [jsonField(example(folder()))], fn: done((f) => insist(f, "POST", "/v2/apps", definitionOf(f))) }),

    change: async ({ id }) => {
      try {
        const { app } = await call("GET", at(id));
        await ask({ title: "Change " + id, verb: "Change", wide: true, fields: [jsonField(JSON.stringify(definition(app), null, 2))],
          fn: done((f) => insist(f, "PUT", at(id), definitionOf(f))) });
      } catch (e) {
        said(e.message);
      }
    },

    scale: ({ id, n }) => confirm("Scale " + id, "Scale", (f) => insist(f, "PUT", at(id), { instances: f.querySelector("#instances").valueAsNumber }),
      [h("label", {}, "Instances", h("input", { type: "number", id: "instances", min: "0", max: "10000", step: "1", required: true, value: n, autofocus: true }))]),

    restart: ({ id }) => confirm("Restart " + id + "?", "Restart", (f) => insist(f, "POST", at(id) + "/restart"),
      [h("p", {}, "Every task is replaced by a new one, as the app's upgradeStrategy says.")]),

    destroy: ({ id }) => confirm("Destroy " + id + "?", "Destroy", async () => {
      await call("DELETE", at(id));
      if (location.hash.startsWith("#/apps/")) location.hash = back();
    }, [h("p", {}, "Its tasks are killed, its definition and versions are gone. This cannot be undone.")], true),

    kill: ({ id, task }) => confirm("Kill this task?", "Kill", (f) => insist(f, "DELETE", at(id) + "/tasks/" + encodeURIComponent(task) + (f.querySelector("#shrink").checked ? "?scale=true" : "")),
      [h("p", { class: "id" }, task), h("p", {}, "Marathon starts another one instead, unless the app is made smaller by one, too."),
        h("label", { class: "inline" }, h("input", { type: "checkbox", id: "shrink" }), "Make the app smaller by one")], true),

    rollback: ({ id, version }) => confirm("Roll " + id + " back?", "Roll back", (f) => insist(f, "PUT", at(id), { version }),
      [h("p", {}, "The app gets the definition it had in version " + version + ", by a new deployment.")]),

    version: async ({ id, version }) => {
      try {
        const a = await call("GET", at(id) + "/versions/" + encodeURIComponent(version));
        await ask({ title: id + " as of " + version, wide: true, fields: [h("pre", { tabindex: "0" }, JSON.stringify(definition(a), null, 2))] });
      } catch (e) {
        said(e.message);
      }
    },

    cancel: ({ id }) => confirm("Cancel this deployment?", "Cancel and roll back", () => call("DELETE", "/v2/deployments/" + encodeURIComponent(id)),
      [h("p", {}, "A new deployment takes the apps back to what they were before.")]),

    stop: ({ id }) => confirm("Stop this deployment where it is?", "Stop", () => call("DELETE", "/v2/deployments/" + encodeURIComponent(id) + "?force=true"),
      [h("p", {}, "Nothing is rolled back: what was half replaced stays half replaced.")], true),

    retry: async ({ id }) => {
      try {
        await call("DELETE", "/v2/queue" + id + "/delay");
        again();
      } catch (e) {
        said(e.message);
      }
    },
  };
}
