// The list of all augmenters, to choose one from.

import { byId, element } from "./elements.js";

export function startPicker(kinds, chosen) {
  const dialog = byId("picker");
  const search = byId("picker-search");
  let target = null;

  function matching() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const score = (kind) => {
      const name = kind.name.toLowerCase();
      const text = `${name} ${kind.group} ${kind.summary.toLowerCase()}`;
      if (!words.every((word) => text.includes(word))) return -1;
      return words.filter((word) => name.startsWith(word)).length * 2 + words.filter((word) => name.includes(word)).length;
    };
    return [...kinds.values()].map((kind) => [score(kind), kind]).filter(([value]) => value >= 0).sort((one, other) => other[0] - one[0]).map(([, kind]) => kind);
  }

  function list() {
    const found = matching();
    byId("picker-count").textContent = `${found.length} of ${kinds.size} augmenters`;
    byId("picker-list").replaceChildren(...found.map((kind) => element("li", {},
      element("button", { type: "button", "data-augmenter": kind.name, onclick: () => choose(kind) },
        element("span", {}, element("span", { class: "group" }, kind.group), element("strong", {}, kind.name)), element("small", {}, kind.summary)))));
    byId("picker-list").scrollTop = 0;
  }

  function choose(kind) {
    dialog.close();
    const parameters = {};
    for (const parameter of kind.parameters) if (parameter.required) parameters[parameter.name] = structuredClone(parameter.start);
    chosen(target, { name: kind.name, parameters, children: Object.fromEntries(kind.children.map((name) => [name, []])) });
  }

  search.addEventListener("input", list);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") byId("picker-list").querySelector("button")?.click();
    if (event.key === "ArrowDown") byId("picker-list").querySelector("button")?.focus();
  });
  byId("picker-list").addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!step) return;
    event.preventDefault();
    (event.target.closest("li")[step]?.querySelector("button") ?? search).focus();
  });

  return (into) => {
    target = into;
    search.value = "";
    list();
    dialog.showModal();
    search.focus();
  };
}
