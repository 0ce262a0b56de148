// Small charts of the last quarter of an hour, drawn as SVG from the process's own samples.
import { again, ask, byId } from "./console.js";

const WIDTH = 240;
const HEIGHT = 44;
const CHARTS = [
  ["events behind", 1, 0],
  ["records appended / s", 2, 1],
  ["requests / s", 3, 1],
  ["errors / s", 4, 2],
];

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const number = (value, digits) =>
  value.toLocaleString("en", { maximumFractionDigits: value && value < 1 ? 2 : value < 100 ? digits : 0 });

// Runs of samples that are known: where something is not, the line has a gap.
function runs(samples, column) {
  const found = [[]];
  for (const sample of samples) {
    if (sample[column] === null) found.push([]);
    else found.at(-1).push(sample);
  }
  return found.filter((run) => run.length);
}

function chart(samples, column, span) {
  const top = Math.max(1e-9, ...samples.map((sample) => sample[column] ?? 0));
  const end = samples.at(-1)[0];
  const x = (sample) => (WIDTH - (WIDTH * (end - sample[0])) / span).toFixed(1);
  const y = (sample) => (HEIGHT - 2 - ((HEIGHT - 6) * sample[column]) / top).toFixed(1);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const run of runs(samples, column)) {
    const line = run.map((sample) => `${x(sample)},${y(sample)}`).join(" L");
    picture.append(
      svg("path", { class: "area", d: `M${x(run[0])},${HEIGHT} L${line} L${x(run.at(-1))},${HEIGHT} Z` }),
      svg("path", { class: "line", d: `M${line}` }),
    );
  }
  return picture;
}

function figure(samples, [title, column, digits], span) {
  const known = samples.map((sample) => sample[column]).filter((value) => value !== null);
  const box = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const now = document.createElement("strong");
  now.textContent = known.length ? number(known.at(-1), digits) : "not known here";
  caption.append(title, now);
  box.append(caption);
  if (known.length) {
    const most = document.createElement("small");
    most.textContent = `at most ${number(Math.max(...known), digits)} in ${Math.max(1, Math.round(span / 60))} min`;
    box.append(chart(samples, column, span), most);
  }
  return box;
}

again(async () => {
  try {
    const { every, samples } = await ask("history");
    if (samples.length > 1) {
      const span = Math.max(60, samples.at(-1)[0] - samples[0][0]);
      byId("charts").replaceChildren(...CHARTS.map((one) => figure(samples, one, span)));
    }
    return every * 1000;
  } catch {
    return 10000;
  }
});
