// The studio: what is shown follows from one state, which the address holds.

import * as address from "./address.js";
import * as api from "./api.js";
import * as charts from "./charts.js";
import { byId, element, toast } from "./elements.js";
import { startPicker } from "./picker.js";
import * as pictures from "./pictures.js";
import { TreeView, nodeAt, titleOf } from "./tree.js";

const AT_ONCE = 4;
const PAUSE = 40;
const DEFAULTS = { seed: 1, index: 0, picture: 0, upload: null, side: 384, count: 8, number: 0, size: 8, shuffle: false, batch: false, marks: true };

let facts;
let kinds;
let tree;
let state;
let timer = 0;
let running = null;
let shownOriginal = "";
let uploads = [];

const given = (name) => facts.pipelines.find((each) => each.name === name) ?? facts.pipelines[0];
const whole = (input, low, high) => Math.min(high, Math.max(low, Math.round(Number(input.value) || 0)));

function restore(found) {
  const pipeline = given(found.pipeline);
  state = { ...DEFAULTS, ...found, pipeline: pipeline.name, tree: structuredClone(found.tree ?? pipeline.tree) };
  if (state.side !== 0 && !facts.sides.includes(state.side)) state.side = DEFAULTS.side;
  state.picture = Math.min(state.picture, facts.pictures - 1);
  for (const [id, name] of [["seed", "seed"], ["index", "index"], ["side", "side"], ["count", "count"], ["batch-number", "number"], ["batch-size", "size"]]) byId(id).value = state[name];
  for (const [id, name] of [["marks", "marks"], ["batch-shuffle", "shuffle"]]) byId(id).checked = state[name];
  byId("pipeline-choice").value = state.pipeline;
  document.body.classList.toggle("no-marks", !state.marks);
  chooseTab(state.batch);
  tree.draw(state.tree);
  shownOriginal = "";
  render();
}

function changed({ slowly = true } = {}) {
  const edited = JSON.stringify(state.tree) !== JSON.stringify(given(state.pipeline).tree);
  byId("reset").hidden = !edited;
  // From here on what is shown is not what the state says, though nothing is asked for yet.
  document.body.dataset.rendering = "yes";
  clearTimeout(timer);
  timer = setTimeout(render, slowly ? PAUSE : 0);
}

function set(name, value) {
  state[name] = value;
  changed({ slowly: false });
}

function subject() {
  if (state.batch) return { batch: { number: state.number, size: state.size, shuffle: state.shuffle } };
  const side = state.side || null;
  return { picture: state.upload ? { upload: state.upload, side } : { number: state.picture, side } };
}

const query = (more = {}) => ({ ...subject(), pipeline: state.tree, seed: state.seed, index: state.index, ...more });

async function render() {
  clearTimeout(timer);
  timer = 0;
  running?.abort();
  const mine = (running = new AbortController());
  history.replaceState(null, "", address.toFragment(state, given(state.pipeline).tree));
  byId("reset").hidden = JSON.stringify(state.tree) === JSON.stringify(given(state.pipeline).tree);
  document.body.dataset.rendering = "yes";
  markThumbnails();
  const totals = {};
  let count = 0;
  const measured = ({ facts: answer, pictures: made }) => {
    for (const [key, value] of Object.entries(answer.milliseconds)) totals[key] = (totals[key] ?? 0) + value;
    count += made.length;
    charts.times(totals, Math.max(1, count), nameOf);
  };
  try {
    if (state.batch) await renderBatch(mine.signal, measured);
    else await renderPicture(mine.signal, measured);
  } catch (error) {
    if (error.name !== "AbortError" && !mine.signal.aborted) toast(error.message);
  }
  if (running === mine && !timer) document.body.dataset.rendering = "no";
}

const nameOf = (key) => {
  if (!key.startsWith("#")) return { read: "Reading", encode: "PNG" }[key] ?? key;
  const node = nodeAt(state.tree, key);
  return node ? titleOf(node) : key;
};

async function into(frame, signal, ask, text) {
  frame.classList.add("busy");
  try {
    const answer = await ask();
    if (signal.aborted) return null;
    await pictures.fill(frame, answer.pictures[0], text(answer.pictures[0]));
    return answer;
  } catch (error) {
    if (signal.aborted) return null;
    pictures.fail(frame, error);
    return null;
  } finally {
    if (!signal.aborted) frame.classList.remove("busy");
  }
}

