// The pipeline as a list of cards, one for each augmenter.

import { byId, element } from "./elements.js";
import { parameterControl } from "./parameters.js";

const open = new WeakSet();
let dragged = null;

export const titleOf = (node) => node.title ?? node.name;

// What is inside, since a list of several "Sometimes" says little.
const noteOf = (node) => (node.given ? "as given" : Object.values(node.children ?? {}).flat().map(titleOf).join(", "));

export function nodeAt(root, key) {
  const steps = key.split(".").slice(1);
  let node = root;
  for (let at = 0; at + 1 < steps.length; at += 2) node = node?.children?.[steps[at]]?.[Number(steps[at + 1])];
  return node;
}

export class TreeView {
  constructor(place, kinds, { changed, add }) {
    this.place = place;
    this.kinds = kinds;
    this.changed = changed;
    this.add = add;
  }

  draw(root, focus) {
    this.root = root;
    const kind = this.kinds.get(root.name);
    const flat = kind?.children.length === 1 && !kind.parameters.some((one) => one.name in (root.parameters ?? {}));
    const children = flat ? this.childrenOf(root, kind.children[0]) : null;
    this.place.replaceChildren(children ? this.nodes(root, children, kind.children[0], "#." + kind.children[0]) : element("ul", { class: "nodes" }, this.card(root, null, null, 0, "#")));
    if (focus) this.place.querySelector(focus)?.focus();
  }

  childrenOf(node, name) {
    node.children ??= {};
    return (node.children[name] ??= []);
  }

  nodes(parent, list, name, key) {
    const made = element("ul", { class: "nodes", "data-list": key }, ...list.map((node, place) => this.card(node, parent, name, place, `${key}.${place}`)));
    made.addEventListener("dragover", (event) => dragged && !list.length && event.preventDefault());
    made.addEventListener("drop", (event) => !list.length && this.dropped(event, list, 0, key));
    return made;
  }

  card(node, parent, name, place, key) {
    const kind = this.kinds.get(node.name);
    const list = parent ? this.childrenOf(parent, name) : null;
    const shown = open.has(node);
    const details = kind && (kind.parameters.length || kind.children.length);
    const title = titleOf(node);
    const button = (label, sign, action, disabled = false) =>
      element("button", { type: "button", class: "icon", "aria-label": `${label} ${title}`, title: label, disabled, onclick: action }, sign);
    const head = element("div", { class: "node-head" },
      element("button", { type: "button", class: details || node.given ? "open" : "open plain", "aria-expanded": String(shown), draggable: list ? "true" : null,
        onclick: () => this.toggle(node, key) }, element("span", { class: "node-name" }, title), noteOf(node) ? element("span", { class: "node-note" }, noteOf(node)) : null));
    if (list) {
      head.append(
        element("input", { type: "checkbox", checked: !node.off, "aria-label": `${title} is on`, title: "On or off", onchange: (event) => this.switched(node, event.target.checked, key) }),
        button("Move up", "↑", () => this.moved(parent, name, place, -1), place === 0),
        button("Move down", "↓", () => this.moved(parent, name, place, 1), place === list.length - 1),
        button("Remove", "×", () => this.removed(list, place, key)));
    }
    const made = element("li", { class: node.off ? "node off" : "node", "data-node": key }, head);
    if (list) this.draggable(made, head, node, list, place);
    if (shown) made.append(this.body(node, kind, key));
    return made;
  }

  body(node, kind, key) {
    const body = element("div", { class: "node-body" });
    if (node.given) {
      body.append(element("p", { class: "dim" }, `This one cannot be described as data. It stays as it is in ${node.given}, and can be moved, switched off and removed.`));
      return body;
    }
    if (kind.summary) body.append(element("p", { class: "dim" }, kind.summary));
    for (const parameter of kind.parameters) {
      const value = node.parameters && parameter.name in node.parameters ? node.parameters[parameter.name] : parameter.default;
      body.append(parameterControl(parameter, value, (next) => {
        node.parameters = { ...node.parameters, [parameter.name]: next };
        if (next === null && !parameter.required) delete node.parameters[parameter.name];
        this.changed();
      }));
    }
    for (const name of kind.children) {
      const inner = this.childrenOf(node, name);
      body.append(element("div", {},
        element("div", { class: "inner-head" }, element("span", {}, name === "children" ? "inside" : name.replace("_list", "")),
          element("button", { type: "button", class: "quiet", "aria-label": `Add to ${titleOf(node)}, ${name}`, onclick: () => this.add(inner) }, "Add")),
        this.nodes(node, inner, name, `${key}.${name}`)));
    }
    return body;
  }

  toggle(node, key) {
    if (open.has(node)) open.delete(node);
    else open.add(node);
    this.draw(this.root, `[data-node="${key}"] .open`);
  }

  opened(node) {
    open.add(node);
  }

  switched(node, on, key) {
    if (on) delete node.off;
    else node.off = true;
    this.changed();
    this.draw(this.root, `[data-node="${key}"] input`);
  }

  moved(parent, name, place, by) {
    const list = this.childrenOf(parent, name);
    const [node] = list.splice(place, 1);
    list.splice(place + by, 0, node);
    this.changed();
    this.draw(this.root);
    const cards = [...this.place.querySelectorAll(".node")].filter((card) => nodeAt(this.root, card.dataset.node) === node);
    const buttons = cards[0]?.querySelectorAll(":scope > .node-head > .icon") ?? [];
    const wanted = buttons[by < 0 ? 0 : 1];
    (wanted?.disabled ? buttons[by < 0 ? 1 : 0] : wanted)?.focus();
  }

  removed(list, place, key) {
    list.splice(place, 1);
    this.changed();
    this.draw(this.root, `[data-node="${key}"] .open`);
    if (document.activeElement === document.body) byId("add").focus();
  }

  draggable(card, head, node, list, place) {
    head.addEventListener("dragstart", (event) => {
      dragged = { node, list };
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", titleOf(node));
    });
    head.addEventListener("dragend", () => (dragged = null));
    card.addEventListener("dragover", (event) => {
      if (!dragged || contains(dragged.node, list, node)) return;
      event.preventDefault();
      event.stopPropagation();
      card.classList.add("over");
    });
    card.addEventListener("dragleave", () => card.classList.remove("over"));
    card.addEventListener("drop", (event) => this.dropped(event, list, place));
  }

  dropped(event, list, place) {
    if (!dragged) return;
    event.preventDefault();
    event.stopPropagation();
    const from = dragged.list.indexOf(dragged.node);
    dragged.list.splice(from, 1);
    list.splice(dragged.list === list && from < place ? place - 1 : place, 0, dragged.node);
    dragged = null;
    this.changed();
    this.draw(this.root);
  }
}

// Whether the list is that of something inside the node: it cannot be moved into itself.
function contains(node, list, target) {
  if (node === target) return true;
  return Object.values(node.children ?? {}).some((inner) => inner === list || inner.some((child) => contains(child, list, target)));
}
