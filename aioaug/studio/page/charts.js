// Bars of milliseconds, and charts of what the server does.

import { byId, drawn, element } from "./elements.js";

const KEPT = 60;
const CHARTS = [
  { key: "per_second", title: "Throughput", unit: " /s", digits: 1, least: 1 },
  { key: "lag", title: "Loop lag", unit: " ms", digits: 1, least: 5 },
  { key: "used", title: "Workers busy", unit: " %", digits: 0, least: 100, factor: 100 },
];

export function times(totals, count, labelOf) {
  const rows = Object.entries(totals).map(([key, sum]) => [key, sum / count]);
  const whole = rows.reduce((sum, [, value]) => sum + value, 0);
  const largest = Math.max(...rows.map(([, value]) => value), 0.001);
  rows.sort((one, other) => other[1] - one[1]);
  byId("times-total").textContent = count ? `${whole.toFixed(1)} ms a picture` : "";
  byId("times").replaceChildren(...rows.slice(0, 14).map(([key, value]) => {
    const bar = element("i");
    bar.style.width = `${(100 * value) / largest}%`;
    return element("li", { class: key.startsWith("#") ? "" : "other", "data-node": key },
      element("span", { class: "label" }, labelOf(key)),
      element("span", { class: "bar", "aria-hidden": "true" }, bar),
      element("span", { class: "value" }, `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`));
  }));
}

export function live() {
  const charts = CHARTS.map((chart) => {
    const area = drawn("path", { class: "area" });
    const curve = drawn("path");
    const value = element("dd", {}, "–");
    byId("charts").append(element("div", { "data-chart": chart.key }, element("dt", {}, chart.title), value,
      drawn("svg", { viewBox: `0 0 ${KEPT - 1} 40`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, curve)));
    return { ...chart, area, curve, value, points: [] };
  });
  const source = new EventSource("api/live");
  source.onmessage = (message) => {
    const figures = JSON.parse(message.data);
    byId("live-state").textContent = `${figures.busy} of ${figures.workers} workers, ${figures.waiting} waiting`;
    for (const chart of charts) add(chart, figures[chart.key] * (chart.factor ?? 1));
  };
  source.onerror = () => (byId("live-state").textContent = "not connected");
  addEventListener("pagehide", () => source.close());
}

function add(chart, value) {
  chart.points = [...chart.points, value].slice(-KEPT);
  chart.value.replaceChildren(value.toFixed(chart.digits), element("small", {}, chart.unit));
  const top = Math.max(chart.least, ...chart.points);
  const start = KEPT - chart.points.length;
  const line = chart.points.map((each, place) => `${start + place} ${(39 - (38 * each) / top).toFixed(2)}`).join("L");
  chart.curve.setAttribute("d", `M${line}`);
  chart.area.setAttribute("d", `M${start} 40L${line}L${KEPT - 1} 40Z`);
}