async function renderPicture(signal, measured) {
  const wanted = JSON.stringify(subject());
  const original = wanted === shownOriginal ? null : showOriginal(signal, wanted);
  const main = into(byId("augmented"), signal, () => api.show(query(), signal), () => `Augmented, index ${state.index}`);
  const first = await main;
  if (first) measured(first);
  await original;
  const cells = frames(byId("grid"), state.count, (frame, place) => {
    const index = state.index + 1 + place;
    return element("button", { type: "button", title: "Show it beside the original", onclick: () => step("index", index) }, frame, element("div", { class: "caption" }, element("span", {}, `index ${index}`)));
  });
  let next = 0;
  const work = async () => {
    while (next < cells.length && !signal.aborted) {
      const place = next++;
      const index = state.index + 1 + place;
      const answer = await into(cells[place], signal, () => api.show(query({ index }), signal), () => `Augmented, index ${index}`);
      if (answer) measured(answer);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function showOriginal(signal, wanted) {
  const answer = await into(byId("original"), signal, () => api.show({ ...query(), pipeline: null }, signal), (picture) => `Original, ${picture.name}`);
  if (!answer) return;
  shownOriginal = wanted;
  const [picture] = answer.pictures;
  byId("original-name").textContent = picture.name;
  byId("original-size").textContent = `${picture.width} × ${picture.height}`;
  // All frames get the proportions of the picture, but for those that are very long.
  const ratio = Math.min(2, Math.max(0.6, picture.width / picture.height));
  byId("view-picture").style.setProperty("--ratio", ratio.toFixed(4));
}

async function renderBatch(signal, measured) {
  const plain = byId("batch-originals").checked;
  const holder = byId("batch");
  let answer;
  try {
    answer = await api.show(query(plain ? { pipeline: null } : {}), signal);
  } catch (error) {
    if (!signal.aborted) holder.replaceChildren(element("li", { class: "wrong" }, error.message));
    throw error;
  }
  if (signal.aborted) return;
  if (!plain) measured(answer);
  const cells = frames(holder, answer.pictures.length, (frame, place) =>
    element("div", {}, frame, element("div", { class: "caption" }, element("span", {}, answer.pictures[place].name), element("span", {}, `${answer.pictures[place].width} × ${answer.pictures[place].height}`))), true);
  await Promise.all(cells.map((frame, place) => pictures.fill(frame, answer.pictures[place], `${plain ? "Original" : "Augmented"}, ${answer.pictures[place].name}`)));
}

// Frames that stay where they are, so that nothing jumps while pictures come.
function frames(holder, count, make, anew = false) {
  const old = [...holder.querySelectorAll(".frame")];
  old.slice(count).forEach(pictures.clear);
  const kept = Array.from({ length: count }, (_, place) => old[place] ?? element("div", { class: "frame" }));
  const focused = [...holder.children].findIndex((item) => item.contains(document.activeElement));
  holder.replaceChildren(...kept.map((frame, place) => element("li", {}, make(frame, place))));
  if (focused >= 0 && !anew) holder.children[focused]?.querySelector("button")?.focus();
  return kept;
}

function step(name, value) {
  const id = { index: "index", number: "batch-number" }[name];
  byId(id).value = Math.max(0, value);
  set(name, Math.max(0, value));
}

function chooseTab(batch) {
  state.batch = batch;
  for (const [name, on] of [["picture", !batch], ["batch", batch]]) {
    byId(`tab-${name}`).setAttribute("aria-selected", String(on));
    byId(`tab-${name}`).tabIndex = on ? 0 : -1;
    byId(`view-${name}`).hidden = !on;
  }
}

function choosePicture(number, upload = null) {
  state.picture = number;
  state.upload = upload;
  if (state.batch) chooseTab(false);
  changed({ slowly: false });
}

function markThumbnails() {
  for (const button of byId("thumbnails").querySelectorAll("button")) {
    const on = state.upload ? button.dataset.upload === state.upload : button.dataset.number === String(state.picture);
    button.setAttribute("aria-pressed", String(on && !state.batch));
  }
}

const thumbnail = (label, source, attributes, action) =>
  element("li", {}, element("button", { type: "button", "aria-pressed": "false", title: label, onclick: action, ...attributes }, element("img", { src: source, alt: label, loading: "lazy" })));

async function morePictures() {
  const first = byId("thumbnails").querySelectorAll("[data-number]").length;
  const { names } = await api.names(first);
  byId("thumbnails").append(...names.map((name, place) => thumbnail(name, `api/thumbnails/${first + place}`, { "data-number": first + place }, () => choosePicture(first + place))));
  byId("more-pictures").hidden = first + names.length >= facts.pictures;
  markThumbnails();
}

async function take(file) {
  if (!file) return;
  if (file.size > facts.most_upload) return toast(`${file.name} is too large: ${Math.floor(facts.most_upload / 2 ** 20)} MB are the most`);
  try {
    const added = await api.upload(file);
    uploads = uploads.filter((each) => each !== added.upload);
    uploads.push(added.upload);
    byId("thumbnails").querySelector(`[data-upload="${added.upload}"]`)?.closest("li").remove();
    byId("thumbnails").prepend(thumbnail(added.name, URL.createObjectURL(file), { "data-upload": added.upload }, () => choosePicture(state.picture, added.upload)));
    choosePicture(state.picture, added.upload);
  } catch (error) {
    toast(`${file.name}: ${error.message}`);
  }
}

function added(target, node) {
  if (kinds.get(node.name).children.length) tree.opened(node);
  tree.opened(node);
  let list = target;
  if (!list) {
    // A pipeline of one augmenter becomes a sequence with it first.
    if (!kinds.get(state.tree.name)?.children.includes("children")) state.tree = { name: "Sequential", parameters: {}, children: { children: [state.tree] } };
    list = (state.tree.children ??= {}).children ??= [];
  }
  list.push(node);
  changed({ slowly: false });
  tree.draw(state.tree);
  const card = [...byId("tree").querySelectorAll(".node")].find((each) => nodeAt(state.tree, each.dataset.node) === node);
  card?.scrollIntoView({ block: "nearest" });
  card?.querySelector(".open").focus();
}

async function copied(text, message) {
  try {
    await navigator.clipboard.writeText(text);
    toast(message);
  } catch {
    toast("This browser does not allow copying here");
  }
}

async function showPython() {
  try {
    byId("python-source").textContent = await api.python(query());
    byId("python").showModal();
  } catch (error) {
    toast(error.message);
  }
}

async function getSheet() {
  try {
    const url = URL.createObjectURL(await api.sheet(query({ count: state.count })));
    element("a", { href: url, download: "contact-sheet.png" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  } catch (error) {
    toast(error.message);
  }
}

function listen() {
  const on = (id, event, action) => byId(id).addEventListener(event, action);
  on("seed", "change", (event) => set("seed", (event.target.value = whole(event.target, 0, 2147483647), Number(event.target.value))));
  on("shuffle", "click", () => set("seed", (byId("seed").value = Math.floor(Math.random() * 2147483647), Number(byId("seed").value))));
  on("side", "change", (event) => set("side", Number(event.target.value)));
  on("count", "change", (event) => set("count", Number(event.target.value)));
  on("index", "change", (event) => step("index", whole(event.target, 0, 2147483646)));
  on("index-previous", "click", () => step("index", state.index - 1));
  on("index-next", "click", () => step("index", state.index + 1));
  on("batch-number", "change", (event) => step("number", whole(event.target, 0, 2147483646)));
  on("batch-previous", "click", () => step("number", state.number - 1));
  on("batch-next", "click", () => step("number", state.number + 1));
  on("batch-size", "change", (event) => set("size", Number(event.target.value)));
  on("batch-shuffle", "change", (event) => set("shuffle", event.target.checked));
  on("batch-originals", "change", () => changed({ slowly: false }));
  on("marks", "change", (event) => {
    document.body.classList.toggle("no-marks", !event.target.checked);
    state.marks = event.target.checked;
    history.replaceState(null, "", address.toFragment(state, given(state.pipeline).tree));
  });
  for (const name of ["picture", "batch"]) {
    on(`tab-${name}`, "click", () => (chooseTab(name === "batch"), changed({ slowly: false })));
    on(`tab-${name}`, "keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      chooseTab(name === "picture");
      byId(name === "picture" ? "tab-batch" : "tab-picture").focus();
      changed({ slowly: false });
    });
  }
  on("pipeline-choice", "change", (event) => {
    state.pipeline = event.target.value;
    state.tree = structuredClone(given(state.pipeline).tree);
    tree.draw(state.tree);
    changed({ slowly: false });
  });
  on("reset", "click", () => {
    state.tree = structuredClone(given(state.pipeline).tree);
    tree.draw(state.tree);
    changed({ slowly: false });
    byId("pipeline-choice").focus();
  });
  on("copy-link", "click", () => copied(location.href, "The link restores all that is shown"));
  on("copy-python", "click", showPython);
  on("python-copy", "click", () => copied(byId("python-source").textContent, "Copied"));
  on("get-sheet", "click", getSheet);
  on("more-pictures", "click", morePictures);
  on("upload", "change", (event) => take(event.target.files[0]).finally(() => (event.target.value = "")));
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  addEventListener("hashchange", () => restore(address.fromFragment(location.hash)));
  addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, dialog, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "s") byId("shuffle").click();
    if (event.key === "a") byId("add").click(), event.preventDefault();
    if (event.key === "j") step(state.batch ? "number" : "index", (state.batch ? state.number : state.index) + 1);
    if (event.key === "k") step(state.batch ? "number" : "index", (state.batch ? state.number : state.index) - 1);
  });
}

async function start() {
  facts = await api.facts();
  kinds = new Map(facts.augmenters.map((kind) => [kind.name, kind]));
  byId("dataset").textContent = facts.title;
  byId("picture-count").textContent = facts.pictures.toLocaleString("en");
  byId("side").append(...facts.sides.map((side) => element("option", { value: side }, `${side} px`)), element("option", { value: 0 }, "as it is"));
  byId("pipeline-choice").append(...facts.pipelines.map(({ name, spec }) => element("option", { value: name, title: spec }, name)));
  const pick = startPicker(kinds, added);
  tree = new TreeView(byId("tree"), kinds, { changed, add: pick });
  byId("add").addEventListener("click", () => pick(null));
  listen();
  restore(address.fromFragment(location.hash));
  charts.live();
  await morePictures();
}

start().catch((error) => toast(error.message));
