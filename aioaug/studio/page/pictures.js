// Pictures with what is marked on them.

import { drawn, element } from "./elements.js";

const COLOURS = ["#ffcf33", "#4cc3ff", "#ff6b8a", "#59d98e", "#c79bff", "#ff9f45", "#7fe3e0", "#e4e86a"];
const urls = new WeakMap();

function colourOf(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
  return COLOURS[sum % COLOURS.length];
}

const line = (points) => points.map((point) => point.join(",")).join(" ");

function marksOf(picture) {
  const { width, height, marks } = picture;
  const unit = Math.max(width, height) / 100;
  const names = marks.captions ?? [];
  const of = (place) => colourOf(names[place]?.[0] ?? String(place));
  const drawing = drawn("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  (marks.polygons ?? []).forEach((points, place) =>
    drawing.append(drawn("polygon", { class: "polygon", points: line(points), fill: of(place), stroke: of(place) })));
  (marks.lines ?? []).forEach((points, place) =>
    drawing.append(drawn("polyline", { class: "line", points: line(points), stroke: of(place) })));
  (marks.boxes ?? []).forEach(([left, top, right, bottom], place) =>
    drawing.append(drawn("rect", { class: "box", x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top), stroke: of(place) })));
  (marks.points ?? []).forEach(([x, y]) =>
    drawing.append(drawn("circle", { class: "point", cx: x, cy: y, r: unit * 1.1, fill: "#ff2d6f" })));
  for (const [text, x, y] of names) {
    const size = unit * 3.6;
    const wide = text.length * size * 0.6 + size * 0.7;
    const left = Math.min(Math.max(0, x), Math.max(0, width - wide));
    const top = Math.min(Math.max(0, y - size * 1.35), Math.max(0, height - size * 1.35));
    drawing.append(drawn("g", { class: "name" },
      drawn("rect", { x: left, y: top, width: wide, height: size * 1.35, rx: size * 0.25 }),
      drawn("text", { x: left + size * 0.35, y: top + size, "font-size": size }, text)));
  }
  return drawing;
}

const described = (picture) => {
  const names = (picture.marks.captions ?? []).map(([text]) => text);
  return names.length ? `, with ${names.join(", ")}` : "";
};

// Puts a picture into a frame in the place of the one before, whose memory is given back.
export async function fill(frame, picture, text) {
  const made = [picture.file, ...picture.maps].map((file) => URL.createObjectURL(file));
  const image = element("img", { src: made[0], alt: text + described(picture) });
  try {
    await image.decode();
  } catch {
    // A picture that came late may be gone already; the browser shows what it can.
  }
  const shown = element("div", { class: "shown" }, image,
    ...made.slice(1).map((url) => element("img", { class: "map", src: url, alt: "" })), marksOf(picture));
  shown.style.aspectRatio = `${picture.width} / ${picture.height}`;
  const box = frame.clientWidth / Math.max(1, frame.clientHeight);
  shown.style[picture.width / picture.height > box ? "width" : "height"] = "100%";
  clear(frame);
  urls.set(frame, made);
  frame.dataset.width = picture.width;
  frame.dataset.height = picture.height;
  frame.append(shown);
}

export function fail(frame, error) {
  clear(frame);
  frame.append(element("p", { class: "wrong" }, error.message));
}

export function clear(frame) {
  for (const url of urls.get(frame) ?? []) URL.revokeObjectURL(url);
  urls.delete(frame);
  frame.replaceChildren();
}
