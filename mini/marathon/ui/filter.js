// The search above the list of apps: what is typed and chosen, kept in the
// page's address. The fields themselves are never drawn anew.

import { byId, h, show } from "./page.js";
import { addressOf, filtered, labelsOf, none } from "./folders.js";
import { words } from "./view.js";

const healths = ["healthy", "unhealthy", "not checked", "staged"];

// options fills a <select>: the first means any. What is chosen stays, though
// nothing has it any more.
function options(select, any, values, chosen) {
  const all = chosen && !values.includes(chosen) ? [chosen, ...values] : values;
  show(select, h("option", { value: "", "data-key": "any" }, any), all.map((v) => h("option", { value: v, "data-key": "is " + v }, v)));
  if (select.value !== chosen) select.value = chosen;
}

// openFilter runs the fields; changed is called when the view is another one.
export function openFilter(changed) {
  const text = byId("filter-text"), label = byId("filter-label"), status = byId("filter-status"), health = byId("filter-health"), clear = byId("filter-clear");
  const filter = { view: none, labels: [] };

  const fill = () => {
    if (text.value !== filter.view.text) text.value = filter.view.text;
    options(label, "any label", filter.labels, filter.view.label);
    options(status, "any state", words, filter.view.status);
    options(health, "any health", healths, filter.view.health);
    clear.hidden = !filtered(filter.view);
  };
  const use = (view) => {
    filter.view = view;
    fill();
    history.replaceState(null, "", filter.address());
    changed();
  };

  filter.address = () => addressOf(filter.view);
  // set takes a view from the page's address; null is the whole list.
  filter.set = (view) => {
    filter.view = view ?? none;
    fill();
  };
  // offer lets people choose among the labels there are.
  filter.offer = (apps) => {
    filter.labels = labelsOf(apps);
    fill();
  };
  filter.clear = () => {
    use({ ...none, group: filter.view.group });
    text.focus();
  };

  byId("filter").addEventListener("input", () =>
    use({ ...filter.view, text: text.value, label: label.value, status: status.value, health: health.value }));
  byId("filter").addEventListener("submit", (ev) => ev.preventDefault());
  clear.addEventListener("click", filter.clear);
  // The key "/" leads to the search; its release does, so that it is not typed.
  for (const kind of ["keydown", "keyup"]) document.addEventListener(kind, (ev) => {
    if (ev.key !== "/" || ev.ctrlKey || ev.metaKey || ev.altKey || ev.target.closest("input, textarea, select, dialog") || byId("overview").hidden) return;
    ev.preventDefault();
    if (kind === "keyup") text.select();
  });
  fill();
  return filter;
}
