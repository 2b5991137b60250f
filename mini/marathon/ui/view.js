// What is said of an app, in the list and on its own page.

import { bar, button, h, memory, number, plural, span, state } from "./page.js";

// What an app is doing, in the words of Marathon's own page.

export const takes = (a) => plural(a.cpus, "CPU").replace(String(a.cpus), number(a.cpus)) + ", " + memory(a.mem);

// status says it in a word, of a kind that page.js marks, and why in a sentence;
// queued is the app's place in /v2/queue, if it has one.
export function status(a, queued) {
  if (queued && !queued.delay.overdue) {
    return { kind: "bad", word: "Delayed", why: `back-off: ${span(queued.delay.timeLeftSeconds)} until the next try, for ${plural(queued.count, "task")}` };
  }
  if (queued && queued.count > 0) {
    return { kind: "wait", word: "Waiting", why: `no offer with enough yet for ${queued.count} more: ${takes(a)}` +
      (a.constraints.length ? ", and the constraints" : "") + " each" };
  }
  if (a.deployments.length > 0) return { kind: "wait", word: "Deploying", why: "" };
  if (a.instances === 0 && a.tasksRunning + a.tasksStaged === 0) return { kind: "off", word: "Suspended", why: "0 instances wanted" };
  return { kind: "good", word: "Running", why: "" };
}

// words are those that status can say.
export const words = ["Running", "Deploying", "Waiting", "Delayed", "Suspended"];

// health and instances tell of an app or of several, added up: those have no
// healthChecks.
export function health(a) {
  const out = [], unknown = a.tasksRunning - a.tasksHealthy - a.tasksUnhealthy;
  if (a.tasksHealthy > 0) out.push(state("good", a.tasksHealthy + " healthy"));
  if (a.tasksUnhealthy > 0) out.push(state("bad", a.tasksUnhealthy + " unhealthy"));
  if (unknown > 0) out.push(state("plain", unknown + (a.healthChecks === undefined ? " not checked" : a.healthChecks.length ? " not checked yet" : " running, no check")));
  if (a.tasksStaged > 0) out.push(state("wait", a.tasksStaged + " staged"));
  return h("span", { class: "states" }, out.length ? out : h("span", { class: "dim" }, "no task"));
}

export function instances(a) {
  const unknown = a.tasksRunning - a.tasksHealthy - a.tasksUnhealthy;
  return h("div", { class: "instances" }, h("strong", {}, a.tasksRunning + " of " + a.instances),
    bar(`${a.tasksRunning} of ${a.instances} instances run`, a.instances,
      [["good", a.tasksHealthy], ["plain", unknown], ["bad", a.tasksUnhealthy], ["staged", a.tasksStaged]]));
}

// retry ends a back-off.
export const retry = (a, queued) => queued && !queued.delay.overdue ? button("retry", "Try now", { id: a.id }, { "aria-label": "Try " + a.id + " now" }) : null;

// appButtons are what can be done to an app, the gravest last.
export function appButtons(a, more) {
  const id = { id: a.id };
  return h("div", { class: "buttons" },
    button("scale", "Scale", { ...id, n: a.instances }, { "aria-label": "Scale " + a.id }),
    button("restart", "Restart", id, { "aria-label": "Restart " + a.id }),
    more ?? null,
    button("destroy", "Destroy", id, { class: "danger", "aria-label": "Destroy " + a.id }));
}
