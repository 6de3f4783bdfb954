// Controls for the parameters of an augmenter. Values are data as the server describes them:
// numbers, texts, true and false, null, lists, {tuple}, {dict} and {parameter, arguments}.

import { element } from "./elements.js";

const isNumber = (value) => typeof value === "number";
const isRange = (value) => Array.isArray(value?.tuple) && value.tuple.length === 2 && value.tuple.every(isNumber);
const clone = (value) => structuredClone(value);

function stepOf(kind, low, high) {
  if (kind.whole) return 1;
  const rough = (high - low) / 200;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((each) => each * power >= rough * 0.999) * power;
}

const short = (number) => Number(number.toPrecision(6));

function numbersOf(value) {
  if (isNumber(value)) return [value];
  if (Array.isArray(value)) return value.flatMap(numbersOf);
  if (value?.tuple) return numbersOf(value.tuple);
  if (value?.dict) return numbersOf(Object.values(value.dict));
  return [];
}

// The ways in which a value may be given, each with how to get there from another one.
function waysOf(kind, value) {
  const middle = numbersOf(value)[0] ?? numbersOf(kind.start)[0] ?? kind.low;
  const ways = [];
  if (!kind.required && kind.default === null) ways.push(["off", () => null]);
  if (numbersOf(kind.start).length || numbersOf(value).length) {
    ways.push(["one number", () => middle]);
    const start = isRange(kind.start) ? kind.start.tuple : null;
    ways.push(["range", () => ({ tuple: start ? [...start] : [Math.max(kind.low, middle - (kind.high - kind.low) / 10), middle].map((each) => (kind.whole ? Math.round(each) : short(each))) })]);
    ways.push(["choice", () => [...new Set(numbersOf(value).length ? numbersOf(value) : [middle])]]);
  }
  if (/^(scale|translate_p|shear)/.test(kind.name)) {
    ways.push(["x and y", () => ({ dict: { x: clone(kind.start), y: clone(kind.start) } })]);
  }
  if (kind.options.length) {
    ways.push(["one of", () => kind.options[0]]);
    ways.push(["several", () => [kind.options[0]]]);
  }
  if (typeof kind.default === "boolean") ways.push(["yes or no", () => kind.default]);
  return ways;
}

function wayOf(value) {
  if (value === null || value === undefined) return "off";
  if (isNumber(value)) return "one number";
  if (typeof value === "boolean") return "yes or no";
  if (typeof value === "string") return "one of";
  if (Array.isArray(value)) return value.every(isNumber) ? "choice" : "several";
  if (isRange(value)) return "range";
  if (value.dict) return "x and y";
  return value.parameter ?? "as given";
}

export function parameterControl(kind, value, onChange) {
  const holder = element("div", { class: "parameter", "data-parameter": kind.name });
  const way = wayOf(value);
  const ways = waysOf(kind, value);
  if (!ways.some(([name]) => name === way)) ways.push([way, () => value]);
  const redraw = (next) => {
    onChange(next);
    const made = parameterControl(kind, next, onChange);
    holder.replaceWith(made);
    (made.querySelector(".how") ?? made.querySelector("input, select"))?.focus();
  };
  const head = element("div", { class: "parameter-head" }, element("span", { class: "parameter-name" }, kind.name));
  if (ways.length > 1) {
    head.append(element("select", { class: "how", "aria-label": `How ${kind.name} is given`,
      onchange: (event) => redraw(ways.find(([name]) => name === event.target.value)[1]()) },
      ...ways.map(([name]) => element("option", { selected: name === way }, name))));
  }
  holder.append(head);
  if (way === "yes or no") {
    head.append(element("input", { type: "checkbox", checked: value, "aria-label": kind.name, onchange: (event) => onChange(event.target.checked) }));
    return holder;
  }
  const body = bodyOf(kind, value, onChange);
  if (body) holder.append(body);
  return holder;
}

function bodyOf(kind, value, onChange) {
  switch (wayOf(value)) {
    case "off": return null;
    case "one number": return oneNumber(kind, value, onChange);
    case "range": return range(kind, value.tuple, (next) => onChange({ tuple: next }));
    case "choice": return list(kind, value, onChange);
    case "one of": return oneOf(kind, value, onChange);
    case "several": return several(kind, value, onChange);
    case "x and y": return nested(kind, value.dict, (next) => onChange({ dict: next }));
    default:
      return value.arguments
        ? nested({ ...kind, options: [], default: 0, low: -100, high: 100, least: -1e6, most: 1e6, whole: false }, value.arguments, (next) => onChange({ ...value, arguments: next }))
        : element("p", { class: "dim" }, JSON.stringify(value.tuple ?? value));
  }
}

function nested(kind, values, onChange) {
  const now = { ...values };
  return element("div", { class: "nested" }, ...Object.entries(values).map(([key, value]) =>
    parameterControl({ ...kind, name: key, required: true }, value, (next) => {
      now[key] = next;
      onChange({ ...now });
    })));
}

function ends(kind, values) {
  let [low, high] = [Math.min(kind.low, ...values), Math.max(kind.high, ...values)];
  if (low === high) high = low + 1;
  return { low, high, step: stepOf(kind, low, high) };
}

const read = (input, kind) => {
  const number = Number(input.value);
  if (input.value === "" || !Number.isFinite(number)) return null;
  const inside = Math.min(kind.most, Math.max(kind.least, number));
  return kind.whole ? Math.round(inside) : short(inside);
};

const box = (kind, value, step, label, change) =>
  element("input", { type: "number", value: short(value), step: kind.whole ? 1 : "any", min: kind.least, max: kind.most, "aria-label": label, onchange: change });

const thumb = (kind, value, { low, high, step }, label, input) =>
  element("input", { type: "range", min: low, max: high, step: kind.whole ? step : "any", value, "aria-label": label, oninput: input, onkeydown: (event) => stepped(event, step) });

// With `step="any"` the browser would choose how far an arrow key goes.
function stepped(event, step) {
  const sign = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
  if (!sign) return;
  event.preventDefault();
  event.target.value = Number(event.target.value) + sign * step;
  event.target.dispatchEvent(new Event("input", { bubbles: true }));
}

function snapped(value, kind, step) {
  return kind.whole ? Math.round(value) : short(Math.round(value / step) * step);
}

function oneNumber(kind, value, onChange) {
  const scale = ends(kind, [value]);
  const paint = (now) => {
    slider.style.setProperty("--from", "0%");
    slider.style.setProperty("--to", `${(100 * (now - scale.low)) / (scale.high - scale.low)}%`);
  };
  const set = (now) => {
    paint(now);
    onChange(now);
  };
  const number = box(kind, value, scale.step, kind.name, () => {
    const now = read(number, kind);
    if (now === null) return;
    number.value = move.value = now;
    set(now);
  });
  const move = thumb(kind, value, scale, `${kind.name}, slider`, () => {
    const now = snapped(Number(move.value), kind, scale.step);
    number.value = now;
    set(now);
  });
  const slider = element("div", { class: "slider one" }, move);
  paint(value);
  return element("div", { class: "row" }, slider, number);
}

function range(kind, values, onChange) {
  const now = [...values];
  const scale = ends(kind, values);
  const percent = (value) => `${(100 * (value - scale.low)) / (scale.high - scale.low)}%`;
  const paint = () => {
    slider.style.setProperty("--from", percent(Math.min(...now)));
    slider.style.setProperty("--to", percent(Math.max(...now)));
  };
  const set = (place, value) => {
    now[place] = value;
    // One end pushes the other before it.
    if (now[0] > now[1]) now[1 - place] = value;
    thumbs.forEach((each, at) => (each.value = now[at]));
    boxes.forEach((each, at) => (each.value = short(now[at])));
    paint();
    onChange([...now]);
  };
  const label = (place) => `${kind.name}, ${place ? "to" : "from"}`;
  const thumbs = [0, 1].map((place) => thumb(kind, now[place], scale, `${label(place)}, slider`, (event) =>
    set(place, snapped(Number(event.target.value), kind, scale.step))));
  const boxes = [0, 1].map((place) => box(kind, now[place], scale.step, label(place), (event) => {
    const value = read(event.target, kind);
    if (value !== null) set(place, value);
  }));
  const slider = element("div", { class: "slider" }, ...thumbs);
  paint();
  return element("div", { class: "row" }, slider, ...boxes);
}

function list(kind, values, onChange) {
  return element("div", { class: "row" }, element("input", { type: "text", value: values.join(", "), "aria-label": `${kind.name}, numbers with commas`,
    onchange: (event) => {
      const found = event.target.value.split(/[\s,;]+/).filter(Boolean).map(Number).filter(Number.isFinite);
      if (found.length) onChange(found.map((each) => Math.min(kind.most, Math.max(kind.least, each))));
      event.target.value = (found.length ? found : values).join(", ");
    } }));
}

function oneOf(kind, value, onChange) {
  const options = kind.options.includes(value) ? kind.options : [value, ...kind.options];
  return element("div", { class: "row" }, element("select", { "aria-label": kind.name, onchange: (event) => onChange(event.target.value) },
    ...options.map((option) => element("option", { selected: option === value }, option))));
}

function several(kind, values, onChange) {
  let now = [...values];
  return element("div", { class: "row" }, element("div", { class: "checks", role: "group", "aria-label": kind.name },
    ...kind.options.map((option) => element("label", {}, element("input", { type: "checkbox", checked: now.includes(option),
      onchange: (event) => {
        now = event.target.checked ? [...now, option] : now.filter((each) => each !== option);
        if (!now.length) {
          now = [option];
          event.target.checked = true;
        }
        onChange([...now]);
      } }), option))));
}
